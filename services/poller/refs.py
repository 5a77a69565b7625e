"""Which commit a wanted ref means, and how it relates to the one before.

Only full names are compared, never handed to a parser of revisions: git answers with the tag where a tag and a branch
share a name, and stores branches that look like commits [measured].
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from services.poller.versions import order_of, range_of
from shared.errors import PermanentError
from shared.git.remote import HEADS, TAGS, RemoteRef
from shared.messages.sources import History

REWIND_SIGHTINGS = 3
"""So often in a row a tip that goes back in history must be seen before it is believed."""

_COMMIT = re.compile(r"[0-9a-fA-F]{40}")
# What git refuses in a ref's name, after git-check-ref-format(1).
_BAD = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/$|\.$|\.lock(/|$)|(^|/)[.-]|^/|^@$")
_DEFAULTS = ("main", "master")


class RefError(PermanentError):
    """A wanted ref means no commit; `code` is `source.ref-missing`, `source.ref-ambiguous` or `source.ref-invalid`."""

    code = "source.ref-missing"


class StaleReplicaError(RefError):
    """A server shows a tip that is behind the one it showed before; what was seen stays until it shows it for good."""

    code = "source.stale-replica"


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a wanted ref means now."""

    ref: str
    """The full name, or the commit itself."""
    commit: str
    tag: str = field(default="", compare=False)
    """The annotated tag that leads to it, if one does."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """A tip that went back in history, and how often in a row it was seen."""

    commit: str
    sightings: int


def commit_of(asked: str) -> str:
    """Return the commit that `asked` names by its id, or nothing."""
    return asked.lower() if _COMMIT.fullmatch(asked) else ""


def prefixes(asked: str) -> list[str]:
    """Return the beginnings of the refs that one must know to choose.

    Raises:
        RefError: `asked` cannot be a ref.
    """
    if not asked:
        return ["HEAD", *(HEADS + name for name in _DEFAULTS)]
    if range_of(asked) is not None:
        return [HEADS + asked, TAGS] if not _BAD.search(asked) else [TAGS]
    if _BAD.search(asked):
        raise RefError(
            f"{asked!r} is no name of a ref",
            code="source.ref-invalid",
            hint="name a branch, a tag, a range like v1.x, or a full commit id",
        )
    return [asked] if asked.startswith("refs/") else [HEADS + asked, TAGS + asked]


def chosen(asked: str, refs: Sequence[RemoteRef]) -> Chosen:
    """Return what `asked` means among the refs of a repository.

    A branch or tag of exactly this name comes before a range: `6.x` is a common name of branches.

    Raises:
        RefError: nothing, or two things, are named so.
    """
    by_name = {ref.name: ref for ref in refs}
    if not asked:
        return _default(by_name)
    names = [asked] if asked.startswith("refs/") else [HEADS + asked, TAGS + asked]
    found = [by_name[name] for name in names if name in by_name]
    if len(found) > 1:
        raise RefError(
            f"both a branch and a tag are named {asked!r}",
            code="source.ref-ambiguous",
            hint=f"write {names[0]} or {names[1]}",
        )
    if found:
        return _chosen(found[0])
    return _highest(asked, refs)


def history_of(previous: Chosen | None, now: Chosen, *, builds_on: bool) -> History:
    """Return how `now` relates to `previous`; `builds_on`: its commit descends from the previous one.

    A tag that moves is a rewritten history wherever it moves to: a tag promises that it does not. A range that moves
    on to another tag is not, unless that is an older version: then a tag went away.
    """
    if previous is None:
        return History.FIRST
    if previous.ref != now.ref:
        return History.REWRITTEN if is_older(now, previous) else History.FORWARD
    return History.FORWARD if builds_on and not now.ref.startswith(TAGS) else History.REWRITTEN


def is_older(now: Chosen, previous: Chosen) -> bool:
    """Tell whether both are tags of versions, and `now` the lower one."""
    orders = [order_of(each.ref.removeprefix(TAGS)) for each in (now, previous)]
    return orders[0] is not None and orders[1] is not None and orders[0] < orders[1]


def doubted(doubt: Doubt | None, commit: str) -> Doubt | None:
    """Return what is still in doubt about a tip that went back in history; None: it is believed now.

    A server behind a balancer may show an old state in turn with the new one. A history that was really set back stays
    so, and is seen several times in a row.
    """
    sightings = doubt.sightings + 1 if doubt is not None and doubt.commit == commit else 1
    return None if sightings >= REWIND_SIGHTINGS else Doubt(commit, sightings)


def _default(by_name: dict[str, RemoteRef]) -> Chosen:
    head = by_name.get("HEAD")
    if head is not None:
        names = [head.symref] if head.symref else [HEADS + name for name in _DEFAULTS]
        for name in names:
            if head.symref or (name in by_name and by_name[name].id == head.id):
                return Chosen(name, head.commit)
    raise RefError("the repository has no default branch", hint="name the branch in the source's ref")


def _highest(asked: str, refs: Sequence[RemoteRef]) -> Chosen:
    wanted = range_of(asked)
    if wanted is None:
        raise RefError(f"there is no branch or tag {asked!r}", hint="check the name; was it deleted?")
    versions = ((order_of(ref.name.removeprefix(TAGS)), ref) for ref in refs if ref.name.startswith(TAGS))
    fitting = [(order, ref.name, ref) for order, ref in versions if order is not None and order in wanted]
    if not fitting:
        raise RefError(f"no tag lies in the range {asked!r}", hint="pre-releases count only when the range names one")
    _, _, ref = max(fitting, key=lambda item: item[:2])
    return _chosen(ref)


def _chosen(ref: RemoteRef) -> Chosen:
    return Chosen(ref.name, ref.commit, ref.id if ref.peeled else "")
