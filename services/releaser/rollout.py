"""Decide the next move of a rollout from where its targets stand now.

Nothing is remembered but what people approved: stage, window and failures follow from the targets, so that a lost,
repeated or late report, or a restart, cannot leave a rollout in a place that its targets are not in.

A stage takes the clusters that it matches and no earlier stage took. `RULES` are tried in order for the first stage
that is not done; the first that applies makes the move.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from services.releaser.windows import GATES
from shared.core.selectors import matches
from shared.messages.renders import RolloutPlan, StagePlan

HELD_PERCENT = 10
"""More than this share of the clusters waiting for a person at once stops a rollout."""
NAMED = 10
_AFTER = frozenset({"soak"})
"""Gates that stand behind their stage; all others stand before it."""


class Outcome(StrEnum):
    """What became of a target's present release."""

    WAITING = "waiting"
    GOOD = "good"
    BAD = "bad"
    HELD = "held"
    SILENT = "silent"
    """Its cluster says nothing, or was told to do nothing: it neither proves nor blocks."""
    BACK = "back"
    """It went back to what it ran before."""


@dataclass(frozen=True, slots=True)
class Standing:
    """One target, as its rollout sees it."""

    cluster: str
    labels: Mapping[str, str]
    current: bool
    """What is released for it is what it shall run."""
    moved: bool
    """It was this rollout that released it."""
    outcome: Outcome = Outcome.WAITING
    reversible: bool = False
    """It failed for good, did not go back before, and there is something to go back to."""


@dataclass(frozen=True, slots=True)
class Go:
    """Release these clusters."""

    stage: str
    clusters: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TakeBack:
    """Have these clusters run again what they ran before."""

    stage: str
    clusters: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Wait:
    """Released targets have not proven themselves yet."""

    stage: str
    waiting: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pause:
    """Somebody must act; an approval of `needs` lets it go on, and where there is none git must change."""

    stage: str
    reason: str
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Finish:
    """Every target is where it shall be, but for those that say nothing."""

    silent: tuple[str, ...] = ()
    back: tuple[str, ...] = ()
    """Those that went back, no more than may fail."""


Move = Go | TakeBack | Wait | Pause | Finish


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage with the targets that it took, and what people approved."""

    plan: StagePlan
    targets: tuple[Standing, ...]
    on_failure: str
    fleet: tuple[Standing, ...]
    """The targets of all stages."""
    approved: frozenset[str] = field(default_factory=frozenset)

    @property
    def pending(self) -> list[str]:
        """Return the clusters still to be released, in the order of their names."""
        return sorted(each.cluster for each in self.targets if not each.current)

    def with_outcome(self, outcome: Outcome) -> list[str]:
        """Return the clusters that this rollout released and that stand so."""
        return sorted(each.cluster for each in self.targets if each.moved and each.current and each.outcome is outcome)


def next_move(plan: RolloutPlan, targets: Sequence[Standing], approved: frozenset[str] = frozenset()) -> Move:
    """Return what to do now; `approved` holds the `needs` that people let go."""
    stages = _staged(plan, targets, approved)
    for index, stage in enumerate(stages):
        for rule in RULES:
            if (move := rule(stage)) is not None:
                return move
        if any(later.pending for later in stages[index + 1 :]) and (move := _gate_after(stage)) is not None:
            return move
    taken = {each.cluster for stage in stages for each in stage.targets}
    left_out = sorted(each.cluster for each in targets if each.cluster not in taken and not each.current)
    if left_out:
        return Pause("", f"no stage of the rollout matches {_names(left_out)}")
    ended = (
        tuple(sorted(name for stage in stages for name in stage.with_outcome(outcome)))
        for outcome in (Outcome.SILENT, Outcome.BACK)
    )
    return Finish(*ended)


def _staged(plan: RolloutPlan, targets: Sequence[Standing], approved: frozenset[str]) -> list[Stage]:
    free, stages = list(targets), []
    for each in plan.stages or (StagePlan(name="all"),):
        took = tuple(target for target in free if matches(each.match, target.labels))
        names = {target.cluster for target in took}
        free = [target for target in free if target.cluster not in names]
        stages.append(Stage(each, took, plan.on_failure, tuple(targets), approved))
    return stages


def is_staged(plan: RolloutPlan) -> bool:
    """Tell whether revisions are looked after; without it they go out at once, and that is all."""
    return bool(plan.stages) or plan.on_failure == "rollback"


def _take_back(stage: Stage) -> Move | None:
    """Take back each target that failed, where that is asked for; what does well elsewhere stays."""
    bad = set(stage.with_outcome(Outcome.BAD))
    going = tuple(sorted(each.cluster for each in stage.targets if each.cluster in bad and each.reversible))
    return TakeBack(stage.plan.name, going) if going and stage.on_failure == "rollback" else None


def _failures(stage: Stage) -> Move | None:
    """Pause once more targets failed than the stage allows; failures that were approved do not count again."""
    if stage.on_failure == "continue":
        return None
    back = stage.with_outcome(Outcome.BACK)
    failed = sorted([*stage.with_outcome(Outcome.BAD), *back])
    bad = [name for name in failed if f"failed/{name}" not in stage.approved]
    if len(bad) <= stage.plan.max_failures:
        return None
    reason = f"{len(bad)} of {len(stage.targets)} clusters failed in stage {stage.plan.name!r}: {_names(bad)}"
    if back:
        reason += f"; {_names(back)} went back to what ran before"
    return Pause(stage.plan.name, reason, tuple(f"failed/{name}" for name in bad))


def _holds(stage: Stage) -> Move | None:
    held = [each.cluster for each in stage.fleet if each.moved and each.current and each.outcome is Outcome.HELD]
    if not stage.pending or len(held) * 100 <= len(stage.fleet) * HELD_PERCENT or "held" in stage.approved:
        return None
    return Pause(stage.plan.name, f"{len(held)} clusters wait for approval of deletions: {_names(held)}", ("held",))


def _gate_before(stage: Stage) -> Move | None:
    return _gate(stage, [name for name in stage.plan.gates if name not in _AFTER]) if stage.pending else None


def _gate_after(stage: Stage) -> Move | None:
    """Stop behind a stage that this rollout changed."""
    if not any(each.moved for each in stage.targets):
        return None
    return _gate(stage, [name for name in stage.plan.gates if name in _AFTER])


def _gate(stage: Stage, names: Sequence[str]) -> Move | None:
    closed = [name for name in sorted(names) if f"{stage.plan.name}/{name}" not in stage.approved]
    if not closed:
        return None
    needs = tuple(f"{stage.plan.name}/{name}" for name in closed)
    if GATES.issuperset(closed):
        text = "; ".join(str(stage.plan.gates[name]) for name in closed)
        return Pause(stage.plan.name, f"{f'stage {stage.plan.name!r}: ' if stage.plan.name else ''}{text}", needs)
    shown = ", ".join(f"{name}: {stage.plan.gates[name]}" for name in closed)
    return Pause(stage.plan.name, f"stage {stage.plan.name!r} waits for a person ({shown})", needs)


def _window(stage: Stage) -> Move | None:
    """Release as many as the batch allows to be unproven at once."""
    pending = stage.pending
    if not pending:
        return None
    size = batch_size(stage.plan.batch, len(stage.targets))
    if size is None:
        return Pause(stage.plan.name, f"batch {stage.plan.batch!r} of stage {stage.plan.name!r} is no count or percent")
    room = size - len(stage.with_outcome(Outcome.WAITING))
    return Go(stage.plan.name, tuple(pending[:room])) if room > 0 else None


def _unproven(stage: Stage) -> Move | None:
    waiting = stage.with_outcome(Outcome.WAITING)
    return Wait(stage.plan.name, tuple(waiting)) if waiting else None


RULES: tuple[Callable[[Stage], Move | None], ...] = (_take_back, _failures, _holds, _gate_before, _window, _unproven)


def batch_size(batch: str, targets: int) -> int | None:
    """Return how many of a stage's targets may be unproven at once, at least one; None when `batch` is malformed."""
    number, percent = batch.removesuffix("%"), batch.endswith("%")
    if not batch:
        return targets
    if not (number.isascii() and number.isdecimal()) or int(number) == 0:
        return None
    return max(1, -(-targets * int(number) // 100)) if percent else int(number)


def _names(clusters: Sequence[str]) -> str:
    more = len(clusters) - NAMED
    return ", ".join(clusters[:NAMED]) + (f" and {more} more" if more > 0 else "")
