"""Carry out a plan: stage after stage, some steps at a time, deletions last and only when all else went well."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import assert_never

import structlog

from services.applier.crds import defined_by
from services.applier.errors import ErrorClass, Failure
from services.applier.hooks import ends, hooks_of, phase_at, phases
from services.applier.lease import LostLeaseError
from services.applier.options import Options
from services.applier.plan import prune_obstacle
from services.applier.planned import (
    Applied,
    Blocked,
    Create,
    Deferred,
    Failed,
    Making,
    Orphan,
    Outcome,
    Patch,
    Plan,
    Prune,
    Recreate,
    Skip,
    SkipReason,
    Stage,
    Step,
)
from services.applier.policy import Phase
from services.applier.requests import StepFailedError
from services.applier.steps import Steps
from shared.core.objects import ObjectKey
from shared.core.status import Health
from shared.errors import TowlineError

WORKERS = 16
"""As many as the agent may have in flight: several apps take turns there, and the API server's round trip is shared."""
SUPERSEDED = "superseded"
STOPPED = "stopped"

log = structlog.get_logger("services.applier")


@dataclass(slots=True)
class Execution:
    """One plan on its way."""

    todo: Plan
    steps: Steps
    options: Options
    superseded: Callable[[], bool]
    """Tells whether something newer waits: no further stage begins."""
    healthy: Callable[[Iterable[ObjectKey], float], Awaitable[str]]
    """Waits until these objects do well, for so many seconds; returns why they do not."""
    remember: Callable[[Mapping[ObjectKey, Outcome]], Awaitable[None]]
    """Stores what became of hooks, before anything follows from it that cannot be undone (K3)."""
    outcomes: dict[ObjectKey, Outcome] = field(default_factory=dict)
    """What is in it from the start was refused beforehand, and is not tried (D4)."""
    _unwaited: frozenset[ObjectKey] = field(init=False)
    """Objects whose health nobody waits for (J9)."""
    _amiss: frozenset[ObjectKey] = field(init=False)
    """Objects that nothing could be done for: what comes after them has to wait as if they had failed."""
    _definitions: Mapping[tuple[str, str], ObjectKey] = field(init=False)

    def __post_init__(self) -> None:
        self._unwaited = frozenset(step.key for step in self.todo.steps() if not _is_waited(step, self.todo))
        skipped = (step for step in self.todo.steps() if isinstance(step, Skip))
        self._amiss = frozenset(step.key for step in skipped if step.reason.failed)
        self._definitions = defined_by(step.wanted for step in self.todo.steps() if isinstance(step, Making))

    async def run(self) -> None:
        """Fill `outcomes`; every step gets one unless it is a Skip."""
        if await self._applies():
            obstacle = prune_obstacle(self.todo, self.outcomes)
            for stage in self.todo.prunes:
                # What is newer may want the objects back (F2, M6).
                if obstacle := obstacle or (SUPERSEDED if self.superseded() else ""):
                    self._block(stage, obstacle)
                else:
                    await self._stage(stage)
        elif not (self.superseded() or any(isinstance(each, Deferred) for each in self.outcomes.values())):
            await self._rescue()

    async def _rescue(self) -> None:
        """Run the hooks that are for a delivery that failed (K2)."""
        for stage in self.todo.rescues:
            await self._stage(stage, whatever=True)
            await self._hooks_ended(hooks_of(stage.steps))
        await self._cleared(self.todo.rescues)

    async def _applies(self) -> bool:
        """Run the applies; tell whether the end was reached."""
        why = ""
        for phase, stages in phases(self.todo.applies):
            if phase is Phase.AFTER and not why and any(hooks_of(stage.steps) for stage in stages):
                why = await self._all_well()
            why = await self._phase(stages, why)
            await self._cleared(stages)
        for stage in self.todo.prunes if why else ():
            self._block(stage, why)
        return not why

    async def _phase(self, stages: Iterable[Stage], why: str) -> str:
        """Run the waves of a phase; return why the next phase must not begin."""
        for number, wave in groupby(stages, key=lambda stage: stage.wave):
            steps: list[Step] = []
            for stage in wave:
                why = why or (SUPERSEDED if self.superseded() else "")
                if why:
                    self._block(stage, why)
                    continue
                await self._stage(stage)
                steps += stage.steps
                if self.options.stops and self._failed(each.key for each in steps):
                    why = STOPPED
            why = why or await self._wave_ended(steps, last=number == self.todo.applies[-1].wave)
        return why

    async def _all_well(self) -> str:
        """Return what does not do well of all that was delivered: only then hooks may run that come after it (K2)."""
        delivered = (
            step for stage in self.todo.applies if phase_at(stage.wave) is Phase.DURING for step in stage.steps
        )
        hooks = {step.key for stage in self.todo.applies for step in hooks_of(stage.steps)}
        awaited = [step.key for step in delivered if step.key not in self._unwaited | hooks]
        return await self.healthy(awaited, self.options.timeout_s)

    async def _wave_ended(self, steps: list[Step], *, last: bool) -> str:
        """Return why nothing more may begin (E7, C9, K2); after the last wave nobody waits for health."""
        hooks = hooks_of(steps)
        if why := await self._hooks_ended(hooks):
            return why
        if failed := self._failed(step.key for step in steps):
            return f"{failed[0]} failed"
        if waiting := [step.key for step in steps if isinstance(self.outcomes.get(step.key), Deferred)]:
            return f"{waiting[0]} waits"
        ended = {step.key for step in hooks}
        awaited = [step.key for step in steps if step.key not in self._unwaited | ended]
        return await self.healthy(awaited, self.options.timeout_s) if self.options.wait and not last else ""

    async def _hooks_ended(self, hooks: list[Making]) -> str:
        """Wait for hooks, whatever else is not waited for; return which did not succeed (K6)."""
        for step in hooks:
            made = self.outcomes.get(step.key)
            if not isinstance(made, Applied):
                continue
            why = await self.healthy([step.key], self.options.hook_timeout_s)
            if why and self.superseded():
                # It goes on by itself, and is waited for when this bundle is run again.
                self.outcomes[step.key] = Blocked(SUPERSEDED)
            elif why:
                self.outcomes[step.key] = Failed(Failure(ErrorClass.HOOK, self._trouble(step.key)), made.uid)
        if any(isinstance(self.outcomes.get(step.key), Applied | Failed) for step in hooks):
            await self.remember(self.outcomes)
        bad = [step.key for step in hooks if not isinstance(self.outcomes.get(step.key), Applied)]
        return f"hook {bad[0]} did not succeed" if bad else ""

    def _trouble(self, key: ObjectKey) -> str:
        """Return how a hook failed, as its object says."""
        status = self.steps.observer.healths.status(key)
        late = status is not None and status.health is not Health.FAILED
        what = "it did not end in time" if late else "it did not succeed"
        return f"{what}: {status.message}" if status is not None and status.message else what

    async def _cleared(self, stages: Iterable[Stage]) -> None:
        """Delete the hooks of a phase that ask for it, now that its outcome is known (K4)."""
        for step in (step for stage in stages for step in hooks_of(stage.steps)):
            made = self.outcomes.get(step.key)
            if isinstance(made, Applied | Failed) and made.uid and ends(step, failed=isinstance(made, Failed)):
                await self._one(Prune(step.key, step.wanted.version, made.uid))

    async def _stage(self, stage: Stage, *, whatever: bool = False) -> None:
        """Run the steps of a stage, some at a time; `whatever` failed before, where that stops others."""
        waiting = iter(stage.steps)

        async def work() -> None:
            for step in waiting:
                if isinstance(step, Skip) or step.key in self.outcomes:
                    continue
                if self.options.stops and not whatever and self._failed(self.outcomes):
                    self.outcomes[step.key] = Blocked(STOPPED)
                else:
                    self.outcomes[step.key] = await self._one(step)

        async with asyncio.TaskGroup() as tasks:
            for _ in range(min(WORKERS, len(stage.steps))):
                tasks.create_task(work())

    async def _one(self, step: Step) -> Outcome:
        """Carry out one step; whatever goes wrong in it stays with this object (E12)."""
        if blocker := self._blocker(step.key) or await self._waits_for(step):
            return Blocked(str(blocker))
        try:
            return await self._carried_out(step)
        except StepFailedError as error:
            return Failed(error.failure)
        except LostLeaseError:
            raise  # it says nothing about the object: all starts over with the lease
        except TowlineError as error:
            return Failed(Failure(ErrorClass.UNAVAILABLE, error.message, hint=error.hint))
        except Exception as error:  # noqa: BLE001 - one of the two places: an object's bug must not stop the others
            place = traceback.extract_tb(error.__traceback__)[-1]
            # Without the exception's text and trace: they may hold values of a manifest.
            log.error(  # noqa: TRY400
                "step_crashed", key=str(step.key), error=type(error).__name__, at=f"{place.filename}:{place.lineno}"
            )
            return Failed(Failure(ErrorClass.INTERNAL, f"a bug: {type(error).__name__} in {place.name}"))

    async def _carried_out(self, step: Step) -> Outcome:
        if isinstance(step, Making) and step.wanted.closed:
            return Failed(step.wanted.closed)
        match step:
            case Create() | Patch():
                return await self.steps.apply(step)
            case Recreate():
                return await self.steps.recreate(step)
            case Prune():
                return await self.steps.prune(step)
            case Orphan():
                return await self.steps.orphan(step)
            case Skip():
                return Blocked(step.reason)
            case _:
                assert_never(step)

    def _blocker(self, key: ObjectKey) -> ObjectKey | None:
        """Return what this object needs and did not get: its namespace, or its kind's definition (E7)."""
        namespace = ObjectKey("", "Namespace", "", key.namespace)
        if key.namespace and self._lacks(namespace):
            return namespace
        definition = self._definitions.get((key.group, key.kind))
        failed = definition is not None and isinstance(self.outcomes.get(definition), Failed)
        return definition if failed else None

    async def _waits_for(self, step: Step) -> str:
        """Return which object that this one names as a need does not do well (C4)."""
        needs = step.wanted.needs if isinstance(step, Making) else ()
        if lacking := [key for key in needs if self._lacks(key)]:
            return str(lacking[0])
        awaited = [key for key in needs if key not in self._unwaited]
        return await self.healthy(awaited, self.options.timeout_s) if awaited else ""

    def _lacks(self, key: ObjectKey) -> bool:
        return key in self._amiss or isinstance(self.outcomes.get(key), Failed | Blocked | Deferred)

    def _failed(self, keys: Iterable[ObjectKey]) -> list[ObjectKey]:
        return [key for key in keys if key in self._amiss or isinstance(self.outcomes.get(key), Failed)]

    def _block(self, stage: Stage, why: str) -> None:
        for step in stage.steps:
            if not isinstance(step, Skip):
                self.outcomes[step.key] = Blocked(why)


def _is_waited(step: Step, todo: Plan) -> bool:
    """Tell whether an object's health counts: skipped ones only where they are as they should be."""
    if isinstance(step, Making):
        return step.wanted.policy.wait and step.wanted.tracked
    entry = todo.claim.entries.get(step.key)
    known = isinstance(step, Skip) and step.reason in {SkipReason.UNCHANGED, SkipReason.DRIFT_REPORTED}
    return known and entry is not None and entry.waits and not entry.hook
