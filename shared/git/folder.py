"""A checkout on disk, with the ids that git would give.

Everything in the folder counts, ignored files too; `.git` does not. No configuration, attribute or filter is read, so
the same files have the same ids for everybody.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from shared.core.trees import Entry, EntryKind
from shared.git.objects import NULL_ID, ObjectKind, UnsafeNameError, object_id, tree_bytes
from shared.git.trees import ListedTree


class FolderTree(ListedTree):
    """The files below `root` as they were when this was made; contents are read when they are asked for."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._listings: dict[str, Mapping[str, Entry]] = {}
        super().__init__(self._scan(""))

    def _listing(self, path: str) -> Mapping[str, Entry]:
        return self._listings.get(path, {})

    def _content(self, path: str, entry: Entry) -> bytes:
        if entry.kind is EntryKind.SYMLINK:
            return _target(self._root / path)
        return (self._root / path).read_bytes()

    def _scan(self, path: str) -> str:
        """List the folder at `path` with all below it, and return its tree id."""
        found: dict[str, Entry] = {}
        with os.scandir(self._root / path) as members:
            for member in sorted(members, key=lambda each: each.name):
                entry = None if member.name == ".git" else self._entry(path, member)
                if entry is not None:
                    found[member.name] = entry
        self._listings[path] = found
        return object_id(ObjectKind.TREE, tree_bytes(found.values()))

    def _entry(self, parent: str, member: os.DirEntry[str]) -> Entry | None:
        """Return the entry of `member`; None for what git has no entry for: empty folders, sockets, devices."""
        path = f"{parent}/{member.name}" if parent else member.name
        try:
            member.name.encode()
        except UnicodeEncodeError as error:
            raise UnsafeNameError(f"the name of {path!r} is not UTF-8", hint="rename it") from error
        if member.is_symlink():
            return Entry(member.name, EntryKind.SYMLINK, object_id(ObjectKind.BLOB, _target(member.path)))
        if member.is_dir():
            if Path(member.path, ".git").exists():
                # Git would name the commit checked out there; nobody reads into it, so its id says nothing.
                return Entry(member.name, EntryKind.SUBMODULE, NULL_ID)
            tree = self._scan(path)
            return Entry(member.name, EntryKind.FOLDER, tree) if self._listings[path] else None
        if member.is_file():
            kind = EntryKind.EXECUTABLE if member.stat().st_mode & 0o100 else EntryKind.FILE
            return Entry(member.name, kind, object_id(ObjectKind.BLOB, _bytes(member.path)))
        return None


def _bytes(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        # One that comes up while reading, as in /proc, does not say where.
        error.filename = path
        raise


def _target(link: os.PathLike[str] | str) -> bytes:
    """Return what the link says, byte for byte."""
    return os.readlink(os.fsencode(link))  # noqa: PTH115  # pathlib would tidy `./a` into `a`, another id
