"""Questions about an object: expressions over its fields, with functions for what objects say in conditions.

Beside CEL's own functions a question may call:

- `condition(type)`: the condition of that type; without one its texts are empty,
- `holds(type)` and `fails(type)`: whether that condition is `True`, or `False`,
- `observed()`: whether the controller saw the newest generation, as far as the status tells,
- `observed(type)`: the same of one condition.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from shared.core.cel import Expression, Function, Scope
from shared.core.objects import Manifest

VARIABLES = frozenset({"apiVersion", "kind", "metadata", "spec", "status", "data", "object"})
_MAPS = ("metadata", "spec", "status", "data")


def question(text: str) -> Expression:
    """Return an expression over an object.

    Raises:
        ExpressionError: it cannot be read, or names what is not there.
    """
    return Expression(text, VARIABLES, _FUNCTIONS)


def variables_of(manifest: Manifest) -> dict[str, Any]:
    """Return what a question about an object may name; a part that the object lacks is empty."""
    values = {name: manifest.get(name) for name in VARIABLES} | {"object": manifest}
    return values | {name: manifest.get(name) or {} for name in _MAPS}


def conditions_in(status: Any) -> list[Mapping[str, Any]]:
    """Return the conditions of a status; what is malformed is left out."""
    listed = status.get("conditions") if isinstance(status, Mapping) else None
    return [each for each in listed if isinstance(each, Mapping)] if isinstance(listed, list) else []


def is_observed(manifest: Manifest) -> bool:
    """Tell whether the controller saw the newest generation, as far as the status tells."""
    status, metadata = manifest.get("status") or {}, manifest.get("metadata") or {}
    observed = status.get("observedGeneration") if isinstance(status, Mapping) else None
    return _reached(observed, metadata.get("generation"))


def is_meant(written: str, group: str, kind: str) -> bool:
    """Tell whether `group/Kind`, with alternatives after `|` and `*` for all, means a kind."""
    groups, _, kinds = written.rpartition("/")
    return fnmatchcase(group, groups) and any(fnmatchcase(kind, each) for each in kinds.split("|"))


def _reached(observed: Any, generation: Any) -> bool:
    """Compare generations; Argo Rollouts writes its own as a text, and as a hash in old versions."""
    number = int(observed) if isinstance(observed, str) and observed.isdecimal() else observed
    return not isinstance(number, int) or not isinstance(generation, int) or number >= generation


def _condition(scope: Scope, kind: Any) -> dict[str, Any]:
    listed = conditions_in(scope.names["status"])
    scope.spend(1 + len(listed))
    found = next((each for each in listed if each.get("type") == kind), {})
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
