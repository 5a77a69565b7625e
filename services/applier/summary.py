"""Count a run: what happened to how many objects, which failed, and in one word how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from services.applier.planned import Outcome, Plan
from services.applier.reports import Counts, Hold, ObjectFailure
from shared.core.objects import ObjectKey
from shared.core.status import Result, Sync


@dataclass(frozen=True, slots=True)
class Summary:
    """What a report says about one run."""

    result: Result
    sync: Sync
    reason: str
    message: str
    counts: Counts
    failures: tuple[ObjectFailure, ...]
    """The first 50."""
    hold: Hold | None
    settled: bool
    """Nothing else of this app is in the cluster."""


def summary(todo: Plan, outcomes: Mapping[ObjectKey, Outcome], *, superseded: bool = False) -> Summary:
    """Return the account of a run of `todo` after these outcomes."""
    raise NotImplementedError
