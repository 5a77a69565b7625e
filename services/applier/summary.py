"""Count a run: what happened to how many objects, which failed, and in one word how it ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from services.applier.errors import ErrorClass, Failure
from services.applier.guard import Held, HoldReason
from services.applier.planned import (
    Applied,
    Blocked,
    Cause,
    Create,
    Deferred,
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
from services.applier.reports import Counts, Hold, ObjectFailure
from services.applier.rights import advice
from services.applier.settle import settled
from shared.core.objects import ObjectKey
from shared.core.status import Result, Sync

LISTED = 50
_HINTS = {
    SkipReason.UNKNOWN_KIND: "deliver the kind's definition first, or use a version that this cluster serves",
    SkipReason.TERMINATING: "it is created anew when it is gone; its finalizers say who must act",
}
_KEPT = {SkipReason.KEPT, SkipReason.NOT_OURS, SkipReason.HELD, SkipReason.SUPPRESSED, SkipReason.HANDED_OVER}


@dataclass(frozen=True, slots=True)
class Summary:
    """What a report says about one run."""

    result: Result | None
    """None while deletions wait for the end of an older lease: the release is on its way, and nothing is reported."""
    sync: Sync
    reason: str
    message: str
    counts: Counts
    failures: tuple[ObjectFailure, ...]
    hold: Hold | None
    settled: bool
    """Nothing else of this app is in the cluster."""


def summary(todo: Plan, outcomes: Mapping[ObjectKey, Outcome], *, superseded: bool = False, pruned: int = 0) -> Summary:
    """Return the account of a run of `todo` after these outcomes; `pruned`: so many went in a run before that counts too."""
    told = Counter(_word(step, outcomes.get(step.key)) for step in todo.steps())
    told["pruned"] += pruned
    failures = sorted(_failures(todo, outcomes), key=lambda failure: failure.key)
    result, sync, reason = _judged(todo, outcomes, told, superseded=superseded)
    return Summary(
        result=result,
        sync=sync,
        reason=reason,
        message=_message(told, failures, todo, outcomes),
        counts=Counts(
            objects=sum(len(stage.steps) for stage in todo.applies),
            **{word: told[word] for word in Counts.__dataclass_fields__ if word != "objects"},
        ),
        failures=tuple(failures),
        hold=_hold(todo, outcomes),
        settled=settled(todo, outcomes).header.settled,
    )


def _word(step: Step, outcome: Outcome | None) -> str:
    """Return the field of `Counts` under which a step counts."""
    match step, outcome:
        case ((Create() | Patch() | Recreate() | Skip(reason=SkipReason.UNCHANGED)), Applied()):
            return _applied_word(step, outcome)
        case Skip(), _:
            return _skip_word(step.reason)
        case _, Failed():
            return "failed"
        case Prune(), Gone():
            return "pruned"
        case ((Prune() | Orphan()), (Released() | Gone())):
            return "kept"
        case _:
            return "skipped"


def _applied_word(step: Create | Patch | Recreate | Skip, outcome: Applied) -> str:
    if isinstance(step, Recreate):
        return "recreated"
    if not outcome.changed:
        return "unchanged"
    if isinstance(step, Patch) and step.cause is Cause.OWNERSHIP:
        return "reowned"
    # What is unchanged now was applied by the run that this one goes on with.
    created = isinstance(step, Create) or (isinstance(step, Skip) and outcome.created)
    return "created" if created else "patched"


def _skip_word(reason: SkipReason) -> str:
    if reason in {SkipReason.UNCHANGED, SkipReason.SHARED}:
        return "unchanged"
    if reason.failed:
        return "failed"
    return "kept" if reason in _KEPT else "skipped"


def _failures(todo: Plan, outcomes: Mapping[ObjectKey, Outcome]) -> Iterator[ObjectFailure]:
    for step in todo.steps():
        outcome = outcomes.get(step.key)
        if isinstance(step, Skip) and step.reason.failed:
            hint = advice(step.detail) or _HINTS.get(step.reason, "")
            yield ObjectFailure(str(step.key), step.reason.value, step.detail, hint)
        elif isinstance(outcome, Failed):
            yield failure_of(step.key, outcome.failure)


def failure_of(key: ObjectKey, failure: Failure) -> ObjectFailure:
    """Return a failure as reports tell it."""
    return ObjectFailure(str(key), failure.error.value, failure.message, failure.hint)


def _judged(
    todo: Plan, outcomes: Mapping[ObjectKey, Outcome], told: Mapping[str, int], *, superseded: bool
) -> tuple[Result | None, Sync, str]:
    """Return how a run ended, and the reason in one word."""
    if superseded:
        return Result.SUPERSEDED, Sync.APPLYING, "Superseded"
    well = sum(told.get(word, 0) for word in ("created", "patched", "recreated", "unchanged", "pruned", "reowned"))
    if told.get("failed", 0):
        hooks = _failed_hooks(outcomes)
        result = Result.PARTIAL if well and not hooks else Result.FAILED
        # A removal stands still until its hooks succeed or somebody lets it go on without them.
        sync = Sync.HELD if hooks and todo.waiver else Sync.OUT_OF_SYNC
        return result, sync, result.value.capitalize()
    if unfinished := _unfinished(todo, outcomes):
        return unfinished
    drifted = any(isinstance(step, Skip) and step.reason is SkipReason.DRIFT_REPORTED for step in todo.steps())
    return (Result.SUCCEEDED, Sync.OUT_OF_SYNC, "Drifted") if drifted else (Result.SUCCEEDED, Sync.SYNCED, "")


def _unfinished(todo: Plan, outcomes: Mapping[ObjectKey, Outcome]) -> tuple[Result | None, Sync, str] | None:
    """Return how a run without failures ended that did not do all."""
    if _deferred(outcomes):
        return None, Sync.APPLYING, "DeletionsWait"
    if any(isinstance(outcome, Blocked) for outcome in outcomes.values()):
        return Result.PARTIAL, Sync.OUT_OF_SYNC, "Blocked"
    if todo.held is not None:
        return Result.HELD, Sync.HELD, todo.held.reason.value
    return (Result.PARTIAL, Sync.OUT_OF_SYNC, "PruneSuppressed") if todo.suppressed else None


def _deferred(outcomes: Mapping[ObjectKey, Outcome]) -> int:
    return sum(isinstance(outcome, Deferred) for outcome in outcomes.values())


def _failed_hooks(outcomes: Mapping[ObjectKey, Outcome]) -> list[ObjectKey]:
    failed = ((key, each) for key, each in outcomes.items() if isinstance(each, Failed))
    return sorted(key for key, each in failed if each.failure.error is ErrorClass.HOOK)


def _hold(todo: Plan, outcomes: Mapping[ObjectKey, Outcome]) -> Hold | None:
    held = todo.held
    if todo.waiver and (hooks := _failed_hooks(outcomes)):
        held = Held(HoldReason.HOOK_FAILED, tuple(hooks), todo.waiver)
    if held is None:
        return None
    return Hold(held.reason.value, tuple(str(key) for key in held.keys[:LISTED]), len(held.keys), held.approval)


def _message(
    told: Mapping[str, int], failures: list[ObjectFailure], todo: Plan, outcomes: Mapping[ObjectKey, Outcome]
) -> str:
    """Return one line for people: how many of what, and the first trouble (E11)."""
    counted = ", ".join(f"{told[word]} {word}" for word in Counts.__dataclass_fields__ if told.get(word))
    parts = [counted or "nothing to do"]
    if failures:
        parts.append(f"{failures[0].key}: {failures[0].message or failures[0].code}"[:512])
    if todo.waiver and (_failed_hooks(outcomes) or (todo.held and not todo.held.keys)):
        parts.append("nothing more is deleted until that is over, or somebody approves that the hooks are left out")
    elif todo.held:
        parts.append(f"{len(todo.held.keys)} deletions wait for approval ({todo.held.reason})")
    if deferred := _deferred(outcomes):
        parts.append(f"{deferred} deletions wait until no earlier agent can be writing")
    if todo.suppressed:
        parts.append(f"nothing is pruned: {todo.suppressed}"[:512])
    return "; ".join(parts)
