"""Fetch content by digest: chunks with a small window, counted, joined, checked.

Agents import this module, so it stays free of pydantic; storing is in `shared.bus.storing`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from shared import subjects
from shared.bus.connection import Bus, Stored
from shared.bus.together import each_of
from shared.errors import PermanentError, TransientError

CHUNK_BYTES = 512 * 1024
"""Equal to that of `shared.messages.blobs`, which agents cannot afford to import."""
WINDOW = 4
CHUNK_S = 15.0

_DIGEST = re.compile(r"[0-9a-f]{64}")


class MissingBlobError(TransientError):
    """A chunk is not on the bus; whoever owns the content will publish it again."""

    code = "blob.missing"


class DamagedBlobError(PermanentError):
    """What is on the bus is not what the reference names."""

    code = "blob.damaged"


class Reference(Protocol):
    """Names content: sha256 of the stored bytes, and how many there are."""

    @property
    def digest(self) -> str:
        """Return sha256 in hex."""

    @property
    def bytes(self) -> int:
        """Return the size."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where content is: a stream for the hub's programs, none for agents, who ask by subject."""

    stream: str
    subject: Callable[[str, int], str]


def blob_place(audience: str) -> Place:
    """Return the place of an audience's blobs: a cluster, `shared` or `hub`."""
    return Place(subjects.BLOBS, lambda digest, index: subjects.blob(audience, digest, index))


def pack_place(source: str) -> Place:
    """Return the place of a source's packs."""
    return Place(subjects.SOURCES, lambda digest, index: subjects.pack(source, digest, index))


def agent_place(audience: str) -> Place:
    """Return the place of an audience's blobs as agents reach it."""
    return Place("", lambda digest, index: subjects.blob(audience, digest, index))


def chunks_of(size: int) -> int:
    """Return how many chunks hold `size` bytes: at least one."""
    return max(1, -(-size // CHUNK_BYTES))


async def fetch_blob(bus: Bus, place: Place, reference: Reference, *, limit_bytes: int) -> bytes:
    """Return the bytes that `reference` names.

    Raises:
        MissingBlobError: a chunk is not there.
        DamagedBlobError: the content is larger than `limit_bytes`, or not what the digest says.
        BusUnavailableError: the bus did not answer.
    """
    if not _DIGEST.fullmatch(reference.digest) or reference.bytes < 0:
        raise DamagedBlobError(f"{reference.digest!r} of {reference.bytes} bytes is no reference to content")
    if reference.bytes > limit_bytes:
        raise DamagedBlobError(
            f"blob {reference.digest} has {reference.bytes} bytes, {limit_bytes} are allowed", code="blob.too-large"
        )
    parts: list[bytes] = [b""] * chunks_of(reference.bytes)

    async def fetch(index: int) -> None:
        parts[index] = await _chunk(bus, place, reference, index)

    await each_of(fetch, range(len(parts)), at_once=WINDOW)
    content = b"".join(parts)
    if len(content) != reference.bytes or hashlib.sha256(content).hexdigest() != reference.digest:
        raise DamagedBlobError(
            f"blob {reference.digest}: the bytes on the bus have another digest", hint="publish it again"
        )
    return content


async def has_blob(bus: Bus, place: Place, reference: Reference) -> bool:
    """Return whether every chunk is on the bus; for hub programs it costs one question."""
    names = [place.subject(reference.digest, index) for index in range(chunks_of(reference.bytes))]
    if place.stream:
        found = await stored_chunks(bus, place, reference.digest)
        return all(name in found for name in names)
    for name in names:
        if await bus.request(name, timeout_s=CHUNK_S) is None:
            return False
    return True


async def stored_chunks(bus: Bus, place: Place, digest: str) -> frozenset[str]:
    """Return the subjects of the chunks of `digest` that a stream holds."""
    pattern = place.subject(digest, 0).rpartition(".")[0] + ".*"
    return frozenset(await bus.stored_subjects(place.stream, pattern))


async def _chunk(bus: Bus, place: Place, reference: Reference, index: int) -> bytes:
    subject = place.subject(reference.digest, index)
    stored: Stored | None
    if place.stream:
        stored = await bus.last(place.stream, subject)
    else:
        stored = await bus.request(subject, timeout_s=CHUNK_S)
    if stored is None:
        raise MissingBlobError(f"blob {reference.digest}: chunk {index} is not on the bus")
    if len(stored.data) > CHUNK_BYTES:
        raise DamagedBlobError(f"blob {reference.digest}: chunk {index} is larger than a chunk")
    return stored.data
