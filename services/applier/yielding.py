"""Leave fields of an object to those who own them: by `conflicts: yield`, by ignore rules, or on purpose (G3, G4, I8)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from services.applier.errors import FieldConflict
from services.applier.fields import MISSING, Path, contains, entries
from services.applier.held import holder
from services.applier.ignoring import ignored_in, rules_for
from services.applier.normalise import is_bodied
from services.applier.options import IgnoreRule
from services.applier.predict import Place, found_at, place_of
from services.applier.tracking import MANAGER
from shared.core.canonical import decode, encode
from shared.core.objects import Manifest, key_of

Sends = Callable[[Path, Any], Any]
"""What is sent instead of the value at a path; MISSING: nothing."""
# Without these there is no object; whoever claims to own them is not asked.
_IDENTITY = frozenset(
    {("f:apiVersion",), ("f:kind",), ("f:metadata",), ("f:metadata", "f:name"), ("f:metadata", "f:namespace")}
)


def without_conflicts(body: bytes, conflicts: Iterable[FieldConflict]) -> bytes:
    """Return the body of a PATCH without the fields on which the API server named a conflict."""
    fields = {conflict.field for conflict in conflicts}

    def sends(path: Path, value: Any) -> Any:
        return MISSING if server_text(path) in fields else value

    # How lists of a custom resource are merged nobody says here; the conflict's text is what has to fit.
    return encode(_rebuilt(decode(body), Place((), None, builtin=True), sends))


def without_ignored(body: bytes, live: Manifest, rules: Iterable[IgnoreRule]) -> bytes:
    """Return the body of a PATCH that changes none of the ignored fields of the live object, nor what controllers hold.

    What somebody else owns is left out. What nobody else owns is sent as it is live: leaving it out would delete it.
    """
    wanted = decode(body)
    place = place_of(wanted, live)
    ignored = ignored_in(rules_for(key_of(wanted), rules), (wanted, live), place)
    others = [entry for entry in entries(live) if entry.manager != MANAGER]
    whole = is_bodied(live)

    def sends(path: Path, value: Any) -> Any:
        # The very field: what is above it may hold fields of ours too.
        managers = [entry.manager for entry in others if contains(entry.fields, path)]
        if holder(others, path):
            return MISSING
        if not ignored.covers(path, managers):
            return value
        if managers:
            return MISSING
        return found_at(live, path) if whole else value

    return encode(_rebuilt(wanted, place, sends))


def server_text(path: Path) -> str:
    """Return `path` as the API server writes it in conflicts: names as they are, dots and all."""
    return "".join(_server_step(step) for step in path)


def _server_step(step: str) -> str:
    kind, _, rest = step.partition(":")
    match kind:
        case "f":
            return f".{rest}"
        case "k":
            keys = decode(rest.encode()).items()
            return "[" + ",".join(f"{name}={encode(value).decode()}" for name, value in keys) + "]"
        case "v":
            return f"[={rest}]"
        case _:
            return f"[{rest}]"


def _rebuilt(node: Any, place: Place, sends: Sends) -> Any:
    """Return what is sent instead of `node`, field by field."""
    steps = place.steps(node)
    if steps is None and isinstance(node, list):
        steps = {f"i:{index}": item for index, item in enumerate(node)}
    if not steps:
        return node
    sent = {step: _sent(member, place.at(step), sends) for step, member in steps.items()}
    if isinstance(node, list):
        return [member for member in sent.values() if member is not MISSING]
    return {step[2:]: member for step, member in sent.items() if member is not MISSING}


def _sent(member: Any, place: Place, sends: Sends) -> Any:
    if place.path in _IDENTITY:
        return _rebuilt(member, place, sends)
    found = sends(place.path, member)
    return _rebuilt(member, place, sends) if found is member else found
