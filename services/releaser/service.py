"""The releaser as it runs: one writer beside its database, its consumers, its publisher, and what time alone brings."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

from sqlalchemy import select

from services.releaser import garbage, instructing, members, returning, steering
from services.releaser.commands import Commands, Parts, Verb
from services.releaser.enrolling import cluster_add, enrol, renew, renew_soon
from services.releaser.handling import Handlers
from services.releaser.keys import load_or_make
from services.releaser.publishing import Publisher
from services.releaser.restored import Restored
from services.releaser.settings import ReleaserSettings
from services.releaser.store import Store, Transaction
from services.releaser.tables import revocations
from shared import subjects
from shared.bus.accounts import update_account
from shared.bus.connection import Bus
from shared.bus.identities import BusKeys
from shared.errors import PermanentError, TransientError
from shared.runtime import metrics
from shared.runtime.lifecycle import Lifecycle
from shared.runtime.lock import hold_lock
from shared.runtime.logs import get_logger

VERBS: dict[str, Verb] = {
    "cluster-add": cluster_add,
    "cluster-labels": members.labels,
    "cluster-approve": members.approve,
    "cluster-revoke": members.revoke,
    "cluster-remove": members.remove,
    "enrol": enrol,
    "renew": renew,
    "suspend": steering.suspend,
    "resume": steering.resume,
    "rollback": returning.rollback,
    "approve": steering.approve,
    "sync": instructing.sync,
    "retry": instructing.retry,
    "recreate": instructing.recreate,
    "ask": instructing.ask,
    "rebuild": steering.rebuild,
    "adopt": steering.adopt,
}
RETRY_S = 2.0
INCARNATION = "incarnation"

log = get_logger("services.releaser")


async def serve(settings: ReleaserSettings, bus: Bus, life: Lifecycle) -> None:
    """Decide and publish until the program stops.

    Raises:
        AlreadyRunningError: another releaser works beside the same database.
        KeysError: the hub's keys cannot be used.
    """
    with hold_lock(settings.data / "releaser.lock", "releaser"):
        keys = await asyncio.to_thread(load_or_make, settings.keys)
        bus_keys = await asyncio.to_thread(BusKeys.load_or_make, settings.keys / "bus")
        restored = Restored()
        urls = tuple(settings.agent_bus_urls or settings.bus_urls)
        parts = Parts(keys, bus_keys, restored, settings.url_of_hub, urls)
        async with Store.open(settings.database_url) as store:
            await restored.load(store)
            releaser = _Releaser(settings, bus, store, parts, Publisher(bus, store, keys, restored, time.monotonic))
            await releaser.run(life)


@dataclass(slots=True)
class _Releaser:
    """All parts of the releaser, for one run."""

    settings: ReleaserSettings
    bus: Bus
    store: Store
    parts: Parts
    publisher: Publisher
    _revoked: asyncio.Event = field(default_factory=asyncio.Event)
    _rebuild: asyncio.Event = field(default_factory=asyncio.Event)
    _instructions: asyncio.Queue[tuple[str, bytes]] = field(default_factory=lambda: asyncio.Queue(10_000))

    async def run(self, life: Lifecycle) -> None:
        """Do everything at once until the program stops."""
        self.store.after = self._decided
        if not await self._compared(life):
            return
        self._revoked.set()
        handlers = Handlers(self.bus, self.store, Commands(self.store, self.parts, VERBS), self.publisher)
        durable = {each.stream: each for each in subjects.DURABLES if each.name == "releaser"}
        async with asyncio.TaskGroup() as tasks:
            background = [
                tasks.create_task(each) for each in (self._revoke(), self._instruct(), self._compare_when_asked())
            ]
            tasks.create_task(self.publisher.run(life))
            tasks.create_task(self._tick(life))
            tasks.create_task(self._follow_incarnations(life))
            tasks.create_task(self.bus.consume(durable[subjects.RENDERED], handlers.rendered))
            tasks.create_task(self.bus.consume(durable[subjects.COMMANDS], handlers.command))
            tasks.create_task(self.bus.consume_batches(durable[subjects.REPORTS], handlers.reports))
            tasks.create_task(self.bus.consume_batches(durable[subjects.STATUS], handlers.statuses))
            await life.stopping.wait()
            self.publisher.stop()
            for task in background:
                task.cancel()

    async def _compared(self, life: Lifecycle) -> bool:
        """Return once it is known whether the bus knows more than the database; False: the program stops."""
        while not life.stopping.is_set():
            try:
                await self.parts.restored.compare(self.bus, self.store, self.parts.keys)
            except TransientError as error:
                life.set_ready("releaser", False, f"waits for the bus: {error.message}")
                await life.pause(RETRY_S)
            else:
                return True
        return False

    def _decided(self, transaction: Transaction) -> None:
        """Take note of what a committed transaction leaves to be done."""
        for state, count in transaction.released.items():
            metrics.releases.labels(state).inc(count)
        if transaction.adopted:
            self.parts.restored.pair = None
        if transaction.revoked:
            self._revoked.set()
        if transaction.rebuild:
            self._rebuild.set()
        for instruction in transaction.instructions:
            if not self._instructions.full():
                self._instructions.put_nowait(instruction)
        self.publisher.decided(transaction)

    async def _follow_incarnations(self, life: Lifecycle) -> None:
        """Compare everything with the bus at the start, and whenever it was made anew."""
        async for present in self.bus.incarnations():
            async with self.store.reading() as view:
                known = await view.value(INCARNATION, "")
            await self.publisher.compare(emptied=present != known)
            async with self.store.deciding() as tx:
                await tx.set_value(INCARNATION, present)
            log.info("bus_compared", incarnation=present, new=present != known)
            life.set_ready("releaser", True)

    async def _compare_when_asked(self) -> None:
        while True:
            await self._rebuild.wait()
            self._rebuild.clear()
            await self.publisher.compare(emptied=True)

    async def _revoke(self) -> None:
        """Have the bus know every key that is cut off: at the start, and whenever one is added."""
        while True:
            await self._revoked.wait()
            self._revoked.clear()
            async with self.store.reading() as view:
                banned = {row.public_key: row.at for row in await view.rows(select(revocations))}
            if not banned:
                continue
            try:
                system = self.parts.bus_keys.program_credentials("system")
                account = self.parts.bus_keys.agents_account_jwt(banned)
                await update_account(self.settings.bus_urls, system, account)
            except TransientError as error:
                log.warning("revocation_postponed", reason=error.message)
                await asyncio.sleep(RETRY_S)
                self._revoked.set()
            except PermanentError as error:
                log.warning("revocation_refused", code=error.code, reason=error.message)
            else:
                log.info("keys_revoked", keys=len(banned))

    async def _instruct(self) -> None:
        while True:
            cluster, envelope = await self._instructions.get()
            try:
                await self.bus.send(subjects.instruct(cluster), envelope)
            except TransientError as error:
                log.warning("instruction_lost", cluster=cluster, reason=error.message)

    async def _tick(self, life: Lifecycle) -> None:
        """Do what time alone brings."""
        cleaned_at = time.monotonic()
        while not await life.pause(self.settings.tick_s):
            try:
                await self._pass_time()
                if time.monotonic() - cleaned_at >= self.settings.garbage_interval_s:
                    cleaned_at = time.monotonic()
                    await self._clean()
            except TransientError as error:
                log.warning("tick_postponed", reason=error.message)

    async def _pass_time(self) -> None:
        async with self.store.deciding() as tx:
            await steering.pass_time(tx, self.parts.keys)

    async def _clean(self) -> None:
        async with self.store.deciding() as tx:
            await renew_soon(tx, self.parts)
        await garbage.collect(self.store)
        self.publisher.forget(await garbage.purge(self.store, self.bus))
