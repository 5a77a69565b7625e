"""Have what the bus delivers at hand: bundles by digest, and the last desired document, so that healing needs no bus.

They are kept where a restart finds them; what cannot be kept there is held in memory, compressed and sealed as it
came, which is a tenth of its size.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from services.applier.documents import Blob, Bundle
from services.applier.keeping import Keeper
from services.applier.verify import BUNDLE_LIMIT_BYTES, ROSTER_LIMIT_BYTES, Refusal, RefusedError
from shared import subjects
from shared.bus.blobs import agent_place, fetch_blob
from shared.bus.connection import Bus
from shared.core.canonical import digest
from shared.core.seal import SealError, unseal

SEALED_LIMIT_BYTES = BUNDLE_LIMIT_BYTES
BUNDLES, DESIRED, ROSTER = "bundles", "desired", "roster"
RUNNING = "running"
"""Documents by which apps run whose newer release waits or is refused."""
REMEMBERED = 3
"""Documents that came a moment ago: an app that waits now runs by one of these."""


@dataclass(frozen=True, slots=True)
class LastDesired:
    """The last desired document that was accepted, and its roster, as they came."""

    envelope: bytes
    roster: bytes


Number = tuple[int, int]


@dataclass(slots=True)
class Content:
    """Bundles and documents of one agent."""

    cluster: str
    keeper: Keeper
    _held: dict[str, bytes] = field(default_factory=dict)
    _fetching: asyncio.Lock = field(default_factory=asyncio.Lock)
    _recent: deque[tuple[LastDesired, Mapping[str, Number]]] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    _running: dict[str, Number] = field(default_factory=dict)
    """App → release by which it runs and whose document is kept."""

    async def roster(self, bus: Bus, reference: Blob) -> bytes:
        """Fetch a roster's stored bytes."""
        return await fetch_blob(bus, agent_place(self.cluster), reference, limit_bytes=ROSTER_LIMIT_BYTES)

    async def bundle(self, bus: Bus, bundle: Bundle) -> bytes:
        """Return a bundle's sealed bytes, fetched when they are not at hand.

        Raises:
            TransientError: they cannot be had now.
            PermanentError: what the bus has under this name is something else.
        """
        async with self._fetching:  # one after the other: memory
            data = await self._read(bundle.blob.digest)
            if data is None:
                place = agent_place(subjects.SHARED)
                data = await fetch_blob(bus, place, bundle.blob, limit_bytes=SEALED_LIMIT_BYTES)
                if not await self.keeper.write(f"{BUNDLES}/{bundle.blob.digest}", data):
                    self._held[bundle.blob.digest] = data
            return data

    async def forget_others(self, live: Iterable[str], past: Iterable[str] = ()) -> None:
        """Drop the bundles that no release names any more; what is past costs no memory, but may be kept."""
        named = set(live)
        for name in [each for each in self._held if each not in named]:
            del self._held[name]
        async with self._fetching:
            await self.keeper.clear(BUNDLES, named.union(past))

    async def keep_desired(self, last: LastDesired, numbers: Mapping[str, Number]) -> None:
        """Keep the last accepted document, with these releases, for a start without the bus; first its roster."""
        self.remember(last, numbers)
        if await self.keeper.write(ROSTER, last.roster):
            await self.keeper.write(DESIRED, last.envelope)

    async def kept_desired(self) -> LastDesired | None:
        """Return what was kept; whether it may be believed is for `verify` to say."""
        envelope, roster = await self.keeper.read(DESIRED), await self.keeper.read(ROSTER)
        return LastDesired(envelope, roster) if envelope is not None and roster is not None else None

    def remember(self, last: LastDesired, numbers: Mapping[str, Number]) -> None:
        """Have a document at hand for as long as it is one of the last."""
        self._recent.append((last, dict(numbers)))

    async def keep_running(self, app: str, number: Number) -> None:
        """Keep the document by which an app runs, once, for its newer release does not count yet."""
        found = next((last for last, numbers in self._recent if numbers.get(app) == number), None)
        if found is None or self._running.get(app) == number:
            return
        size = len(found.envelope).to_bytes(4)
        if await self.keeper.write(f"{RUNNING}/{app}", size + found.envelope + found.roster):
            self._running[app] = number

    async def running(self, app: str) -> LastDesired | None:
        """Return the document by which an app ran when it was kept."""
        data = await self.keeper.read(f"{RUNNING}/{app}")
        if data is None:
            return None
        end = 4 + int.from_bytes(data[:4])
        return LastDesired(data[4:end], data[end:])

    async def _read(self, name: str) -> bytes | None:
        if (held := self._held.get(name)) is not None:
            return held
        data = await self.keeper.read(f"{BUNDLES}/{name}")
        return data if data is not None and digest(data) == name else None  # a damaged one is fetched again


def pieces(sealed: bytes, bundle: Bundle) -> Iterator[bytes]:
    """Yield the canonical bytes of a bundle.

    Raises:
        RefusedError: the key does not open it.
    """
    try:
        yield from unseal(sealed, bytes.fromhex(bundle.blob.key), BUNDLE_LIMIT_BYTES)
    except (SealError, ValueError) as error:
        raise RefusedError(Refusal.BUNDLE_DIGEST, f"the bundle cannot be opened: {error}") from error
