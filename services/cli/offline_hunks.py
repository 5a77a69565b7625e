"""Put differences into words: lines as `diff` writes them, names of clusters, and how much there is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import unified_diff
from typing import Any

from services.applier.fields import MISSING
from services.cli.offline_changes import Change, Setting
from services.cli.offline_findings import Told
from services.cli.offline_yaml import manifest_text

SIGNS = {"added": "+", "changed": "~", "removed": "-"}
_NAMED = 5


@dataclass(frozen=True, slots=True)
class Difference:
    """All that a change in git brings."""

    base: str
    """As it was asked for."""
    commit: str
    changes: tuple[Change, ...] = ()
    settings: tuple[Setting, ...] = ()
    findings: tuple[Told, ...] = ()

    @property
    def errors(self) -> list[Told]:
        """Return what keeps a target from being compared."""
        return [each for each in self.findings if each.finding.severity == "error"]


def hunks(change: Change) -> list[str]:
    """Return the lines of a change as `diff -u` writes them, without the names of files."""
    before, after = (manifest_text(each).splitlines() if each else [] for each in (change.before, change.after))
    return list(unified_diff(before, after, lineterm=""))[2:]


def on(clusters: Sequence[str], *, wide: bool = False) -> str:
    """Return the names of clusters, not too many of them."""
    if wide or len(clusters) <= _NAMED + 1:
        return ", ".join(clusters)
    return f"{', '.join(clusters[:_NAMED])} and {len(clusters) - _NAMED} more clusters"


def shown(value: Any) -> str:
    """Return the value of a setting as JSON; nothing is a dash."""
    return "-" if value is MISSING else json.dumps(value, ensure_ascii=False)


def counted(count: int, noun: str) -> str:
    """Return a number of things in words."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def tally(changes: Sequence[Change], settings: Sequence[Setting] = ()) -> str:
    """Return how many objects and settings change how."""
    counts = {kind: sum(each.kind == kind for each in changes) for kind in SIGNS}
    parts = [f"{counted(count, 'object')} {kind}" for kind, count in counts.items() if count]
    return ", ".join([*parts, *([f"{counted(len(settings), 'setting')} changed"] if settings else [])])


def summary(found: Difference) -> str:
    """Return all of it in one sentence."""
    against = f"{found.base} ({found.commit[:8]})"
    if not (found.changes or found.settings):
        return f"{'apart from what is in error, ' if found.errors else ''}nothing differs from {against}"
    clusters = {cluster for each in found.changes for cluster in each.clusters}
    where = f" on {counted(len(clusters), 'cluster')}" if clusters else ""
    text = f"{tally(found.changes, found.settings)}{where}, compared with {against}"
    return f"{text}, apart from what is in error" if found.errors else text
