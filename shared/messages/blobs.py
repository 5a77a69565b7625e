"""References to content on the bus."""

from __future__ import annotations

from shared.messages.base import Part

CHUNK_BYTES = 512 * 1024


class BlobRef(Part):
    """Bytes stored in chunks of 512 KiB under their digest."""

    digest: str
    """sha256 in hex of the stored bytes."""
    bytes: int
    """How many bytes are stored."""
    key: str = ""
    """Content key in hex; empty when the bytes are compressed only."""

    @property
    def chunks(self) -> int:
        """Return how many chunks there are: at least one."""
        return max(1, -(-self.bytes // CHUNK_BYTES))


class BundleRef(Part):
    """A bundle: what it is, and where its sealed bytes are."""

    digest: str
    """sha256 in hex of the bundle's canonical bytes: its identity."""
    size: int
    """Bytes of the canonical form."""
    objects: int
    blob: BlobRef
    """The sealed bytes, audience `shared`."""
    keys: BlobRef | None = None
    """The list of object keys, one a line, audience `hub`; absent in rosters."""
