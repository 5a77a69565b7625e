"""Bring the archives of charts here that a request names, and keep them by their digest."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from services.renderer.packs import LostPacksError
from shared.bus.blobs import DamagedBlobError, MissingBlobError, fetch_blob, pack_place
from shared.bus.connection import Bus
from shared.core.seal import SealError, unseal
from shared.fleet.locks import ARCHIVE_BYTES
from shared.messages.blobs import BlobRef
from shared.messages.sources import ChartArchive
from shared.runtime.files import replace_file

# What is sealed is a little larger.
_STORED_BYTES = ARCHIVE_BYTES + (1 << 20)


class ChartArchives:
    """The archives that the renderer holds, files in `folder`."""

    def __init__(self, bus: Bus, folder: Path) -> None:
        self._bus = bus
        self._folder = folder
        self._lock = asyncio.Lock()

    async def of(self, source: str, named: Iterable[ChartArchive]) -> Mapping[str, Callable[[], bytes]]:
        """Return readers of the archives that are here, by digest, once those that are `named` are, as far as possible.

        `source` is where they are on the bus.

        Raises:
            LostPacksError: one is no longer there, or is not what it should be.
            BusUnavailableError: the bus did not answer.
        """
        async with self._lock:
            here = await asyncio.to_thread(self._here)
            for each in named:
                if each.blob is not None and each.digest not in here:
                    here[each.digest] = path = self._folder / f"{each.digest}.tgz"
                    await self._fetch(source, each, each.blob, path)
        return {digest: path.read_bytes for digest, path in here.items()}

    def _here(self) -> dict[str, Path]:
        return {path.stem: path for path in self._folder.glob("*.tgz") if not path.name.startswith(".")}

    async def prune(self, keep: Iterable[str]) -> None:
        """Drop what is not among these digests."""
        async with self._lock:
            await asyncio.to_thread(self._drop, {f"{digest}.tgz" for digest in keep})

    def _drop(self, names: set[str]) -> None:
        for path in self._folder.glob("*.tgz"):
            if path.name not in names:
                path.unlink(missing_ok=True)

    async def _fetch(self, source: str, chart: ChartArchive, blob: BlobRef, path: Path) -> None:
        try:
            sealed = await fetch_blob(self._bus, pack_place(source), blob, limit_bytes=_STORED_BYTES)
            content = await asyncio.to_thread(lambda: b"".join(unseal(sealed, bytes.fromhex(blob.key), ARCHIVE_BYTES)))
        except (MissingBlobError, DamagedBlobError, SealError) as error:
            raise LostPacksError(chart.url, (blob.digest,)) from error
        if hashlib.sha256(content).hexdigest() != chart.digest:
            raise LostPacksError(chart.url, (blob.digest,))
        await asyncio.to_thread(self._put, path, content)

    def _put(self, path: Path, content: bytes) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        replace_file(path, content)
