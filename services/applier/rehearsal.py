"""Ask the API server about each write of a plan before any is sent, changing nothing (rules D4, E9, Q4).

What cannot be asked beforehand is no refusal: objects whose kind or namespace comes with the bundle.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from services.applier.answered import answered
from services.applier.errors import ErrorClass, Failure, unreachable
from services.applier.kube.mapper import Mapper
from services.applier.kube.session import ClusterUnreachableError, Sender
from services.applier.planned import (
    Blocked,
    Create,
    Failed,
    Orphan,
    Outcome,
    Patch,
    Plan,
    Prune,
    Recreate,
    Skip,
    Step,
)
from services.applier.reports import ObjectFailure
from services.applier.requests import apply_request
from services.applier.state import Wanted
from services.applier.summary import Summary, failure_of, summary
from shared.bus.together import each_of
from shared.core.objects import ObjectKey
from shared.core.status import Result, Sync

REASON = "PlanOnly"
AT_ONCE = 16
NO_DRY_RUN = "does not support dry run"
_ONLY = Blocked(REASON)
_VERBS: Mapping[type[Step], str] = {
    Create: "make",
    Patch: "change",
    Recreate: "make anew",
    Prune: "delete",
    Orphan: "give up",
}


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """One plan that is only talked about."""

    todo: Plan
    sender: Sender
    mapper: Mapper
    recreates: Callable[[Wanted], bool]

    async def outcomes(self) -> dict[ObjectKey, Outcome]:
        """Return what the API server refuses; all else is not tried."""
        steps = [step for step in self.todo.steps() if not isinstance(step, Skip)]
        made = {step.key for step in steps if isinstance(step, Create)}
        return {
            step.key: await self._asked(step, made) if isinstance(step, Create | Patch) else _ONLY for step in steps
        }

    async def confirmed(self, steps: Iterable[Patch]) -> tuple[ObjectFailure, ...]:
        """Return which of these the API server refuses because a field never changes."""
        found: dict[ObjectKey, Failure] = {}

        async def ask(step: Patch) -> None:
            outcome = await self._asked(step, set())
            if isinstance(outcome, Failed) and outcome.failure.error is ErrorClass.IMMUTABLE:
                found[step.key] = outcome.failure

        await each_of(ask, steps, at_once=AT_ONCE)
        return tuple(failure_of(key, each) for key, each in sorted(found.items()))

    def lines(self) -> list[str]:
        """Return what would be done, deletions first."""
        stages = (*self.todo.prunes, *self.todo.applies)
        steps = [step for stage in stages for step in stage.steps if not isinstance(step, Skip)]
        return [f"would {_VERBS[type(step)]} {step.key}" for step in steps]

    def summary(self, outcomes: Mapping[ObjectKey, Outcome]) -> Summary:
        """Return the account of it."""
        found = summary(self.todo, outcomes)
        if not self.todo.writes:
            return found
        return replace(
            found,
            result=Result.FAILED if found.failures else Result.HELD,
            sync=Sync.OUT_OF_SYNC,
            reason="Failed" if found.failures else REASON,
            message=found.message if found.failures else f"nothing is written; {len(outcomes)} objects would be",
        )

    async def _asked(self, step: Create | Patch, made: set[ObjectKey]) -> Outcome:
        key = step.key
        if step.wanted.closed:
            return Failed(step.wanted.closed)
        resource = self.mapper.find(key, step.wanted.version)
        if resource is None:
            return _ONLY  # its kind comes with the bundle
        request = apply_request(resource, step, step.wanted.body)
        try:
            reply = await self.sender.send(replace(request, query={**request.query, "dryRun": "All"}))
        except ClusterUnreachableError as error:
            return Failed(unreachable(error.message))
        if reply.ok:
            lost = answered(step.wanted.body, reply.body or {}, strict=step.wanted.policy.validate).failure
            return Failed(lost) if lost else _ONLY
        failure = reply.failure(key)
        deaf = NO_DRY_RUN in failure.message  # a webhook from before 1.22 (D14)
        arrives = (
            failure.error is ErrorClass.NAMESPACE_MISSING and ObjectKey("", "Namespace", "", key.namespace) in made
        )
        anew = failure.error is ErrorClass.IMMUTABLE and self.recreates(step.wanted)
        return _ONLY if deaf or arrives or anew else Failed(failure)
