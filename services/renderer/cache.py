"""Keep what was rendered: the digest for a key of inputs, and the sealed bytes of each bundle.

It is a cache: a file that is lost or damaged costs a render. What was used last stays longest, so the bundles that clusters
run outlive a restart and a lost bus.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from threading import get_ident

from shared.core.canonical import NotJSONError, decode, digest, encode
from shared.errors import Finding
from shared.messages.base import MessageError
from shared.messages.blobs import BlobRef, BundleRef

MAX_BYTES = 4 << 30
# Pruned to this part of the limit, so that not every store has to look at all files.
_AFTER_PRUNING = 0.9
_LOST = (OSError, NotJSONError, MessageError, KeyError, TypeError, ValueError)


class RenderCache:
    """Files below `folder`, at most `max_bytes` of them. All methods block, and may be called from any thread."""

    def __init__(self, folder: Path, max_bytes: int = MAX_BYTES) -> None:
        self._records = folder / "records"
        self._blobs = folder / "blobs"
        self._max_bytes = max_bytes
        for each in (self._records, self._blobs):
            each.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._bytes = self._prune()

    def get(self, key: str) -> tuple[BundleRef, tuple[Finding, ...]] | None:
        """Return the bundle that these inputs gave, with its warnings, if its bytes are here too."""
        try:
            record = decode((self._records / key).read_bytes())
            bundle = BundleRef.model_validate(record["bundle"])
            warnings = tuple(Finding(**each) for each in record["warnings"])
            for blob in _blobs(bundle):
                os.utime(self._blobs / blob.digest)
            os.utime(self._records / key)
        except _LOST:
            return None
        return bundle, warnings

    def put(self, key: str, bundle: BundleRef, blobs: dict[str, bytes], warnings: tuple[Finding, ...]) -> None:
        """Keep a bundle under the key of its inputs; `blobs` are its sealed bytes and key list by digest."""
        for name, content in blobs.items():
            if not (self._blobs / name).exists():
                self._write(self._blobs / name, content)
        record = {"bundle": bundle.model_dump(mode="json"), "warnings": [each.as_dict() for each in warnings]}
        self._write(self._records / key, encode(record))
        if self._bytes > self._max_bytes:
            self._bytes = self._prune()

    def blob(self, reference: BlobRef) -> bytes | None:
        """Return the stored bytes of a blob, if they are here and whole."""
        path = self._blobs / reference.digest
        try:
            content = path.read_bytes()
        except OSError:
            return None
        if digest(content) != reference.digest:
            path.unlink(missing_ok=True)
            return None
        return content

    def _write(self, path: Path, content: bytes) -> None:
        """Write a file whole or not at all. It need not survive a power cut: it is checked when it is read."""
        # A name of this thread's own: two may write the same content at the same time.
        fresh = f"{path.parent}/.{get_ident()}"
        try:
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb", buffering=0) as file:
                file.write(content)
            os.replace(fresh, path)  # noqa: PTH105  # as above
        except OSError:
            Path(fresh).unlink(missing_ok=True)
            raise
        self._bytes += len(content)

    def _prune(self) -> int:
        """Remove what nobody used for longest until it fits; return how many bytes are left."""
        files = sorted(self._files(), key=lambda each: each[0])
        total = sum(size for _, size, _ in files)
        if total > self._max_bytes:
            for _, size, path in files:
                if total <= self._max_bytes * _AFTER_PRUNING:
                    break
                path.unlink(missing_ok=True)
                total -= size
        return total

    def _files(self) -> Iterator[tuple[float, int, Path]]:
        for folder in (self._records, self._blobs):
            for path in folder.iterdir():
                with contextlib.suppress(FileNotFoundError):
                    status = path.stat()
                    yield status.st_mtime, status.st_size, path


def _blobs(bundle: BundleRef) -> list[BlobRef]:
    return [bundle.blob, *([bundle.keys] if bundle.keys else [])]
