"""Read revisions of a repository on this machine, as its owner names them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pygit2
from pygit2.enums import ObjectType, RepositoryOpenFlag

from shared.errors import PermanentError
from shared.git.repositories import open_bare
from shared.git.trees import GitTree, reader_of

# Checkouts of CI belong to others than who runs there; nothing of a repository is run here, so nobody can misuse that.
pygit2.settings.owner_validation = False


class NoRevisionError(PermanentError):
    """The repository has no such revision."""

    code = "source.ref-missing"


@dataclass(frozen=True, slots=True)
class Base:
    """What something is compared with: the content of a folder at a commit."""

    commit: str
    tree: GitTree | None
    """None: the folder was not there."""


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


def base_of(path: Path, base: str, revision: str) -> Base:
    """Return the folder `path` as it was where `revision` left `base`: what a merge would bring is what came since.

    Where both have no common commit here, as in a clone without history, it is `base` itself.

    Raises:
        NoRevisionError: the folder is in no repository, or that has no such revision.
    """
    found = pygit2.discover_repository(str(path.resolve()))
    if found is None:
        raise NoRevisionError(f"{path} is in no git repository", hint="name a folder of a checkout")
    repository = pygit2.Repository(found)
    ends = [_commit(repository, path, each) for each in (base, revision)]
    commit = repository.merge_base(*(each.id for each in ends)) or ends[0].id
    tree = GitTree(reader_of(repository), str(repository[commit].peel(ObjectType.TREE).id))
    home = Path(repository.workdir).resolve() if repository.workdir else path.resolve()
    below = path.resolve().relative_to(home).as_posix()
    if below == ".":
        return Base(str(commit), tree)
    entry = tree.entry(below)
    return Base(str(commit), GitTree(reader_of(repository), entry.id) if entry else None)


def _commit(repository: pygit2.Repository, path: Path, revision: str) -> pygit2.Commit:
    # CI often has a branch of the server only.
    for name in (revision, f"origin/{revision}"):
        try:
            return repository.revparse_single(name).peel(ObjectType.COMMIT)
        except (KeyError, ValueError, pygit2.GitError):
            continue
    hint = "name a branch, a tag or a commit that is here; a clone may lack it: git fetch origin BRANCH"
    raise NoRevisionError(f"{path} has no revision {revision!r}", hint=hint)
