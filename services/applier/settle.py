"""Decide, from what came of the steps, whether deletions may begin and what the inventory remembers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from sys import intern
from typing import Any

from services.applier.fixed import fixed_of
from services.applier.planned import (
    Applied,
    Create,
    Failed,
    Gone,
    Orphan,
    Outcome,
    Patch,
    Plan,
    Prune,
    Recreate,
    Released,
    Skip,
    SkipReason,
    Step,
)
from services.applier.state import Entry, Inventory, Wanted
from shared.core.objects import ObjectKey

Outcomes = Mapping[ObjectKey, Outcome]

_WELL = {SkipReason.UNCHANGED, SkipReason.IGNORED, SkipReason.DRIFT_REPORTED, SkipReason.SHARED}


def prune_obstacle(todo: Plan, outcomes: Outcomes) -> str:
    """Return why the prunes of `todo` must not run after these outcomes of its applies; empty: they may (F2)."""
    if todo.suppressed:
        return todo.suppressed
    for stage in todo.applies:
        for step in stage.steps:
            if not _well(step, outcomes):
                return f"{step.key} was not applied"
    return ""


def settled(todo: Plan, outcomes: Outcomes) -> Inventory:
    """Return the inventory to write after the last step, or after the last one that was reached."""
    rescues = {step.key: step for stage in todo.rescues for step in stage.steps}
    steps = {step.key: step for step in todo.steps()} | rescues
    entries: dict[ObjectKey, Entry] = {}
    for key, entry in todo.claim.entries.items():
        after = _after(entry, steps.get(key), outcomes.get(key))
        if after is not None:
            entries[key] = after
    complete = all(_well(step, outcomes) for stage in todo.applies for step in stage.steps)
    header = todo.claim.header
    # Of a removal nothing may be left, hooks neither.
    kept = {step.key for stage in todo.applies for step in stage.steps} | rescues.keys() if header.bundle else set()
    if complete:
        confirmed = header.recovered and header.settled_bundle == header.bundle
        header = replace(header, settled_bundle=header.bundle, recovered=header.recovered and not confirmed)
    return Inventory(replace(header, settled=complete and entries.keys() <= kept), entries)


def _after(entry: Entry, step: Step | None, outcome: Outcome | None) -> Entry | None:
    """Return what becomes of one entry: it leaves only when its object is known to be gone or given up (F3)."""
    match step, outcome:
        case Skip(), _:
            return None if step.reason.forgets else entry
        case ((Prune() | Orphan()), (Gone() | Released())):
            return None
        case ((Create() | Patch() | Recreate()), Applied()):
            return _applied(entry, step, outcome)
        case _, Failed() if outcome.uid:
            # A hook that did not succeed: the next attempt makes it anew.
            return replace(entry, uid=outcome.uid, desired="", hook=True)
        case _:
            return entry


def _applied(entry: Entry, step: Create | Patch | Recreate, outcome: Applied) -> Entry:
    wanted = step.wanted
    same_object = entry.uid == outcome.uid
    return Entry(
        key=entry.key,
        version=wanted.version,
        uid=outcome.uid,
        desired=wanted.digest,
        owned=outcome.owned,
        owned_at=outcome.owned_at,
        resource_version=outcome.resource_version,
        created=outcome.created or (entry.created and same_object),
        bodied=wanted.bodied,
        fixed=intern(fixed_of(wanted)),
        **remembered(wanted),
    )


def remembered(wanted: Wanted) -> dict[str, Any]:
    """Return the fields of an entry that say how its object is to be treated when the bundle is gone."""
    policy = wanted.policy
    return {
        "wave": wanted.wave,
        "rank": wanted.rank,
        "level": wanted.level,
        "prune": policy.prune.value,
        "delete": policy.delete.value,
        "hook": policy.hook is not None,
        "waits": policy.wait,
    }


def _well(step: Step, outcomes: Outcomes) -> bool:
    """Tell whether an object of the bundle is as it should be."""
    if isinstance(step, Skip):
        return step.reason in _WELL
    return isinstance(outcomes.get(step.key), Gone | Released if isinstance(step, Prune) else Applied)
