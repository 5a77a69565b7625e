"""Tell drift from what only looks like it: fields that changed hands and not their values (rule I4).

Field ownership answers what a dry run would: whoever changes a field of ours becomes its owner. A field that is
otherwise and still ours is one that admission overrides at every write, ours included.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import replace

from services.applier.diff import Change
from services.applier.fields import covers, entries, owned_by
from services.applier.planned import Cause, Patch, Plan, Skip, SkipReason, Step
from services.applier.tracking import MANAGER
from shared.core.objects import Manifest, ObjectKey


def taken_from_us(found: Iterable[Change], live: Manifest) -> tuple[Change, ...]:
    """Return the changes in fields that are not ours any more."""
    ours = owned_by(entries(live), MANAGER)
    return tuple(each for each in found if ours is None or not covers(ours.fields, each.path))


def as_ownership(todo: Plan, equal: AbstractSet[ObjectKey]) -> Plan:
    """Return the plan in which these objects, whose values are as they should be, have not drifted."""
    return todo.with_applies(lambda step: _restated(step) if step.key in equal else step)


def _restated(step: Step) -> Step:
    match step:
        case Patch():
            return replace(step, cause=Cause.OWNERSHIP)
        case Skip(reason=SkipReason.DRIFT_REPORTED):
            return replace(step, reason=SkipReason.UNCHANGED)
        case _:
            return step


def silent(todo: Plan) -> frozenset[ObjectKey]:
    """Return the objects of which only the ownership is set right: nobody is told of that."""
    return frozenset(step.key for step in todo.steps() if isinstance(step, Patch) and step.cause is Cause.OWNERSHIP)
