"""Everything that runs while this agent holds its cluster's Lease: targets, watches, and the talk with the bus."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog

from services.applier.alarms import Alarms
from services.applier.cluster import confirm_cluster
from services.applier.company import Company
from services.applier.content import Content
from services.applier.decryption import Decryption
from services.applier.desire import SEQUENCE, Desire
from services.applier.documents import InstructionDocument
from services.applier.enrol import Here
from services.applier.events import Events
from services.applier.holder import Holder
from services.applier.inventory import Known, Storage
from services.applier.keeping import FolderKeeper, SecretKeeper
from services.applier.kube.mapper import Mapper
from services.applier.kube.session import Session
from services.applier.lease import Lease
from services.applier.observe import Observer
from services.applier.outbox import Outbox
from services.applier.redact import Redaction
from services.applier.reporting import About, Reporting
from services.applier.settings import ApplierSettings
from services.applier.state import Header, Inventory
from services.applier.target import Target
from services.applier.tools import Desires, Tools
from services.applier.vault import Vault
from services.applier.verify import RefusedError, verified_instruction
from shared import subjects
from shared.bus.connection import Bus, Stored
from shared.core.objects import ObjectKey
from shared.errors import PermanentError, TowlineError, TransientError
from shared.runtime.lifecycle import Lifecycle

GRACE_S = 7.0
FLUSH_S = 2.0
FINISH_LOOK_S = 0.05
LAG_S = 0.2
LAG_LOOKS = 10
SEEN_INSTRUCTIONS = 256

log = structlog.get_logger("services.applier")


@dataclass(frozen=True, slots=True)
class Means:
    """What was opened for this service."""

    settings: ApplierSettings
    life: Lifecycle
    session: Session
    mapper: Mapper
    storage: Storage
    outbox: Outbox
    bus: Bus


class Agent:
    """One agent at work."""

    def __init__(self, means: Means, holder: Holder, here: Here, lease: Lease, known: Known) -> None:
        self._means = means
        self._holder = holder
        self._lease = lease
        self._known = known
        self._targets: dict[str, Target] = {}
        self._running: list[asyncio.Task[None]] = []
        self._tasks: asyncio.TaskGroup | None = None
        self._look = asyncio.Event()
        self._announced = 0
        self._obeyed: dict[str, None] = {}
        settings, identity = means.settings, holder.identity
        about = About(identity.cluster, lease.holder, here.agent, here.kubernetes, here.uid, settings.claims)
        vault = Vault(means.session, settings.namespace, lease.fence)
        content = Content(identity.cluster, FolderKeeper(settings.data) if settings.data else SecretKeeper(vault))
        self._reporting = Reporting(about, means.outbox, settings.pace, lambda: self._desire.accepted, self._targets)
        self._observer = Observer(means.session, identity.cluster, self._noticed)
        self._tools = Tools(
            cluster=identity.cluster,
            home=settings.namespace,
            session=means.session,
            mapper=means.mapper,
            observer=self._observer,
            storage=means.storage,
            content=content,
            reporter=self._reporting,
            events=Events(means.session, settings.namespace, lease.fence, means.storage.reference),
            desires=Desires(),
            company=Company(self._targets),
            alarms=Alarms(means.session, means.mapper),
            pace=settings.pace,
            digest_key=bytes.fromhex(identity.digest_key),
            redaction=Redaction(bytes.fromhex(identity.digest_key), settings.sensitive),
            decryption=Decryption(settings.sops_secret, settings.namespace),
            damaged=known.damaged,
            fence=lease.fence,
            confirm=lambda: confirm_cluster(means.session, here.uid),
            deletes_from=lambda: lease.deletes_from,
            accepted=lambda: self._desire.accepted,
            changed=self._reporting.changed,
            policy=settings.policy,
            stopping=means.life.stopping.is_set,
            bus=means.bus,
        )
        self._desire = Desire(
            cluster=identity.cluster,
            content=content,
            reporting=self._reporting,
            trust=lambda: self._holder.trust,
            target=self._target,
            meet=self._tools.company.meet,
            headers=lambda: {app: each.inventory.header for app, each in self._targets.items()},
            accepted=known.accepted,
        )

    async def run(self) -> None:
        """Run every part until the program stops.

        Raises:
            ExceptionGroup: with a LostLeaseError when the lease is lost.
        """
        life, bus = self._means.life, self._means.bus
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            self._observer.start(tasks)
            self._tools.alarms.start(tasks)
            for app in self._known.damaged:
                self._add(Inventory(Header(app)))
            for inventory in self._known.inventories.values():
                self._add(inventory)
            await self._desire.recall()
            pace = self._means.settings.pace
            for part in (
                self._lease.keep(life),
                self._keep_looking(),
                self._count_connections(),
                self._listen(),
                self._obey(),
                self._reporting.keep_status(bus),
                self._reporting.keep_heartbeat(bus),
                self._means.outbox.run(self._publish, bus.pause),
                self._holder.keep_valid(life, bus, pace),
            ):
                self._running.append(tasks.create_task(part))
            life.set_ready("agent", True)
            await life.stopping.wait()
            await self._finish()
            for task in (*self._running, *self._observer.tasks(), *self._tools.alarms.tasks()):
                task.cancel()

    def _target(self, app: str) -> Target:
        return self._targets.get(app) or self._add(Inventory(Header(app)))

    def _add(self, inventory: Inventory) -> Target:
        target = Target(self._tools, inventory)
        self._targets[target.app] = target
        assert self._tasks is not None  # noqa: S101 - nothing is added before `run`
        self._running.append(self._tasks.create_task(target.work(), name=f"app {target.app}"))
        return target

    def _noticed(self, key: ObjectKey) -> None:
        """A watched object changed: its app looks whether it is as it should be."""
        for target in self._targets.values():
            target.noticed(key)
        self._tools.company.noticed(key)
        self._reporting.changed()

    async def _keep_looking(self) -> None:
        """Look at the bus when it is hinted at, and once a minute in any case."""
        pace = self._means.settings.pace
        while True:
            self._look.clear()
            pause_s = pace.look_s * random.uniform(0.75, 1.25)  # noqa: S311 - spreads the load
            try:
                for _ in range(LAG_LOOKS):
                    if await self._desire.look(self._means.bus, at_least=self._announced):
                        break
                    await asyncio.sleep(LAG_S)
                self._reporting.read_at = time.monotonic()
            except TransientError as error:
                log.info("desired_unread", code=error.code, error=error.message)
                pause_s = min(pause_s, pace.look_s / 10)
            except PermanentError as error:
                log.warning("desired_unread", code=error.code, error=error.message)
            try:
                async with asyncio.timeout(pause_s):
                    await self._look.wait()
            except TimeoutError:
                continue

    async def _count_connections(self) -> None:
        """Look again after each new connection, and say anew how things stand."""
        async for _ in self._means.bus.connections():
            self._look.set()
            self._reporting.changed()

    async def _listen(self) -> None:
        """Look when a notice says that there is something new."""
        async with self._means.bus.subscribe(subjects.notify(self._tools.cluster)) as notices:
            async for notice in notices:
                sequence = notice.headers.get(SEQUENCE, "")
                self._announced = int(sequence) if sequence.isdecimal() else 0
                self._look.set()

    async def _obey(self) -> None:
        """Do what signed instructions ask."""
        async with self._means.bus.subscribe(subjects.instruct(self._tools.cluster)) as instructions:
            async for message in instructions:
                await self._obey_one(message)

    async def _obey_one(self, message: Stored) -> None:
        try:
            told = verified_instruction(message.data, self._holder.trust, self._means.session.clock.now())
        except RefusedError as error:
            log.warning("instruction_refused", code=error.code, error=error.message)
            return
        if told.id in self._obeyed:
            return
        self._obeyed[told.id] = None
        if len(self._obeyed) > SEEN_INSTRUCTIONS:
            del self._obeyed[next(iter(self._obeyed))]
        try:
            said, body = await self._do(told)
            await self._reporting.answer(told.id, ok=True, message=said, body=body)
        except TowlineError as error:
            await self._reporting.answer(told.id, ok=False, message=str(error))

    async def _do(self, told: InstructionDocument) -> tuple[str, dict[str, Any]]:
        """Carry out an instruction and return what to answer, in words and in full.

        Raises:
            TowlineError: it cannot be done.
        """
        app = str(told.arguments.get("app") or "")
        match told.verb:
            case "sync":
                for target in self._targets.values():
                    if not app or target.app == app:
                        target.ask("sync")
                self._look.set()
                return f"looking at {app or 'all apps'} again", {}
            case "objects" | "diff":
                which = {name: str(told.arguments.get(name) or "") for name in ("after", "key")}
                return await self._told(told.verb, app, which)
            case "recreate":
                return self._recreate(app, str(told.arguments.get("key") or ""))
            case "renew":
                await self._holder.take(told)
                self._means.bus.move(self._holder.identity.bus)
                self._means.bus.renew()
                return "renewed", {}
            case _:
                raise PermanentError(
                    f"this agent does not know the instruction {told.verb!r}", code="instruction.unknown"
                )

    def _present(self, app: str) -> Target:
        target = self._targets.get(app)
        if target is None:
            raise PermanentError(f"there is no app {app!r} on this cluster", code="instruction.no-app")
        return target

    def _recreate(self, app: str, key: str) -> tuple[str, dict[str, Any]]:
        target = self._present(app)
        if target.is_suspended():
            raise PermanentError(f"{app} is suspended: nothing is written", code="instruction.suspended")
        self._tools.renewals.ask(target.inventory, key)
        target.ask("sync")
        return f"{key} is made anew", {}

    async def _told(self, verb: str, app: str, which: dict[str, str]) -> tuple[str, dict[str, Any]]:
        target = self._present(app)
        body = await target.differences(**which) if verb == "diff" else target.objects(**which)
        return f"{len(body['objects'])} of the objects of {app}", body

    async def _publish(self, subject: str, data: bytes, message_id: str) -> object:
        return await self._means.bus.publish(subject, data, message_id=message_id)

    async def _finish(self) -> None:
        """End the runs that are under way, and send what waits, in bounded time."""
        bus, outbox = self._means.bus, self._means.outbox
        await _until(lambda: not any(target.running for target in self._targets.values()), GRACE_S)
        if not await _until(lambda: not len(outbox) or not bus.connected, FLUSH_S):
            log.info("reports_left", reports=len(outbox))


async def _until(done: Callable[[], bool], timeout_s: float) -> bool:
    """Wait for something that nobody announces; tell whether it came in time."""
    for _ in range(round(timeout_s / FINISH_LOOK_S)):
        if done():
            return True
        await asyncio.sleep(FINISH_LOOK_S)
    return done()
