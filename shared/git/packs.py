"""Packs: the objects of one tree that another tree lacks, as bytes.

A pack is a magic line, then records: kind (1 byte), length (4 bytes, big endian), content. An object comes after all
objects that it names, so that a reader who keeps what it took never holds a tree with a hole. The last record has kind
0 and, in place of a length, the number of objects: a pack cut short is noticed.

Git's own format is not used: libgit2's indexer is not reachable from Python, and whole objects that are compressed
together become as small as git's deltas for one commit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from struct import Struct

from shared.core.trees import EntryKind
from shared.errors import PermanentError
from shared.git.objects import ObjectKind, raw_entries
from shared.git.trees import Read

MAGIC = b"towline-pack/1\n"
DEPTH = 128

_RECORD = Struct(">BI")
_END = 0


class BadPackError(PermanentError):
    """Bytes are not a whole pack."""

    code = "pack.malformed"


class TooLargeError(PermanentError):
    """A tree or a pack is larger than the hub takes."""

    code = "source.too-large"


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a pack may hold."""

    objects: int = 500_000
    object_bytes: int = 64 << 20
    total_bytes: int = 512 << 20


LIMITS = Limits()


def pack_of(read: Read, tree_id: str, without: str | None = None, limits: Limits = LIMITS) -> bytes:
    """Return the pack of the objects of `tree_id` that `without` does not hold.

    Raises:
        TooLargeError: the objects exceed `limits`.
        MissingObjectError: the repository lacks an object.
    """
    return b"".join(encoded(objects_of(read, tree_id, without), limits))


def objects_of(read: Read, tree_id: str, without: str | None = None) -> Iterator[tuple[ObjectKind, bytes]]:
    """Yield each object of `tree_id` that `without` does not hold, after all objects that it names.

    Raises:
        TooLargeError: folders are nested too deeply.
    """
    seen = set(_ids(read, without)) if without else set()
    return _missing(read, tree_id, seen, DEPTH)


def encoded(objects: Iterable[tuple[ObjectKind, bytes]], limits: Limits = LIMITS) -> Iterator[bytes]:
    """Yield the bytes of a pack, object by object.

    Raises:
        TooLargeError: the objects exceed `limits`.
    """
    yield MAGIC
    count = total = 0
    for kind, data in objects:
        count, total = count + 1, total + len(data)
        _check(count, len(data), total, limits)
        yield _RECORD.pack(kind, len(data))
        yield data
    yield _RECORD.pack(_END, count)


def decoded(pieces: Iterable[bytes], limits: Limits = LIMITS) -> Iterator[tuple[ObjectKind, bytes]]:
    """Yield the objects of a pack that arrives in `pieces` of any size.

    Raises:
        BadPackError: it is no pack, is cut short, or goes on after its end.
        TooLargeError: it exceeds `limits`.
    """
    stream = _Stream(pieces)
    if stream.take(len(MAGIC)) != MAGIC:
        raise BadPackError("bytes are not a pack of a version that is known here")
    count = total = 0
    while True:
        number, length = _RECORD.unpack(stream.take(_RECORD.size))
        if number == _END:
            break
        if number not in set(ObjectKind):
            raise BadPackError(f"pack holds an object of unknown kind {number}")
        count, total = count + 1, total + length
        _check(count, length, total, limits)
        yield ObjectKind(number), stream.take(length)
    if length != count:
        raise BadPackError(f"pack holds {count} objects, its end promises {length}")
    if not stream.at_end():
        raise BadPackError("pack goes on after its end")


def named_by(kind: ObjectKind, data: bytes) -> Iterator[tuple[EntryKind, str]]:
    """Yield kind and id of the objects that an object names and a tree needs; commits of submodules are not among them."""
    if kind is ObjectKind.TREE:
        for entry in raw_entries(data):
            if entry.kind is not EntryKind.SUBMODULE:
                yield entry.kind, entry.id


def _ids(read: Read, tree_id: str) -> Iterator[str]:
    """Yield the ids of everything in a tree; a folder that stands in several places is read once."""
    waiting, seen = [tree_id], {tree_id}
    while waiting:
        folder = waiting.pop()
        yield folder
        for kind, object_id in named_by(*read(folder)):
            if object_id in seen:
                continue
            seen.add(object_id)
            if kind is EntryKind.FOLDER:
                waiting.append(object_id)
            else:
                yield object_id


def _missing(read: Read, object_id: str, seen: set[str], depth: int) -> Iterator[tuple[ObjectKind, bytes]]:
    if object_id in seen:
        return
    if depth == 0:
        raise TooLargeError(f"folders are nested deeper than {DEPTH}", hint="flatten the repository")
    seen.add(object_id)
    kind, data = read(object_id)
    for _, member in named_by(kind, data):
        yield from _missing(read, member, seen, depth - 1)
    yield kind, data


def _check(count: int, size_bytes: int, total_bytes: int, limits: Limits) -> None:
    hint = "keep large files out of the repository, or raise the limit"
    if size_bytes > limits.object_bytes:
        raise TooLargeError(f"a file of {size_bytes} bytes exceeds the limit of {limits.object_bytes}", hint=hint)
    if count > limits.objects:
        raise TooLargeError(f"the tree has more than {limits.objects} files and folders", hint=hint)
    if total_bytes > limits.total_bytes:
        raise TooLargeError(f"the tree holds more than {limits.total_bytes} bytes", hint=hint)


class _Stream:
    """Bytes that arrive in pieces, taken by count."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._piece = memoryview(b"")

    def take(self, size: int) -> bytes:
        """Return exactly `size` bytes."""
        taken = bytearray()
        while len(taken) < size:
            if not self._piece and not self._next():
                raise BadPackError("pack is cut short")
            part = self._piece[: size - len(taken)]
            taken += part
            self._piece = self._piece[len(part) :]
        return bytes(taken)

    def at_end(self) -> bool:
        """Tell whether nothing is left."""
        return not self._piece and not self._next()

    def _next(self) -> bool:
        """Move to the next piece that is not empty; False when there is none."""
        self._piece = memoryview(next((piece for piece in self._pieces if piece), b""))
        return bool(self._piece)
