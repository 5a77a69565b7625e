"""Say as a JSON patch what an apply would change in a live object, without showing what a Secret holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from services.applier.fields import MISSING
from services.applier.ignoring import ignored_in
from services.applier.masking import before_and_after
from services.applier.options import IgnoreRule
from services.applier.predict import Prediction, place_of, without
from services.applier.sameness import comparable
from shared.core.canonical import encode
from shared.core.objects import Manifest, key_of

_NOTED = ("annotations", "labels")
_HIDDEN = ("data", "stringData")


class Action(StrEnum):
    """What an apply would do to an object."""

    NONE = "None"
    CREATE = "Create"
    UPDATE = "Update"
    EXCLUDE = "Exclude"
    """It is none of our business."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of a JSON patch, with the value that it takes away."""

    op: str
    path: str
    value: Any = MISSING
    old: Any = MISSING

    def plain(self) -> dict[str, Any]:
        """Return the operation as JSON has it."""
        found = {"op": self.op, "path": self.path, "value": self.value, "oldValue": self.old}
        return {name: value for name, value in found.items() if value is not MISSING}

    @property
    def size(self) -> int:
        """The bytes of the operation as others get it, without the old value."""
        return len(encode({name: value for name, value in self.plain().items() if name != "oldValue"}))


Patch = tuple[Operation, ...]


def would_change(
    found: Prediction | None, rules: Iterable[IgnoreRule] = (), *, brief: bool = False
) -> tuple[Action, Patch]:
    """Return what an apply would do, and how; None: the object does not exist.

    Args:
        found: the live object, and what the apply makes of it.
        rules: what is left out; a rule with the empty pointer leaves out the object.
        brief: one operation instead of many where that is shorter.
    """
    mine = list(rules)
    if any(pointer == "" for rule in mine for pointer in rule.paths):
        return Action.EXCLUDE, ()
    if found is None:
        return Action.CREATE, ()
    place = place_of(found.live, {})
    gone = ignored_in(mine, (found.live, found.after), place).paths
    live, after = without(found.live, place, gone), without(found.after, place, gone)
    # Who removes labels and annotations from the live object is somebody else: an apply takes away only what is ours.
    noted = [each for each in patch(_notes(live), _notes(after), brief=brief) if each.op != "remove"]
    operations = (*noted, *patch(_body(live), _body(after), brief=brief))
    return (Action.UPDATE, operations) if operations else (Action.NONE, ())


def masked(operations: Iterable[Operation]) -> Patch:
    """Return the patch of a Secret as it may be shown."""
    return tuple(_masked(each) for each in operations)


def shown(manifest: Manifest, operations: Iterable[Operation]) -> Patch:
    """Return the patch of this object as it may leave the agent."""
    return masked(operations) if key_of(manifest)[:2] == ("", "Secret") else tuple(operations)


def patch(before: Any, after: Any, *, brief: bool = False) -> Patch:
    """Return the operations that turn `before` into `after`."""
    return tuple(_operations(before, after, "", brief=brief))


def _masked(operation: Operation) -> Operation:
    if operation.path.startswith("/") and operation.path.split("/")[1] in _HIDDEN:
        old, value = before_and_after(operation.old, operation.value)
        return replace(operation, old=old, value=value)
    if operation.path:
        return operation
    # The object as a whole.
    old, value = dict(operation.old), dict(operation.value)
    for name in _HIDDEN:
        pair = before_and_after(old.get(name, MISSING), value.get(name, MISSING))
        old, value = _with(old, name, pair[0]), _with(value, name, pair[1])
    return replace(operation, old=old, value=value)


def _with(manifest: dict[str, Any], name: str, value: Any) -> dict[str, Any]:
    return manifest if value is MISSING else {**manifest, name: value}


def _operations(before: Any, after: Any, path: str, *, brief: bool) -> Iterator[Operation]:
    whole = Operation("replace", path, after, before)
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        found = list(_of_mapping(before, after, path, brief=brief))
    elif isinstance(before, list) and isinstance(after, list):
        found = list(_of_list(before, after, path, brief=brief))
    else:
        found = [] if before == after and isinstance(before, bool) == isinstance(after, bool) else [whole]
    commas = len(found) - 1
    yield from [whole] if brief and sum(each.size for each in found) + commas > whole.size else found


def _of_mapping(before: Mapping[str, Any], after: Mapping[str, Any], path: str, *, brief: bool) -> Iterator[Operation]:
    for name in sorted({*before, *after}):
        at = f"{path}/{name.replace('~', '~0').replace('/', '~1')}"
        if name not in after:
            yield Operation("remove", at, old=before[name])
        elif name not in before:
            yield Operation("add", at, after[name])
        else:
            yield from _operations(before[name], after[name], at, brief=brief)


def _of_list(before: list[Any], after: list[Any], path: str, *, brief: bool) -> Iterator[Operation]:
    shared = min(len(before), len(after))
    # Each removal moves up what follows.
    yield from (Operation("remove", f"{path}/{shared}", old=item) for item in before[shared:])
    for index in range(shared):
        yield from _operations(before[index], after[index], f"{path}/{index}", brief=brief)
    yield from (Operation("add", f"{path}/-", item) for item in after[shared:])


def _notes(manifest: Manifest) -> dict[str, Any]:
    metadata = manifest.get("metadata") or {}
    return {"metadata": {name: metadata[name] for name in _NOTED if name in metadata}}


def _body(manifest: Manifest) -> dict[str, Any]:
    return {name: value for name, value in comparable(manifest).items() if name != "metadata"}
