"""Decide whether an app's turn has come: after the apps it depends on, and on the way out before them (rule C10)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from shared.core.cycles import cycle_of
from shared.errors import PermanentError

WAITING = "Waiting"


class DependencyCycleError(PermanentError):
    """Apps depend on each other: none of them could ever come first."""

    code = "dependency.cycle"


@dataclass(frozen=True, slots=True)
class Neighbour:
    """An app that the roster names, as the apps see it that depend on it."""

    depends_on: tuple[str, ...] = ()
    removed: bool = False
    lacks: str = ""
    """What it lacks in one word; empty: it runs its present release and does well, or is gone."""


@dataclass(frozen=True, slots=True)
class Delay:
    """Why a release is not applied now."""

    reason: str
    message: str
    waits_for: frozenset[str] = frozenset()
    """The apps whose change may end it."""
    refused: bool = False
    """It ends only by another release: this one is told as refused."""
    heals: bool = True
    """What ran before is kept as it was meanwhile."""


def delay(app: str, roster: Mapping[str, Neighbour]) -> Delay | None:
    """Return why an app of the roster must wait, None when its turn has come.

    An app that is not there, or leaves, is nothing to wait for. Apps that leave in a circle leave in any order.
    """
    own = roster[app]
    edges = {name: each.depends_on for name, each in roster.items() if each.removed is own.removed}
    way = cycle_of(app, edges)
    if own.removed:
        first = [] if way else [name for name, needs in edges.items() if app in needs and roster[name].lacks]
        return _waits(dict.fromkeys(first, "goes first"))
    if way:
        return Delay(
            DependencyCycleError.code, f"apps depend on each other: {' -> '.join(way)}", frozenset(way), refused=True
        )
    return _waits({name: roster[name].lacks for name in own.depends_on if name in edges and roster[name].lacks})


def _waits(lacking: Mapping[str, str]) -> Delay | None:
    if not lacking:
        return None
    told = ", ".join(f"{name}: {why}" for name, why in sorted(lacking.items()))
    return Delay(WAITING, f"waiting for {told}", frozenset(lacking))
