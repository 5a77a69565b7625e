"""Make single objects anew because a person asked for it: deleted and created, whatever they look like (rule Q3)."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from services.applier.guard import is_protected
from services.applier.planned import Patch, Plan, Recreate, Skip, SkipReason, Step
from services.applier.state import NOT_READ, Inventory, Live, Present, Wanted
from services.applier.tracking import is_ours
from shared.core.objects import ObjectKey
from shared.errors import PermanentError

_WELL = frozenset({SkipReason.UNCHANGED, SkipReason.DRIFT_REPORTED})


@dataclass(slots=True)
class Renewals:
    """What is asked for, until the next run of its app takes it."""

    _asked: dict[str, set[ObjectKey]] = field(default_factory=dict)

    def ask(self, inventory: Inventory, key: str) -> ObjectKey:
        """Note that an object of an app shall be made anew, and return it.

        Raises:
            PermanentError: the app has no such object, or it would not be the only one to go.
        """
        app = inventory.header.app
        found = next((each for each in inventory.entries if str(each) == key), None)
        if found is None:
            hint = "name it as lists do: GROUP/KIND:NAMESPACE/NAME"
            raise PermanentError(f"{app} has no object {key!r} here", code="instruction.no-object", hint=hint)
        if is_protected(found):
            why = "what it holds would go with it"
            raise PermanentError(f"{key} is not made anew: {why}", code="instruction.protected")
        self._asked.setdefault(app, set()).add(found)
        return found

    def take(self, app: str) -> AbstractSet[ObjectKey]:
        """Return what is asked for of an app, and forget it."""
        return self._asked.pop(app, set())


def renewed(
    todo: Plan, asked: AbstractSet[ObjectKey], wanted: Mapping[ObjectKey, Wanted], live: Mapping[ObjectKey, Live]
) -> Plan:
    """Return a plan in which these objects are made anew, as far as they are there, ours and wanted."""
    if not asked:
        return todo

    def anew(step: Step) -> Step:
        state = live.get(step.key, NOT_READ)
        usual = isinstance(step, Patch) or (isinstance(step, Skip) and step.reason in _WELL)
        if step.key not in asked or not usual or not isinstance(state, Present):
            return step
        return Recreate(wanted[step.key], state.uid) if is_ours(state, todo.claim.header.app, step.key) else step

    return todo.with_applies(anew)
