"""The agent: one process, or one of many in it, that brings one cluster to its desired state and keeps it there.

It holds the cluster's Lease before it connects to the bus, remembers everything that matters in the cluster, and goes
on healing when nothing else can be reached.
"""

from __future__ import annotations

import random
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TypeVar
from uuid import uuid4

import structlog

from services.applier.agent import Agent, Means
from services.applier.cluster import cluster_here, confirm_cluster
from services.applier.enrol import Here, enrolled, token_of
from services.applier.holder import Holder
from services.applier.identity import FilePlace, Identity, NewKey, Place, SecretPlace
from services.applier.inventory import Storage
from services.applier.kube.mapper import Mapper
from services.applier.kube.session import Session
from services.applier.lease import Lease, LostLeaseError
from services.applier.outbox import Outbox
from services.applier.settings import ApplierSettings
from services.applier.vault import Vault
from shared.bus.connection import Bus
from shared.bus.values import AGENT_PACE
from shared.errors import TransientError
from shared.runtime.lifecycle import Lifecycle

T = TypeVar("T")

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0

log = structlog.get_logger("services.applier")


def agent_version() -> str:
    """Return the version of this program."""
    try:
        return version("towline")
    except PackageNotFoundError:
        return "0"


async def run_agent(settings: ApplierSettings, life: Lifecycle) -> None:
    """Serve one cluster until `life.stopping`.

    Raises:
        PermanentError: the agent cannot start: no identity and no good token, or another cluster than before.
    """
    user_agent = f"towline-applier/{agent_version()}"
    async with Session.connect(
        settings.credentials(), agent=user_agent, strict_tls=settings.strict_tls, in_flight=settings.in_flight
    ) as session:
        start = Start(settings, life, session)
        here = await start.patiently(start.here)
        identity = await start.identity(here) if here else None
        if here is None or identity is None:
            return
        lease = Lease(session, settings.namespace, uuid4().hex, settings.pace)
        tenure = Tenure(start, identity, here, lease)
        try:
            # Looked at anew each time: a lease is also lost with the cluster that it was in.
            while await start.confirmed(identity.uid) and await lease.acquire(life):
                try:
                    await tenure.serve()
                except* LostLeaseError as group:
                    log.warning("lease_lost", error=str(group.exceptions[0]))
        finally:
            await lease.release()


@dataclass(slots=True)
class Start:
    """What happens before the agent serves: reach the cluster, know or make the identity."""

    settings: ApplierSettings
    life: Lifecycle
    session: Session

    @property
    def place(self) -> Place:
        """Return where the identity is kept."""
        if self.settings.data is not None:
            return FilePlace(self.settings.data)
        return SecretPlace(Vault(self.session, self.settings.namespace))

    async def patiently(self, act: Callable[[], Awaitable[T]]) -> T | None:
        """Return what `act` returns, tried until it works; None when the program shall stop."""
        pause_s = FIRST_PAUSE_S
        while not self.life.stopping.is_set():
            try:
                return await act()
            except TransientError as error:
                self.life.set_ready("start", False, error.message)
                log.warning("start_postponed", code=error.code, error=str(error))
                await self.life.pause(random.uniform(pause_s / 2, pause_s))  # noqa: S311 - spreads retries
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        return None

    async def here(self) -> Here:
        """Return who the cluster is; its namespace for our things is made when it is missing."""
        settings = self.settings
        return await cluster_here(self.session, settings.namespace, agent_version(), settings.claims)

    async def confirmed(self, uid: str) -> bool:
        """Make sure that the cluster is the expected one; False when the program shall stop.

        Raises:
            OtherClusterError: it is another.
        """
        await self.patiently(lambda: confirm_cluster(self.session, uid))
        return not self.life.stopping.is_set()

    async def identity(self, here: Here) -> Identity | None:
        """Return the identity that is kept, or join with the token; None when the program shall stop."""
        kept = await self.patiently(self.place.load)
        if kept is not None:
            return kept
        if self.life.stopping.is_set():
            return None
        token, key = token_of(self.settings.join), NewKey()
        url = self.settings.hub
        made = await self.patiently(lambda: enrolled(token, key, here, url=url))
        if made is not None:
            await self.patiently(lambda: self.place.save(made))
            log.info("agent_enrolled", cluster=made.cluster, hub=made.hub[:16])
        return made


@dataclass(slots=True)
class Tenure:
    """The times in which this agent holds the lease, one after the other."""

    start: Start
    identity: Identity
    here: Here
    lease: Lease

    async def serve(self) -> None:
        """Serve until the program stops.

        Raises:
            ExceptionGroup: with a LostLeaseError when the lease is lost.
        """
        settings, session = self.start.settings, self.start.session
        storage, mapper = Storage(session, settings.namespace, self.lease.fence), Mapper(session)
        known = await self.start.patiently(storage.load)
        await self.start.patiently(mapper.refresh)
        if known is None or self.start.life.stopping.is_set():
            return
        self.start.life.set_ready("start", True)
        outbox = Outbox(settings.data / "outbox" if settings.data else None)
        await outbox.load()
        holder = Holder(self.identity, self.start.place, session.clock.now)
        async with Bus.connect(
            self.identity.bus,
            holder.bus_credentials,
            name=f"agent {self.identity.cluster}",
            tls=_bus_tls(settings),
            pace=AGENT_PACE,
        ) as bus:
            means = Means(settings, self.start.life, session, mapper, storage, outbox, bus)
            await Agent(means, holder, self.here, self.lease, known).run()
        self.identity = holder.identity


def _bus_tls(settings: ApplierSettings) -> ssl.SSLContext | None:
    """Return how to check the bus, None for the address's own rules."""
    return ssl.create_default_context(cafile=str(settings.bus_ca)) if settings.bus_ca else None
