"""A tree of files as git has it: paths are `a/b/c`, the root is the empty path.

Readers of trees (the fleet format, the engines) take this protocol, so that a commit in a mirror, a checkout on disk
and a mapping in a test read the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol


class EntryKind(StrEnum):
    """What a name in a folder stands for."""

    FILE = "file"
    EXECUTABLE = "executable"
    FOLDER = "folder"
    SYMLINK = "symlink"
    SUBMODULE = "submodule"


class Entry(NamedTuple):
    """One name in a folder; `id` is the git object id in hex, equal exactly when the content below is equal."""

    name: str
    kind: EntryKind
    id: str


class Tree(Protocol):
    """A readable tree of files."""

    def entry(self, path: str) -> Entry | None:
        """Return what stands at `path`, or None; the root is a folder named by the empty string."""

    def folder(self, path: str) -> Sequence[Entry]:
        """Return the entries of the folder at `path`, sorted by name; empty when there is no such folder."""

    def read(self, path: str) -> bytes:
        """Return the content of the file at `path` (of a symlink: its target).

        Raises:
            FileNotFoundError: no file stands there.
        """
