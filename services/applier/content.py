"""Have what the bus delivers at hand: bundles by digest, and the last desired document, so that healing needs no bus.

With a data folder they lie there and survive a restart without the bus; else in memory, compressed and sealed as they
came, which is a tenth of their size.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from services.applier.documents import Blob, Bundle
from services.applier.identity import FolderError, write_whole
from services.applier.verify import BUNDLE_LIMIT_BYTES, ROSTER_LIMIT_BYTES, Refusal, RefusedError
from shared import subjects
from shared.bus.blobs import agent_place, fetch_blob
from shared.bus.connection import Bus
from shared.core.canonical import digest
from shared.core.seal import SealError, unseal

SEALED_LIMIT_BYTES = BUNDLE_LIMIT_BYTES

log = structlog.get_logger("services.applier")


@dataclass(frozen=True, slots=True)
class LastDesired:
    """The last desired document that was accepted, and its roster, as they came."""

    envelope: bytes
    roster: bytes


@dataclass(slots=True)
class Content:
    """Bundles and documents of one agent."""

    cluster: str
    folder: Path | None
    _held: dict[str, bytes] = field(default_factory=dict)
    _fetching: asyncio.Lock = field(default_factory=asyncio.Lock)

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
            data = await asyncio.to_thread(self._read, bundle.blob.digest)
            if data is None:
                place = agent_place(subjects.SHARED)
                data = await fetch_blob(bus, place, bundle.blob, limit_bytes=SEALED_LIMIT_BYTES)
                await self._keep(bundle.blob.digest, data)
            return data

    async def forget_others(self, live: Iterable[str]) -> None:
        """Drop the bundles that no release names any more."""
        kept = set(live)
        for name in [each for each in self._held if each not in kept]:
            del self._held[name]
        if self.folder is not None:
            async with self._fetching:
                await asyncio.to_thread(_clear, self.folder / "bundles", kept)

    async def keep_desired(self, last: LastDesired) -> None:
        """Keep the last accepted document for a start without the bus."""
        if self.folder is None:
            return
        try:
            await asyncio.to_thread(write_whole, self.folder / "roster", last.roster)
            await asyncio.to_thread(write_whole, self.folder / "desired", last.envelope)
        except FolderError as error:
            log.warning("desired_not_kept", error=error.message)

    async def kept_desired(self) -> LastDesired | None:
        """Return what was kept; whether it may be believed is for `verify` to say."""
        return await asyncio.to_thread(self._kept_desired)

    def _kept_desired(self) -> LastDesired | None:
        if self.folder is None:
            return None
        try:
            return LastDesired((self.folder / "desired").read_bytes(), (self.folder / "roster").read_bytes())
        except OSError:
            return None

    async def _keep(self, name: str, data: bytes) -> None:
        if self.folder is not None:
            try:
                await asyncio.to_thread(write_whole, self.folder / "bundles" / name, data)
            except FolderError as error:
                log.warning("bundle_not_kept", error=error.message)
            else:
                return
        self._held[name] = data

    def _read(self, name: str) -> bytes | None:
        if self.folder is None or name in self._held:
            return self._held.get(name)
        try:
            data = (self.folder / "bundles" / name).read_bytes()
        except OSError:
            return None
        return data if digest(data) == name else None  # a damaged file is fetched again


def pieces(sealed: bytes, bundle: Bundle) -> Iterator[bytes]:
    """Yield the canonical bytes of a bundle.

    Raises:
        RefusedError: the key does not open it.
    """
    try:
        yield from unseal(sealed, bytes.fromhex(bundle.blob.key), BUNDLE_LIMIT_BYTES)
    except (SealError, ValueError) as error:
        raise RefusedError(Refusal.BUNDLE_DIGEST, f"the bundle cannot be opened: {error}") from error


def _clear(folder: Path, kept: set[str]) -> None:
    if folder.is_dir():
        for file in folder.iterdir():
            if file.name not in kept:
                file.unlink(missing_ok=True)
