"""Put the times of windows into what is signed and rolled out, and tell which of them are closed (rule Q5)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from shared.core.windows import closed, listed
from shared.errors import PermanentError
from shared.messages.renders import AppPart, RolloutPlan, StagePlan, WindowPart

OF_STAGE, OF_APP = "windows", "frozen"
GATES = frozenset({OF_STAGE, OF_APP})
"""Gates that time opens."""
_ALL = ""
"""The stage of an app that has none, while it has windows."""


class UnknownWindowError(PermanentError):
    """An app names a window that nobody declares; it stays as it is, for without it changes could come at any time."""

    code = "fleet.unknown-window"


def with_times(app: AppPart, declared: Mapping[str, WindowPart]) -> AppPart:
    """Return the app with the times of its windows among its options: agents keep to them, too.

    Raises:
        UnknownWindowError: nobody declares one of them.
    """
    names = app.options.get("windows") or ()
    if unknown := [name for name in names if name not in declared]:
        known = ", ".join(sorted(declared)) or "none"
        raise UnknownWindowError(
            f"app {app.name!r} keeps to an unknown window {unknown[0]!r}", hint=f"declared: {known}"
        )
    return app.model_copy(update={"options": {**app.options, "windows": _timed(names, declared)}}) if names else app


def timed_plan(plan: RolloutPlan | None, app: AppPart, declared: Mapping[str, WindowPart]) -> RolloutPlan | None:
    """Return an app's plan with its windows, and those of its stages, as gates with their times."""
    own = list(app.options.get("windows") or ())
    stages = plan.stages if plan else ()
    made = [_timed_stage(stage, own, declared) for stage in stages or ([StagePlan(name=_ALL)] if own else ())]
    return (plan or RolloutPlan(on_failure="continue")).model_copy(update={"stages": tuple(made)}) if made else plan


def as_of(plan: RolloutPlan, now: datetime) -> RolloutPlan:
    """Return the plan without the gates that are open now; what keeps the others closed stands for their times."""
    stages = [stage.model_copy(update={"gates": dict(_closed(stage.gates, now))}) for stage in plan.stages]
    return plan.model_copy(update={"stages": tuple(each for each in stages if each.name != _ALL or each.gates)})


def without(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a release that a person let go before its time: its agent need not wait either."""
    return {**options, "windows": []}


def _timed(names: Iterable[str], declared: Mapping[str, WindowPart]) -> list[Any]:
    """Return windows with their times; of one that nobody declares the name alone, which is closed."""
    return [{"name": name, **declared[name].model_dump(mode="json")} if name in declared else name for name in names]


def _timed_stage(stage: StagePlan, own: list[Any], declared: Mapping[str, WindowPart]) -> StagePlan:
    gates = dict(stage.gates)
    if OF_STAGE in gates:
        gates[OF_STAGE] = _timed(gates[OF_STAGE], declared)
    if own:
        gates[OF_APP] = own
    return stage.model_copy(update={"gates": gates})


def _closed(gates: Mapping[str, Any], now: datetime) -> Iterable[tuple[str, Any]]:
    for gate, value in gates.items():
        if gate not in GATES:
            yield gate, value
        elif found := closed(listed(value), now):
            yield gate, str(found)
