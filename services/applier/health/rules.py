"""Rules of health that are data: for some kinds, expressions over the object, and what each of them means.

The outcomes are tried in the order in which they are written; when none is true, the object is in progress. Beside
CEL's own functions a rule may call:

- `condition(type)`: the condition of that type; without one its texts are empty,
- `holds(type)` and `fails(type)`: whether that condition is `True`, or `False`,
- `observed()`: whether the controller saw the newest generation, as far as the status tells,
- `observed(type)`: the same of one condition.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from services.applier.health.kstatus import Status
from shared.core.cel import EvaluationError, Expression, Function, Scope
from shared.core.objects import Manifest
from shared.core.status import Health

VARIABLES = frozenset({"apiVersion", "kind", "metadata", "spec", "status", "data", "object"})
SUSPENDED = "Suspended"
FAILED_EXPRESSION = "ExpressionFailed"
OUTCOMES: Mapping[str, tuple[Health, str]] = {
    "current": (Health.CURRENT, ""),
    "failed": (Health.FAILED, ""),
    "inProgress": (Health.IN_PROGRESS, ""),
    "notFound": (Health.NOT_FOUND, ""),
    "suspended": (Health.CURRENT, SUSPENDED),
    "unknown": (Health.UNKNOWN, ""),
}
_MAPS = ("metadata", "spec", "status", "data")
_WELL = frozenset({"Ready", "Available", "Synced", "Healthy", "Succeeded", "Accepted", "Reconciled"})
"""Conditions whose message tells most about an object."""


@dataclass(frozen=True, slots=True)
class Rule:
    """How objects of some kinds do."""

    outcomes: tuple[tuple[str, Expression], ...]
    """Names of `OUTCOMES` in the order in which they are tried."""
    message: Expression | None = None

    def status_of(self, manifest: Manifest) -> Status:
        """Return how an object does; an expression that fails leaves it unknown, and says so (J6)."""
        variables = {name: manifest.get(name) for name in VARIABLES} | {"object": manifest}
        variables |= {name: manifest.get(name) or {} for name in _MAPS}
        outcome = ""
        try:
            for outcome, expression in self.outcomes:
                found = expression.value(variables)
                if not isinstance(found, bool):
                    return Status(Health.UNKNOWN, FAILED_EXPRESSION, f"{outcome}: neither true nor false")
                if found:
                    return self._told(outcome, manifest, variables)
        except EvaluationError as error:
            if not manifest.get("status"):
                # Its controller has not said anything yet: there is nothing to be wrong about.
                return Status(Health.IN_PROGRESS, "NoStatus", "nothing is said about it yet")
            return Status(Health.UNKNOWN, FAILED_EXPRESSION, f"{outcome}: {error}")
        return self._told("inProgress", manifest, variables)

    def _told(self, outcome: str, manifest: Manifest, variables: Mapping[str, Any]) -> Status:
        health, reason = OUTCOMES[outcome]
        said = _telling(manifest, well=health is Health.CURRENT)
        message = str(self.message.value(variables)) if self.message else said.get("message") or ""
        return Status(health, reason or str(said.get("reason") or ""), str(message))


def rule_of(entry: Mapping[str, str]) -> Rule:
    """Return the rule that an entry of a rule file writes, or a user's health check.

    Raises:
        ExpressionError: an expression cannot be read.
    """
    outcomes = tuple((name, expression(text)) for name, text in entry.items() if name in OUTCOMES)
    return Rule(outcomes, expression(entry["message"]) if entry.get("message") else None)


def expression(text: str) -> Expression:
    """Return an expression of a rule.

    Raises:
        ExpressionError: it cannot be read, or names what is not there.
    """
    return Expression(text, VARIABLES, _FUNCTIONS)


def entry_for(entries: Iterable[Mapping[str, Any]], group: str, kind: str) -> Mapping[str, Any] | None:
    """Return the first entry for a kind; `kinds` are like `acme.io/Widget|Gadget`, `*.acme.io/*` or `/ConfigMap`."""
    return next((each for each in entries if any(is_meant(written, group, kind) for written in each["kinds"])), None)


def is_meant(written: str, group: str, kind: str) -> bool:
    """Tell whether `group/Kind`, with alternatives after `|` and `*` for all, means a kind."""
    groups, _, kinds = written.rpartition("/")
    return fnmatchcase(group, groups) and any(fnmatchcase(kind, each) for each in kinds.split("|"))


def is_observed(manifest: Manifest) -> bool:
    """Tell whether the controller saw the newest generation, as far as the status tells."""
    status, metadata = manifest.get("status") or {}, manifest.get("metadata") or {}
    return _reached(status.get("observedGeneration"), metadata.get("generation"))


def _reached(observed: Any, generation: Any) -> bool:
    """Compare generations; Argo Rollouts writes its own as a text, and as a hash in old versions."""
    number = int(observed) if isinstance(observed, str) and observed.isdecimal() else observed
    return not isinstance(number, int) or not isinstance(generation, int) or number >= generation


def _telling(manifest: Manifest, *, well: bool) -> Mapping[str, Any]:
    """Return the condition that tells most, or the status itself."""
    status = manifest.get("status") or {}
    conditions = _conditions(status)
    told = sorted(
        (each for each in conditions if each.get("message") or each.get("reason")),
        key=lambda each: ((each.get("status") == "True") is not well, each.get("type") not in _WELL),
    )
    message = status.get("message") or status.get("reason")
    return {"message": message if isinstance(message, str) else ""} if not told else told[0]


def _conditions(status: Any) -> list[Mapping[str, Any]]:
    listed = status.get("conditions") if isinstance(status, Mapping) else None
    return [each for each in listed if isinstance(each, Mapping)] if isinstance(listed, list) else []


def _condition(scope: Scope, kind: Any) -> dict[str, Any]:
    scope.spend()
    found = next((each for each in _conditions(scope.names["status"]) if each.get("type") == kind), {})
    # Some controllers write a bool where the convention is a text.
    status = {True: "True", False: "False"}.get(found.get("status", ""), found.get("status", ""))
    return {"type": kind, "reason": "", "message": "", **found, "status": status}


def _holds(scope: Scope, kind: Any) -> bool:
    return bool(_condition(scope, kind)["status"] == "True")


def _fails(scope: Scope, kind: Any) -> bool:
    return bool(_condition(scope, kind)["status"] == "False")


def _observed(scope: Scope, kind: Any = None) -> bool:
    if kind is None:
        return is_observed(scope.names["object"])
    return _reached(_condition(scope, kind).get("observedGeneration"), scope.names["metadata"].get("generation"))


_FUNCTIONS = {
    "condition": Function(_condition),
    "holds": Function(_holds),
    "fails": Function(_fails),
    "observed": Function(_observed, 0, 1),
}
