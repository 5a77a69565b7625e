"""Trees as git has them, read folder by folder, each folder once.

Looking up a path through the library walks a folder again for every name in it: 0.3 ms each in a folder of a thousand
entries, against 7 ms for reading that folder once [measured].
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from shared.core.trees import Entry, EntryKind
from shared.errors import TransientError
from shared.git.objects import BadObjectError, ObjectKind, entries

if TYPE_CHECKING:
    import pygit2

FOLDERS_KEPT = 8192
FILE_BYTES, FILES_BYTES = 16 << 10, 4 << 20
"""How large files are that are kept once they were read, and how much of them: bases are read by many apps of a commit."""
ENTRIES_KEPT = 200_000

Read = Callable[[str], tuple[ObjectKind, bytes]]


class MissingObjectError(TransientError):
    """An object is not here, or cannot be read."""

    code = "source.incomplete"


class ListedTree(ABC):
    """A tree that is known once the entries of its folders are."""

    def __init__(self, root_id: str) -> None:
        self.root_id = root_id

    def entry(self, path: str) -> Entry | None:
        """Return what stands at `path`, or None; the root is a folder named by the empty string."""
        if not path:
            return Entry("", EntryKind.FOLDER, self.root_id)
        parent, slash, name = path.rpartition("/")
        return None if slash and not parent else self._listing(parent).get(name)

    def folder(self, path: str) -> Sequence[Entry]:
        """Return the entries of the folder at `path`, sorted by name; empty when there is no such folder."""
        return tuple(self._listing(path).values())

    def read(self, path: str) -> bytes:
        """Return the content of the file at `path` (of a symlink: its target).

        Raises:
            FileNotFoundError: no file stands there.
        """
        found = self.entry(path)
        if found is None or found.kind in {EntryKind.FOLDER, EntryKind.SUBMODULE}:
            raise FileNotFoundError(path)
        return self._content(path, found)

    @abstractmethod
    def _listing(self, path: str) -> Mapping[str, Entry]:
        """Return the entries of the folder at `path` by name, in order; empty when there is no such folder."""

    @abstractmethod
    def _content(self, path: str, entry: Entry) -> bytes:
        """Return the bytes of the file `entry` at `path`."""


class Listings:
    """What the folders of a store hold, by their id and so for all its trees: from commit to commit few of them change."""

    def __init__(self) -> None:
        self._known: dict[str, Mapping[str, Entry]] = {}
        self._entries = 0

    def get(self, folder_id: str) -> Mapping[str, Entry] | None:
        """Return the entries by name, if they are known."""
        return self._known.get(folder_id)

    def keep(self, folder_id: str, listing: Mapping[str, Entry]) -> None:
        """Keep the entries of a folder; what was kept before goes when it is too much."""
        self._entries += len(listing) + 1
        if self._entries > ENTRIES_KEPT:
            self._known, self._entries = {}, len(listing) + 1
        self._known[folder_id] = listing


class GitTree(ListedTree):
    """The tree `root_id` of a repository's objects.

    Every method raises `MissingObjectError` when an object is not there, and `UnsafeNameError` or `BadObjectError` when
    a folder on the way is not what a tree should be.
    """

    def __init__(self, read: Read, root_id: str, listings: Listings | None = None) -> None:
        super().__init__(root_id)
        self._read = read
        self._listings = listings or Listings()
        self._of_path = lru_cache(maxsize=FOLDERS_KEPT)(self._listed)
        self._files: dict[str, bytes] = {}
        self._file_bytes = 0

    def _listing(self, path: str) -> Mapping[str, Entry]:
        return self._of_path(path)

    def _listed(self, path: str) -> Mapping[str, Entry]:
        found = self.entry(path)
        if found is None or found.kind is not EntryKind.FOLDER:
            return {}
        listing = self._listings.get(found.id)
        if listing is None:
            listing = {entry.name: entry for entry in entries(self._object(ObjectKind.TREE, found.id), path)}
            self._listings.keep(found.id, listing)
        return listing

    def _content(self, path: str, entry: Entry) -> bytes:  # noqa: ARG002  # the id says it all
        content = self._files.get(entry.id)
        if content is None:
            content = self._object(ObjectKind.BLOB, entry.id)
            if len(content) <= FILE_BYTES and self._file_bytes < FILES_BYTES:
                self._file_bytes += len(content)
                self._files[entry.id] = content
        return content

    def _object(self, wanted: ObjectKind, object_id: str) -> bytes:
        kind, data = self._read(object_id)
        if kind is not wanted:
            raise BadObjectError(f"object {object_id} is a {kind.name.lower()} where a {wanted.name.lower()} should be")
        return data


def reader_of(repository: pygit2.Repository) -> Read:
    """Return a function that reads objects of `repository`; it raises `MissingObjectError`."""
    import pygit2  # noqa: PLC0415  # the command reads checkouts on machines that have no pygit2

    database = repository.odb

    def read(object_id: str) -> tuple[ObjectKind, bytes]:
        try:
            kind, data = database.read(object_id)
            return ObjectKind(kind), data
        except (KeyError, ValueError, pygit2.GitError) as error:
            raise MissingObjectError(f"object {object_id} cannot be read from {repository.path}: {error}") from error

    return read
