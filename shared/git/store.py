"""The objects that the renderer holds: trees of recent requests, filled by packs.

It is a cache: what is lost or damaged is asked for again. A tree that is here is here whole, because packs bring an
object after all that it names, and a tree with a hole is refused.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from shared.core.trees import EntryKind
from shared.errors import TransientError
from shared.git.packs import LIMITS, Limits, decoded, named_by
from shared.git.repositories import open_bare
from shared.git.trees import GitTree, Listings, MissingObjectError, Read, reader_of

GRACE_S = 3600.0


class IncompletePackError(TransientError):
    """A pack builds on objects that are not here: an earlier pack is missing."""

    code = "pack.incomplete"


class ObjectStore:
    """A bare repository of blobs and trees at `path`. All methods block, and may be called from any thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._repository = open_bare(path)
        self._listings = Listings()

    def add_pack(self, pack: bytes | Iterable[bytes], limits: Limits = LIMITS) -> int:
        """Take the objects of a pack and return how many there were; taking it again changes nothing.

        The ids are computed here from the contents, so that no pack can say that something is what it is not.

        Raises:
            BadPackError: it is malformed; TooLargeError: it exceeds `limits`.
            IncompletePackError: it builds on a pack that is not here.
        """
        count = 0
        with self._lock:
            database = self._repository.odb
            for kind, data in decoded([pack] if isinstance(pack, bytes) else pack, limits):
                for _, member in named_by(kind, data):
                    if not database.exists(member):
                        raise IncompletePackError(f"pack needs object {member}, which no earlier pack brought")
                database.write(kind, data)
                count += 1
        return count

    def has(self, tree_id: str) -> bool:
        """Tell whether the tree is here, whole."""
        return bool(self._repository.odb.exists(tree_id))

    def tree(self, tree_id: str) -> GitTree:
        """Return the tree; reading it raises `MissingObjectError` when the store was damaged: `reset` it then.

        Raises:
            MissingObjectError: it is not here.
        """
        if not self.has(tree_id):
            raise MissingObjectError(f"tree {tree_id} is not in the store at {self._path}")
        return GitTree(reader_of(self._repository), tree_id, self._listings)

    def prune(self, keep: Iterable[str], grace_s: float = GRACE_S) -> int:
        """Drop what none of the trees `keep` holds and nobody wrote within `grace_s`; return how many objects went."""
        with self._lock:
            reached = _reachable(reader_of(self._repository), [tree for tree in keep if self.has(tree)])
            limit = time.time() - grace_s
            gone = 0
            for path in _loose(self._path):
                if path.parent.name + path.name not in reached and path.stat().st_mtime < limit:
                    path.unlink(missing_ok=True)
                    gone += 1
            return gone

    def reset(self) -> None:
        """Drop everything."""
        with self._lock:
            shutil.rmtree(self._path, ignore_errors=True)
            self._repository = open_bare(self._path)
            self._listings = Listings()


def _reachable(read: Read, trees: Iterable[str]) -> set[str]:
    reached = set(trees)
    waiting = list(reached)
    while waiting:
        data = read(waiting.pop())
        for kind, member in named_by(*data):
            if member not in reached:
                reached.add(member)
                if kind is EntryKind.FOLDER:
                    waiting.append(member)
    return reached


def _loose(repository: Path) -> Iterator[Path]:
    """Yield the files of all objects: libgit2 writes each on its own, and nobody packs this repository."""
    yield from (repository / "objects").glob("[0-9a-f][0-9a-f]/*")
