"""Store content by digest, in chunks, writing only what is not there yet."""

from __future__ import annotations

import hashlib

from shared.bus.blobs import WINDOW, Place, stored_chunks
from shared.bus.connection import Bus
from shared.bus.together import each_of
from shared.messages.blobs import CHUNK_BYTES, BlobRef


async def store_blob(bus: Bus, place: Place, data: bytes) -> BlobRef:
    """Store `data` and return its reference, without a key.

    A chunk's message id is random like every other: an id that named the content would have a chunk that was purged
    and is written again acknowledged and not stored.

    Raises:
        BusUnavailableError: not everything was stored, the stream may be full (`bus.full`).
    """
    reference = BlobRef(digest=hashlib.sha256(data).hexdigest(), bytes=len(data))
    present = await stored_chunks(bus, place, reference.digest)
    view = memoryview(data)
    missing = [index for index in range(reference.chunks) if place.subject(reference.digest, index) not in present]

    async def store(index: int) -> None:
        chunk = bytes(view[index * CHUNK_BYTES : (index + 1) * CHUNK_BYTES])
        await bus.publish(place.subject(reference.digest, index), chunk)

    await each_of(store, missing, at_once=WINDOW)
    return reference
