"""Content by digest over the bus: stored once, fetched in chunks, checked."""

import os

import pytest

from shared import subjects
from shared.bus.blobs import (
    CHUNK_BYTES,
    DamagedBlobError,
    MissingBlobError,
    agent_place,
    blob_place,
    fetch_blob,
    has_blob,
    pack_place,
)
from shared.bus.storing import store_blob
from shared.messages import blobs as messages


async def test_a_blob_of_many_chunks_arrives_at_the_agent_unchanged(connect):
    renderer, agent = await connect("renderer"), await connect("c1")
    data = os.urandom(5 * CHUNK_BYTES + 17)

    reference = await store_blob(renderer, blob_place(subjects.SHARED), data)

    assert reference.chunks == 6
    assert await has_blob(renderer, blob_place(subjects.SHARED), reference)
    assert await has_blob(agent, agent_place(subjects.SHARED), reference)
    assert await fetch_blob(agent, agent_place(subjects.SHARED), reference, limit_bytes=len(data)) == data


async def test_an_empty_pack_and_one_of_exactly_a_chunk(connect):
    poller, renderer = await connect("poller"), await connect("renderer")

    for data in (b"", b"x" * CHUNK_BYTES):
        reference = await store_blob(poller, pack_place("fleet"), data)
        assert reference.chunks == 1
        assert await fetch_blob(renderer, pack_place("fleet"), reference, limit_bytes=CHUNK_BYTES) == data


async def test_storing_again_writes_nothing_and_storing_after_a_purge_writes_it(connect):
    """Finding 7: a message id that names the content would lose the second writing."""
    releaser, steward = await connect("releaser"), await connect("steward")
    place, data = blob_place("c1"), b"roster"
    reference = await store_blob(releaser, place, data)

    async def last_sequence():
        return (await steward.api("STREAM.INFO.BLOBS", {}))["state"]["last_seq"]

    await store_blob(releaser, place, data)
    assert await last_sequence() == 1

    await releaser.purge(subjects.BLOBS, subjects.blob("c1", reference.digest, 0))
    assert not await has_blob(releaser, place, reference)
    await store_blob(releaser, place, data)
    assert await has_blob(releaser, place, reference)


async def test_missing_damaged_and_oversized_content_is_told_apart(connect):
    releaser, agent = await connect("releaser"), await connect("c1")
    place = agent_place("c1")
    good = await store_blob(releaser, blob_place("c1"), b"content")
    absent = good.model_copy(update={"digest": "0" * 64})
    swapped = good.model_copy(update={"digest": "1" * 64})
    await releaser.publish(subjects.blob("c1", swapped.digest, 0), b"another")

    with pytest.raises(MissingBlobError):
        await fetch_blob(agent, place, absent, limit_bytes=100)
    with pytest.raises(DamagedBlobError, match="another digest"):
        await fetch_blob(agent, place, swapped, limit_bytes=100)
    with pytest.raises(DamagedBlobError, match="6 are allowed"):
        await fetch_blob(agent, place, good, limit_bytes=6)
    with pytest.raises(DamagedBlobError, match="no reference"):
        await fetch_blob(agent, place, good.model_copy(update={"digest": "*.*"}), limit_bytes=100)


def test_writers_and_readers_cut_content_alike():
    assert messages.CHUNK_BYTES == CHUNK_BYTES
