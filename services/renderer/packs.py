"""Bring the trees of a request here: by the packs that this store lacks, oldest first."""

from __future__ import annotations

import asyncio

from shared.bus.blobs import DamagedBlobError, MissingBlobError, fetch_blob, pack_place
from shared.bus.connection import Bus
from shared.core.seal import SealError, unseal
from shared.errors import TransientError
from shared.git.packs import LIMITS, BadPackError
from shared.git.store import IncompletePackError, ObjectStore
from shared.git.trees import GitTree, MissingObjectError
from shared.messages.blobs import BlobRef
from shared.messages.sources import Checkout

# A pack compresses to less than it holds, noise to a little more.
STORED_BYTES = LIMITS.total_bytes + (64 << 20)


class LostPacksError(TransientError):
    """Packs are no longer on the bus, or do not give the tree they should: the poller must publish a full one."""

    code = "source.lost-packs"

    def __init__(self, repository: str, digests: tuple[str, ...]) -> None:
        super().__init__(
            f"{repository}: {len(digests)} packs are not on the bus", hint="the poller publishes them again"
        )
        self.digests = digests


class Trees:
    """The trees that the renderer holds."""

    def __init__(self, bus: Bus, store: ObjectStore) -> None:
        self._bus = bus
        self._store = store
        self._lock = asyncio.Lock()
        self._taken: set[str] = set()

    async def of(self, source: str, checkout: Checkout) -> GitTree:
        """Return the tree of `checkout`; `source` is where its packs stand on the bus.

        Raises:
            LostPacksError: its packs are not there, or are not what they should be.
            BusUnavailableError: the bus did not answer.
        """
        async with self._lock:
            try:
                return await asyncio.to_thread(self._store.tree, checkout.commit.tree)
            except MissingObjectError:
                await self._fetch(source, checkout)
            try:
                return await asyncio.to_thread(self._store.tree, checkout.commit.tree)
            except MissingObjectError as error:
                raise _lost(checkout) from error

    async def forget(self) -> None:
        """Drop everything: the store was found damaged."""
        async with self._lock:
            self._taken.clear()
            await asyncio.to_thread(self._store.reset)

    async def prune(self, keep: set[str]) -> None:
        """Drop what none of the trees `keep` holds."""
        async with self._lock:
            self._taken.clear()
            await asyncio.to_thread(self._store.prune, keep)

    async def _fetch(self, source: str, checkout: Checkout) -> None:
        """Take the packs that were not taken yet; if they build on what is gone, take all."""
        fresh = [pack for pack in checkout.packs if pack.digest not in self._taken]
        for packs in (fresh, checkout.packs):
            try:
                for pack in packs:
                    await self._take(source, pack)
            except IncompletePackError:
                continue
            except (MissingBlobError, DamagedBlobError, SealError, BadPackError) as error:
                raise _lost(checkout) from error
            if await asyncio.to_thread(self._store.has, checkout.commit.tree):
                return

    async def _take(self, source: str, pack: BlobRef) -> None:
        sealed = await fetch_blob(self._bus, pack_place(source), pack, limit_bytes=STORED_BYTES)
        limit_bytes = LIMITS.total_bytes + LIMITS.objects * 16
        await asyncio.to_thread(lambda: self._store.add_pack(unseal(sealed, bytes.fromhex(pack.key), limit_bytes)))
        self._taken.add(pack.digest)


def _lost(checkout: Checkout) -> LostPacksError:
    return LostPacksError(checkout.repository, tuple(pack.digest for pack in checkout.packs))
