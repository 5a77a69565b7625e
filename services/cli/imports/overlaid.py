"""A tree with some files added or replaced, without touching the disk."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence

from shared.core.trees import Entry, EntryKind, Tree
from shared.git.objects import ObjectKind, object_id


class OverlaidTree:
    """`tree` with `files` laid over it; they must stand in folders that are there."""

    def __init__(self, tree: Tree, files: Mapping[str, bytes]) -> None:
        self._tree = tree
        self._files = files

    def entry(self, path: str) -> Entry | None:
        """Return what stands at `path`, or None."""
        if path in self._files:
            return Entry(posixpath.basename(path), EntryKind.FILE, object_id(ObjectKind.BLOB, self._files[path]))
        return self._tree.entry(path)

    def folder(self, path: str) -> Sequence[Entry]:
        """Return the entries of the folder at `path`, sorted by name."""
        found = {each.name: each for each in self._tree.folder(path)}
        for file in self._files:
            if posixpath.dirname(file) == path and (entry := self.entry(file)) is not None:
                found[entry.name] = entry
        return [found[name] for name in sorted(found)]

    def read(self, path: str) -> bytes:
        """Return the content of the file at `path`.

        Raises:
            FileNotFoundError: no file stands there.
        """
        return self._files[path] if path in self._files else self._tree.read(path)
