"""Say on the bus what the database decided: rosters and desired documents, clusters, facts.

The database is the truth. A document goes out by compare-and-set, not before the blobs that it names are there, and
never when the bus knows a higher one than we do: then this database was restored, and people must say so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select, update

from services.releaser import registering
from services.releaser.keys import HubKeys
from services.releaser.missing import Missing, Named, blobs_of
from services.releaser.restored import Restored, newer_on_bus
from services.releaser.store import Store, Transaction, portions
from services.releaser.tables import clusters, desired
from shared import subjects
from shared.bus.blobs import blob_place, has_blob
from shared.bus.connection import Bus
from shared.bus.errors import WrongSequenceError
from shared.bus.storing import store_blob
from shared.bus.together import each_of
from shared.errors import PermanentError, TransientError
from shared.messages.releases import ClusterIndex, Membership
from shared.runtime.lifecycle import Lifecycle
from shared.runtime.logs import get_logger

AT_ONCE = 32
RETRY_S = 2.0
REGISTRY_PAUSE_S = 1.0
"""Changes of the registry that come closer together are told, and rendered for, together: each costs by all clusters."""
FACTS_AT_ONCE = 64

log = get_logger("services.releaser")


class OlderDatabaseError(PermanentError):
    """The bus holds a desired document that is newer than this database."""

    code = "releaser.older-database"


class BlobsMissingError(TransientError):
    """Content that a document names is not on the bus."""

    code = "releaser.blobs-missing"


@dataclass(slots=True)
class Publisher:
    """Keeps the bus equal to the database."""

    bus: Bus
    store: Store
    keys: HubKeys
    restored: Restored
    clock: Callable[[], float]
    """Seconds, never going back."""
    _due: set[str] = field(default_factory=set)
    _registry: bool = True
    _registry_told_at: float = -REGISTRY_PAUSE_S
    _facts: bool = True
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _sequences: dict[str, int] = field(default_factory=dict)
    """Cluster → sequence of its last document on the bus."""
    _stored: set[str] = field(default_factory=set)
    """Digests of shared blobs that are on the bus."""
    _missing: Missing = field(init=False)

    def __post_init__(self) -> None:
        """Begin with a bus that lacks nothing."""
        self._missing = Missing(self.store, self.clock)

    def decided(self, transaction: Transaction) -> None:
        """Take note of what a committed transaction changed."""
        self._due |= transaction.touched
        self._registry = self._registry or transaction.registry
        self._facts = self._facts or bool(transaction.said)
        if transaction.touched or transaction.registry or transaction.said:
            self._wake.set()

    def rendered(self, source: str) -> None:
        """Try what is still due now: content may have come with a render of a source."""
        self._missing.rendered(source)
        self._wake.set()

    def forget(self, digests: Iterable[str]) -> None:
        """Take note of content that is no longer on the bus."""
        self._stored.difference_update(digests)

    async def compare(self, *, emptied: bool) -> None:
        """Have every document compared with the bus, and every cluster told again where the bus was made anew."""
        if emptied:
            async with self.store.deciding() as transaction:
                await transaction.do(update(clusters).values(told=False))
            self._missing.start_anew()
        self._sequences.clear()
        self._stored.clear()
        async with self.store.reading() as view:
            self._due |= {row.cluster for row in await view.rows(select(desired.c.cluster))}
        self._registry = True
        self._wake.set()

    async def run(self, life: Lifecycle) -> None:
        """Publish until the program stops."""
        while not life.stopping.is_set():
            try:
                async with asyncio.timeout(self._patience()):
                    await self._wake.wait()
            except TimeoutError:
                log.debug("publishing_retried", clusters=len(self._due))
            self._wake.clear()
            try:
                await self.publish()
            except TransientError as error:
                log.warning("publishing_postponed", error=str(error))
            life.set_ready("publishing", not self.restored.pair, self.restored.why)

    def stop(self) -> None:
        """Wake the loop, to end."""
        self._wake.set()

    def _patience(self) -> float | None:
        """Return how long nothing needs to be done unless something happens, in seconds; None: for ever."""
        if self._due or self._facts:
            return RETRY_S
        return max(self._registry_pause(), 0.0) or RETRY_S if self._registry else None

    def _registry_pause(self) -> float:
        return self._registry_told_at + REGISTRY_PAUSE_S - self.clock()

    async def publish(self) -> None:
        """Publish what is due, as far as it goes now."""
        # The index of clusters first: what the poller is asked for has renderers read it.
        if self._registry and self._registry_pause() <= 0:
            await self._tell_clusters()
        if self._facts:
            await self._tell_facts()
        if not self.restored.pair:
            await self._publish_desired()
        if self._facts:
            await self._tell_facts()

    async def _tell_facts(self) -> None:
        self._facts = False
        while unsaid := await self.store.unsaid(FACTS_AT_ONCE):
            for row in unsaid:
                await self._tell_fact(row)
            await self.store.forget_said([row.position for row in unsaid])

    async def _tell_fact(self, row: Any) -> None:
        try:
            await self.bus.publish(row.subject, row.body, message_id=row.id)
        except TransientError:
            self._facts = True
            raise
        except PermanentError as error:
            log.warning("fact_dropped", subject=row.subject, bytes=len(row.body), reason=error.message)

    async def _tell_clusters(self) -> None:
        self._registry, self._registry_told_at = False, self.clock()
        async with self.store.reading() as view:
            untold, version, index = await registering.untold(view)
        try:
            if untold:
                body = ClusterIndex(version=version, clusters=tuple(index)).to_bytes()
                await self.bus.publish(subjects.cluster(subjects.HUB), body)
            await each_of(self._tell_cluster, untold, at_once=AT_ONCE)
        except TransientError:
            self._registry = True
            raise
        async with self.store.deciding() as transaction:
            await registering.told(transaction, untold, version)

    async def _tell_cluster(self, cluster: Any) -> None:
        await self.bus.publish(subjects.cluster(cluster.cluster), cluster.to_bytes())

    async def _publish_desired(self) -> None:
        due, self._due = self._due, set()
        try:
            async with self.store.reading() as view:
                rows = await _desired_rows(view, due)
            await each_of(self._publish_one, rows, at_once=AT_ONCE)
        except TransientError:
            self._due |= due
            raise
        await self._missing.ask()

    async def _publish_one(self, row: Any) -> None:
        try:
            await self._publish_row(row)
        except BlobsMissingError as error:
            log.info("release_postponed", cluster=row.cluster, reason=error.message)
            self._due.add(row.cluster)
        except PermanentError as error:
            self._due.add(row.cluster)
            log.warning("release_unpublished", cluster=row.cluster, code=error.code, reason=error.message)

    async def _publish_row(self, row: Any) -> None:
        last = self._sequences.get(row.cluster)
        there = False
        if last is None:
            last, there = await self._read(row)
        await self._need_blobs(row)
        if there:
            return
        subject = subjects.desired(row.cluster)
        try:
            last = await self.bus.publish(subject, row.envelope, expected_last=last)
        except WrongSequenceError:
            last, there = await self._read(row)
            if not there:
                last = await self.bus.publish(subject, row.envelope, expected_last=last)
        self._sequences[row.cluster] = last

    async def _read(self, row: Any) -> tuple[int, bool]:
        """Read the document on the bus; return its sequence, and whether it is ours already."""
        stored = await self.bus.last(subjects.DESIRED, subjects.desired(row.cluster))
        if stored is None:
            return 0, False
        if stored.data == row.envelope:
            self._sequences[row.cluster] = stored.sequence
            return stored.sequence, True
        pair = newer_on_bus(stored, row, self.keys)
        if pair is not None and not await self._outrun(row):
            await self.restored.notice(self.store, row.cluster, pair)
            raise OlderDatabaseError(f"the bus holds {pair} of {row.cluster}, the database {row.generation}")
        return stored.sequence, False

    async def _outrun(self, row: Any) -> bool:
        """Tell whether the database moved on since the row was read; the newer row is due already."""
        async with self.store.reading() as view:
            now = await view.first(
                select(desired.c.epoch, desired.c.generation).where(desired.c.cluster == row.cluster)
            )
        if now is None or (now.epoch, now.generation) <= (row.epoch, row.generation):
            return False
        raise BlobsMissingError(f"{row.cluster} was signed anew meanwhile")

    async def _need_blobs(self, row: Any) -> None:
        """Store the roster, and make sure that the bundles it names are there; else have them rendered."""
        await store_blob(self.bus, blob_place(row.cluster), row.roster_bytes)
        missing = []
        for release, blob in blobs_of(row.roster_bytes):
            if blob.digest in self._stored:
                continue
            if await has_blob(self.bus, blob_place(subjects.SHARED), blob):
                self._stored.add(blob.digest)
            else:
                missing.append(Named.of(release, blob))
        if not missing:
            self._missing.whole(row.cluster)
        elif self._missing.is_late(row.cluster, missing):
            log.warning("release_published_without_content", cluster=row.cluster, bundles=len(missing))
        else:
            raise BlobsMissingError(f"{len(missing)} bundles are not on the bus; their sources are rendered again")


async def _desired_rows(view: Transaction, names: Iterable[str]) -> list[Any]:
    found: list[Any] = []
    for some in portions(sorted(names)):
        joined = clusters.c.membership == Membership.JOINED
        query = select(desired).join(clusters, clusters.c.cluster == desired.c.cluster)
        found.extend(await view.rows(query.where(joined, desired.c.cluster.in_(some))))
    return found
