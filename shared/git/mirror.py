"""A bare mirror of one repository: what was seen at which ref, and how commits relate.

`refs/towline/tips/<name>` holds the commit last observed at a ref. These refs are also what a fetch offers as known, so
only what is new travels. `refs/towline/kept/<commit>` holds commits that a rewritten history left, for audit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import pygit2
from pygit2.enums import ObjectType, SortMode

from shared.git.remote import SourceError
from shared.git.repositories import open_bare
from shared.git.trees import Read, reader_of

TIPS = "refs/towline/tips/"
KEPT = "refs/towline/kept/"
KEPT_COMMITS = 200
SUBJECT_LENGTH = 200
_LAST_SECOND = 253_402_300_799  # the end of year 9999; git takes any number


@dataclass(frozen=True, slots=True)
class CommitFacts:
    """A commit as people know it."""

    id: str
    tree: str
    subject: str
    author: str
    committed_at: datetime


class Mirror:
    """The bare repository at `path`, made when there is none. All methods block."""

    def __init__(self, path: Path) -> None:
        self.path = path
        open_bare(path)

    def commit(self, object_id: str) -> CommitFacts:
        """Return the commit that `object_id` is, or that the tag `object_id` leads to.

        Raises:
            SourceError: it is not here, or leads to no commit.
        """
        try:
            commit = self._open()[object_id].peel(ObjectType.COMMIT)
        except (KeyError, ValueError, pygit2.GitError) as error:
            raise SourceError(f"object {object_id} leads to no commit", code="source.ref-missing") from error
        seconds = min(max(commit.commit_time, 0), _LAST_SECOND)
        return CommitFacts(
            id=str(commit.id),
            tree=str(commit.tree_id),
            subject=_line(commit.raw_message),
            author=_line(commit.author.raw_name),
            committed_at=datetime.fromtimestamp(seconds, UTC),
        )

    def has(self, object_id: str) -> bool:
        """Tell whether the object is here."""
        return object_id in self._open()

    def is_ancestor(self, old: str, new: str) -> bool:
        """Tell whether `new` builds on `old`; what is not here is nobody's ancestor."""
        repository = self._open()
        if old not in repository or new not in repository:
            return False
        return old == new or bool(repository.descendant_of(new, old))

    def between(self, old: str, new: str, limit: int) -> tuple[str, ...]:
        """Return the commits that `new` has and `old` lacks, newest first, `new` itself left out, at most `limit`."""
        repository = self._open()
        walker = repository.walk(new, SortMode.TOPOLOGICAL | SortMode.TIME)
        if old in repository:
            walker.hide(old)
        return tuple(str(commit.id) for commit in islice(walker, 1, limit + 1))

    def raw(self) -> Callable[[str], bytes]:
        """Return the function that gives the bytes of any object, without git's header; it raises `SourceError`."""
        database = self._open().odb

        def read(object_id: str) -> bytes:
            try:
                return bytes(database.read(object_id)[1])
            except (KeyError, ValueError, pygit2.GitError) as error:
                raise SourceError(f"object {object_id} cannot be read: {error}", code="source.incomplete") from error

        return read

    def read(self) -> Read:
        """Return the function that reads objects."""
        return reader_of(self._open())

    def tips(self) -> dict[str, str]:
        """Return the commits last observed, by the name they were kept under."""
        references = self._open().references
        return {name.removeprefix(TIPS): str(references[name].target) for name in references if name.startswith(TIPS)}

    def keep_tip(self, name: str, commit: str) -> None:
        """Remember the commit observed at a ref under `name`, one path segment."""
        self._open().references.create(TIPS + name, commit, force=True)

    def keep_old(self, commit: str) -> None:
        """Remember a commit that no ref leads to any more; the last `KEPT_COMMITS` stay."""
        repository = self._open()
        if commit in repository:
            repository.references.create(KEPT + commit, commit, force=True)
        kept = [name for name in repository.references if name.startswith(KEPT)]
        kept.sort(key=lambda name: repository[repository.references[name].target].peel(ObjectType.COMMIT).commit_time)
        for name in kept[:-KEPT_COMMITS]:
            repository.references.delete(name)

    def _open(self) -> pygit2.Repository:
        """Return a fresh view: another process writes into this repository."""
        return open_bare(self.path)


def _line(raw: bytes) -> str:
    """Return the first line as printable text."""
    text = raw.strip().partition(b"\n")[0].decode(errors="replace")
    return "".join(letter for letter in text if letter.isprintable())[:SUBJECT_LENGTH]
