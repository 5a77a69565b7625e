"""Git's objects as bytes: their ids, and what a tree's bytes say.

Trees are read from their bytes instead of through a library, because git stores whatever it is given: names such as
`..` and `.git`, names with a slash, names that are no text [measured]. Here they are refused by name, before anybody
makes a path of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from enum import IntEnum
from typing import NamedTuple

from shared.core.trees import Entry, EntryKind
from shared.errors import PermanentError

NULL_ID = "0" * 40

_ID_BYTES = 20
_KINDS = {
    0o100644: EntryKind.FILE,
    0o100664: EntryKind.FILE,  # written by early versions of git
    0o100755: EntryKind.EXECUTABLE,
    0o040000: EntryKind.FOLDER,
    0o120000: EntryKind.SYMLINK,
    0o160000: EntryKind.SUBMODULE,
}
_MODES = {
    EntryKind.FILE: b"100644",
    EntryKind.EXECUTABLE: b"100755",
    EntryKind.FOLDER: b"40000",
    EntryKind.SYMLINK: b"120000",
    EntryKind.SUBMODULE: b"160000",
}


class BadObjectError(PermanentError):
    """Bytes are not the git object that they should be."""

    code = "source.bad-object"


class UnsafeNameError(PermanentError):
    """A tree holds a name that is no file name."""

    code = "source.unsafe-name"


class ObjectKind(IntEnum):
    """The kinds of object that a tree is made of, by git's numbers."""

    TREE = 2
    BLOB = 3


class RawEntry(NamedTuple):
    """One entry of a tree as its bytes have it."""

    kind: EntryKind
    name: bytes
    id: str


def object_id(kind: ObjectKind, data: bytes) -> str:
    """Return the id that git gives to an object, in hex."""
    header = b"%s %d\0" % (kind.name.lower().encode(), len(data))
    return hashlib.sha1(header + data, usedforsecurity=False).hexdigest()


def raw_entries(data: bytes) -> Iterator[RawEntry]:
    """Yield the entries of a tree's bytes, in git's order.

    Raises:
        BadObjectError: they are not a tree.
    """
    position = 0
    while position < len(data):
        space = data.find(b" ", position, position + 8)
        end = data.find(b"\0", space + 1)
        stop = end + 1 + _ID_BYTES
        if space < 0 or end < 0 or stop > len(data):
            raise BadObjectError("a tree of the repository is cut short or is no tree")
        yield RawEntry(_kind(data[position:space]), data[space + 1 : end], data[end + 1 : stop].hex())
        position = stop


def entries(data: bytes, place: str = "") -> list[Entry]:
    """Return the entries of a tree's bytes, sorted by name; `place` is its path, for the error.

    Raises:
        BadObjectError: they are not a tree.
        UnsafeNameError: a name could lead out of the tree, or is no UTF-8.
    """
    found = []
    for raw in raw_entries(data):
        try:
            name = raw.name.decode()
        except UnicodeDecodeError as error:
            raise _unsafe(repr(raw.name), place) from error
        if not is_safe(name):
            raise _unsafe(repr(name), place)
        found.append(Entry(name, raw.kind, raw.id))
    return sorted(found)


def is_safe(name: str) -> bool:
    """Tell whether `name` stands for something inside its folder on every machine."""
    return name not in {"", ".", ".."} and "/" not in name and "\0" not in name and name.lower() != ".git"


def tree_bytes(members: Iterable[Entry]) -> bytes:
    """Return the bytes of the tree with these entries."""
    # Git sorts a folder as if its name ended with a slash.
    ordered = sorted((e.name.encode() + b"/" * (e.kind is EntryKind.FOLDER), e) for e in members)
    return b"".join(b"%s %s\0%s" % (_MODES[e.kind], e.name.encode(), bytes.fromhex(e.id)) for _, e in ordered)


def _kind(mode: bytes) -> EntryKind:
    try:
        return _KINDS[int(mode, 8)]
    except (ValueError, KeyError) as error:
        raise BadObjectError(f"a tree of the repository has an entry of unknown mode {mode!r}") from error


def _unsafe(name: str, place: str) -> UnsafeNameError:
    return UnsafeNameError(
        f"the folder {place or '/'} holds the name {name}, which is no safe file name",
        hint="remove it from the repository",
    )
