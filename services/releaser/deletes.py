"""Keep which bundles may have left objects in a cluster, and say what a release may delete there.

An agent that was away may have skipped generations, so what it may delete is the keys of every bundle released since
its last settled report, minus the keys that the new bundle has. Where that history was lost nothing is certain, and
the agent holds all deletions until a person approves them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Run(NamedTuple):
    """One bundle that was released to a target; a tombstone has no bundle."""

    epoch: int
    generation: int
    bundle: str


@dataclass(frozen=True, slots=True)
class History:
    """What was released to a target since it last settled, that release included, each bundle once."""

    runs: tuple[Run, ...] = ()
    known: bool = True
    """False: runs are missing."""

    def released(self, run: Run) -> History:
        """Return the history after one more release."""
        kept = tuple(each for each in self.runs if each.bundle != run.bundle)
        return History((*kept, run), self.known)

    def settled(self, epoch: int, generation: int) -> History:
        """Return the history after the cluster reported that it holds this release and nothing else of the app."""
        seen = (epoch, generation)
        if not any((each.epoch, each.generation) == seen for each in self.runs):
            return self
        return History(tuple(each for each in self.runs if (each.epoch, each.generation) >= seen), known=True)

    def lost(self) -> History:
        """Return the history after the database was restored from an older one."""
        return History(self.runs, known=False)

    @property
    def bundles(self) -> frozenset[str]:
        """Return the digests whose objects may be in the cluster."""
        return frozenset(each.bundle for each in self.runs if each.bundle)


class Expected(NamedTuple):
    """Keys that may be deleted, sorted, and whether they are all that ever was there."""

    keys: tuple[str, ...]
    known: bool


def expected(history: History, bundle: str, keys: Mapping[str, Collection[str] | None]) -> Expected:
    """Return what a release of `bundle` (empty: a tombstone) may delete.

    Args:
        history: the target's, before this release.
        bundle: digest of what is released.
        keys: digest → keys of its objects, None where they are not known.
    """
    lists = [keys.get(each) for each in history.bundles | ({bundle} - {""})]
    wanted = keys.get(bundle) or () if bundle else ()
    there = {key for each in lists if each is not None for key in each}
    known = history.known and all(each is not None for each in lists)
    return Expected(tuple(sorted(there - set(wanted))), known)


def from_rows(rows: Sequence[Sequence[object]] | None, *, known: bool) -> History:
    """Return a history as the database keeps it: lists of epoch, generation, bundle."""
    return History(tuple(Run(int(str(e)), int(str(g)), str(b)) for e, g, b in rows or ()), known)
