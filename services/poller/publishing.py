"""Bring to the bus what one source has to say: tips and facts first, then packs, then the request to render.

What was said is taken out of the state afterwards, so a crash in between says it twice and never not at all. The
request names packs that are on the bus already.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from services.poller.chains import Step, extended, next_step
from services.poller.fetch import Looker
from services.poller.observation import (
    Key,
    answered,
    published,
    request_of,
    request_published,
    unpacked,
    with_chain,
)
from services.poller.state import Followed, Outgoing
from services.poller.watcher import Watcher
from shared import subjects
from shared.bus.blobs import pack_place
from shared.bus.connection import Bus
from shared.bus.storing import store_blob
from shared.core.backoff import backoff_s
from shared.core.seal import Sealed, seal
from shared.errors import PermanentError, TowlineError
from shared.git.mirror import Mirror
from shared.git.packs import pack_of
from shared.git.trees import MissingObjectError
from shared.messages.blobs import BlobRef
from shared.messages.facts import Fact
from shared.runtime.lifecycle import Lifecycle
from shared.runtime.logs import get_logger

RETRY_S = 1.0
SWEPT_AFTER = 2
"""Requests."""
LONGEST_RETRY_S = 30.0


@dataclass(slots=True)
class Publisher:
    """Publishes for one source, one thing after the other."""

    watcher: Watcher
    bus: Bus
    looker: Looker
    secret: bytes = field(repr=False)
    _hopeless: dict[Key, str] = field(default_factory=dict)
    """Trees that cannot be packed: trying again changes nothing."""
    _named: set[str] = field(default_factory=set)
    """The packs of the last request."""
    _unnamed: dict[str, int] = field(default_factory=dict)
    """Packs that are on the bus, and how many requests went by without them."""
    _found_old: bool = False

    async def run(self, life: Lifecycle) -> None:
        """Publish whatever comes up until the program stops."""
        log = get_logger().bind(source=self.watcher.name)
        failures = 0
        while not life.stopping.is_set():
            await self.watcher.changed.wait()
            self.watcher.changed.clear()
            if life.stopping.is_set():
                return
            try:
                await self.publish()
            except TowlineError as error:
                failures += 1
                if failures == 1:
                    log.warning("publishing_failed", code=error.code, reason=error.message)
                self.watcher.changed.set()
                await life.pause(backoff_s(failures, RETRY_S, LONGEST_RETRY_S))
            else:
                failures = 0

    async def publish(self) -> None:
        """Publish what waits.

        Raises:
            TransientError: some of it could not be published.
        """
        await self._say()
        if not self.watcher.state.request_reason:
            return
        if not self._found_old:
            await self._find_old()
        while True:
            for each in self._to_pack():
                await self._pack(each)
            # A tree that cannot be packed is a failure to state, before the request that goes without it.
            await self._say()
            # What was seen meanwhile belongs to the request of this number: without its packs nobody would ask again.
            if not self._to_pack():
                break
        await self._request()
        await self._sweep()

    def _to_pack(self) -> list[Followed]:
        """Return what is followed and whose tip has no packs, but could have."""
        return [
            each
            for each in unpacked(self.watcher.state)
            if each.revision is not None and self._hopeless.get(each.key) != each.revision.commit.tree
        ]

    async def _say(self) -> None:
        state = self.watcher.state
        for item in state.outbox:
            if item.revision is not None:
                revision = item.revision
                subject = subjects.revision(revision.source, revision.ref)
                # A revision that is said anew comes with a request of its own.
                attempt = f"{subject}.{revision.number}.{state.request_number}"
                await self.bus.publish(subject, revision.to_bytes(), message_id=attempt)
            if item.fact is not None:
                await publish_fact(self.bus, item.fact)
        if state.outbox:
            await self._forget(state.outbox)

    async def _forget(self, said: tuple[Outgoing, ...]) -> None:
        await self.watcher.change(lambda state, _: published(state, said))

    async def _pack(self, followed: Followed) -> None:
        """Store the packs that bring the tip of `followed`."""
        revision = followed.revision
        if revision is None:
            return
        tree = revision.commit.tree
        step = next_step(followed.chain)
        try:
            step, sealed = await asyncio.to_thread(self._sealed, followed.repository, tree, step)
        except PermanentError as error:
            self._hopeless[followed.key] = tree
            failed: dict[Key, PermanentError | None] = {followed.key: error}
            await self.watcher.change(lambda state, now: answered(state, self.watcher.name, failed, now))
            return
        pack = await self._store(sealed)
        chain = extended(followed.chain, step, tree, pack)
        await self.watcher.change(lambda state, _: with_chain(state, followed.key, chain))
        get_logger().info(
            "pack_stored",
            source=self.watcher.name,
            repository=followed.repository,
            commit=revision.commit.id,
            bytes=pack.bytes,
            full=not step.without,
        )

    async def store_whole(self, repository: str, tree: str) -> BlobRef:
        """Store a pack of a tree that is no tip's: it is swept soon.

        Raises:
            MissingObjectError: the mirror lacks a part of it.
        """
        _, sealed = await asyncio.to_thread(self._sealed, repository, tree, Step())
        pack = await self._store(sealed)
        self._unnamed.setdefault(pack.digest, 0)
        return pack

    async def _store(self, sealed: Sealed) -> BlobRef:
        stored = await store_blob(self.bus, pack_place(self.watcher.name), sealed.data)
        return stored.model_copy(update={"key": sealed.key.hex()})

    def _sealed(self, repository: str, tree: str, step: Step) -> tuple[Step, Sealed]:
        """Return the pack that `step` asks for, or a full one when the mirror no longer has what it builds on."""
        read = Mirror(self.looker.mirror(repository)).read()
        try:
            return step, seal(pack_of(read, tree, step.without or None), self.secret)
        except MissingObjectError:
            if not step.without:
                raise
        return Step(), seal(pack_of(read, tree), self.secret)

    async def _sweep(self) -> None:
        """Forget packs that no request has named for two requests in a row: a full stream would take no new ones.

        A renderer that still works on an older request misses them, and asks for a full pack.
        """
        state = self.watcher.state
        named = {pack.digest for each in state.followed if each.chain for pack in each.chain.packs}
        named |= {each.blob.digest for each in state.charts if each.blob}
        self._unnamed = {digest: count + 1 for digest, count in self._unnamed.items() if digest not in named}
        self._unnamed.update(dict.fromkeys(self._named - named, 0))
        self._named = named
        for digest in [digest for digest, count in self._unnamed.items() if count >= SWEPT_AFTER]:
            await self.bus.purge(subjects.SOURCES, subjects.packs_of(self.watcher.name, digest))
            del self._unnamed[digest]

    async def _find_old(self) -> None:
        """Note the packs that are on the bus from before: what was not swept then is swept now."""
        stored = await self.bus.stored_subjects(subjects.SOURCES, subjects.packs_of(self.watcher.name))
        self._named |= {subjects.token(subject, 2) for subject in stored}
        self._found_old = True

    async def _request(self) -> None:
        state = self.watcher.state
        request = request_of(state, self.watcher.name, self.watcher.now())
        if request is None:
            return
        await self.bus.publish(subjects.render(self.watcher.name), request.to_bytes())
        await self.watcher.change(lambda now_state, _: request_published(now_state, request.number))
        get_logger().info(
            "render_requested",
            source=self.watcher.name,
            number=request.number,
            commit=request.checkout.commit.id,
            reason=request.reason,
        )


async def publish_fact(bus: Bus, fact: Fact) -> None:
    """State a fact.

    Raises:
        TransientError: the bus did not take it.
    """
    await bus.publish(subjects.fact(fact.program, fact.type), fact.to_bytes(), message_id=fact.id)
