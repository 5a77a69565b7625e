"""Read one revision of a repository on this machine, as its owner names it."""

from __future__ import annotations

from pathlib import Path

import pygit2
from pygit2.enums import ObjectType, RepositoryOpenFlag

from shared.errors import PermanentError
from shared.git.repositories import open_bare
from shared.git.trees import GitTree, reader_of


class NoRevisionError(PermanentError):
    """The repository has no such revision."""

    code = "source.ref-missing"


def tree_at(path: Path, revision: str) -> GitTree:
    """Return the tree of `revision` (a branch, a tag, a commit) of the repository at `path`, bare or with a checkout.

    Raises:
        NoRevisionError: there is no such repository or revision.
    """
    try:
        if (path / ".git").exists():
            repository = pygit2.Repository(str(path), RepositoryOpenFlag.NO_SEARCH)
        else:
            repository = open_bare(path)
        tree = repository.revparse_single(revision).peel(ObjectType.TREE)
    except (KeyError, ValueError, pygit2.GitError) as error:
        raise NoRevisionError(
            f"{path} has no revision {revision!r}", hint="name a branch, a tag or a commit"
        ) from error
    return GitTree(reader_of(repository), str(tree.id))
