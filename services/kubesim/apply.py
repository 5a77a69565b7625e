"""Decide what a server-side apply makes of an object: merge, ownership, conflicts, removal of dropped fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from services.kubesim.answers import Cause, RefusedError
from services.kubesim.fields import (
    NONE,
    Fields,
    Path,
    applied_fields,
    difference,
    is_branch,
    item_key,
    readable,
    without,
)
from services.kubesim.managed import BEFORE, UNOWNED, Manager, Managers, Owned, union
from services.kubesim.schema import Shape


@dataclass(frozen=True, slots=True)
class Applied:
    """What an apply comes to, before defaults and checks."""

    value: dict[str, Any]
    managers: Managers
    wanted: Fields


@dataclass(frozen=True, slots=True)
class Intent:
    """Who applies, and how."""

    who: Manager
    force: bool = False
    ignored: Fields = NONE
    """Prefixes that this kind of apply neither changes nor owns, such as `status`."""


def applied(
    shape: Shape,
    live: Mapping[str, Any] | None,
    wanted: Mapping[str, Any],
    managers: Managers,
    intent: Intent,
    *,
    sent: Mapping[str, Any] | None = None,
) -> Applied:
    """Return `live` after an apply of `wanted`.

    Args:
        shape: the type of the object.
        live: the object as it is, None when it is created.
        wanted: what is applied, in the form in which it is stored.
        managers: who owns what of `live`.
        intent: who applies, and how.
        sent: the same as it was sent: empties that are not stored are owned all the same.

    Raises:
        RefusedError: 409, another manager owns a field with another value and the intent does not force.
    """
    fields = frozenset(applied_fields(shape, wanted if sent is None else sent)) - UNOWNED
    fields = frozenset(path for path in fields if not any(path[: len(head)] == head for head in intent.ignored))
    base = dict(live or {})
    known = dict(managers)
    if live is not None and not known:
        known[Manager(BEFORE, "Update", intent.who.api_version)] = Owned(
            frozenset(applied_fields(shape, live)) - UNOWNED
        )
    merged = merge(shape, base, wanted)
    changed = difference(shape, base, merged).changed
    others = {who: owned for who, owned in known.items() if not _is_mine(who, intent.who)}
    contested = {who: owned.fields & changed & fields for who, owned in others.items()}
    contested = {who: paths for who, paths in contested.items() if paths}
    if contested and not intent.force:
        raise refuse(contested)
    for who, paths in contested.items():
        known[who] = Owned(known[who].fields - paths, known[who].time)
    return _settle(shape, merged, (fields, known), intent)


def _settle(shape: Shape, merged: dict[str, Any], owned: tuple[Fields, Managers], intent: Intent) -> Applied:
    fields, known = owned
    mine = {who: had for who, had in known.items() if _is_mine(who, intent.who)}
    rest = {who: had for who, had in known.items() if who not in mine and had.fields}
    dropped = union(mine) - fields
    if dropped:
        elsewhere = union(rest)
        merged = without(shape, merged, dropped - elsewhere, fields | elsewhere | UNOWNED) or {}
    if fields:
        before = known.get(intent.who)
        rest[intent.who] = Owned(fields, before.time if before else "")
    return Applied(merged, rest, fields)


def _is_mine(who: Manager, intent: Manager) -> bool:
    # An apply at another version of the same kind replaces the entry of the old one.
    return (who.name, who.operation, who.subresource) == (intent.name, intent.operation, intent.subresource)


def merge(shape: Shape, live: Any, wanted: Any) -> Any:
    """Return `live` with the fields of `wanted` put over it, walking along `shape`."""
    if not is_branch(shape, wanted) or not is_branch(shape, live):
        return wanted
    if isinstance(wanted, Mapping):
        result = dict(live)
        for name, inner in wanted.items():
            result[name] = merge(shape.child(name), result.get(name), inner)
        return result
    return _merge_items(shape, live, wanted)


def _merge_items(shape: Shape, live: list[Any], wanted: list[Any]) -> list[Any]:
    """Return both lists' items once each: the wanted ones in their order, foreign ones where they stood."""
    old = {item_key(shape, item): item for item in live}
    new = {item_key(shape, item): item for item in wanted}
    result: list[Any] = []
    waiting = iter(new.items())
    placed: set[str] = set()
    for key, item in old.items():
        if key not in new:
            result.append(item)
            continue
        while key not in placed:
            next_key, next_item = next(waiting)
            placed.add(next_key)
            result.append(_merge_item(shape, old.get(next_key), next_item))
    result.extend(_merge_item(shape, old.get(key), item) for key, item in waiting)
    return result


def _merge_item(shape: Shape, live: Any, wanted: Any) -> Any:
    return wanted if live is None or shape.form == "set" else merge(shape.element, live, wanted)


def refuse(contested: Mapping[Manager, Fields]) -> RefusedError:
    """Return the 409 that names every contested field, worded as the server does."""
    lines: list[tuple[str, str]] = sorted(
        (_who_text(who), readable(path)) for who, paths in contested.items() for path in paths
    )
    causes = [Cause("FieldManagerConflict", f"conflict with {who}", field) for who, field in lines]
    if len(lines) == 1:
        text = f"Apply failed with 1 conflict: conflict with {lines[0][0]}: {lines[0][1]}"
    else:
        text = f"Apply failed with {len(lines)} conflicts: " + "\n".join(_grouped(lines))
    return RefusedError(409, text, details={"causes": [cause.as_dict() for cause in causes]})


def _grouped(lines: list[tuple[str, str]]) -> list[str]:
    texts: list[str] = []
    last = ""
    for who, field in lines:
        if who != last:
            texts.append(f"conflicts with {who}:")
            last = who
        texts.append(f"- {field}")
    return texts


def _who_text(who: Manager) -> str:
    text = f'"{who.name}"'
    if who.subresource:
        text += f' with subresource "{who.subresource}"'
    return text + (f" using {who.api_version}" if who.operation == "Update" else "")


def typed_errors(shape: Shape, value: Any, at: Path = ()) -> list[str]:
    """Return what the typed conversion of an applied configuration would refuse, with the paths it names."""
    if value is None:
        return []
    errors = _wrong_form(shape, value, at)
    if errors:
        return errors
    if shape.form == "leaf" or not isinstance(value, (Mapping, list)):
        return errors
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if not shape.knows(name):
                # The server's walk ends here too.
                return [*errors, f"{readable((*at, f'f:{name}'))}: field not declared in schema"]
            errors += typed_errors(shape.child(name), inner, (*at, f"f:{name}"))
        return errors
    return errors + _list_errors(shape, value, at)


def _list_errors(shape: Shape, items: list[Any], at: Path) -> list[str]:
    errors: list[str] = []
    seen: set[str] = set()
    place = readable(at)
    for number, item in enumerate(items):
        inner_at = (*at, f"i:{number}")
        if shape.form == "keyed":
            if not isinstance(item, Mapping):
                errors.append(f"{place}: element {number}: associative list with keys may not have null elements")
                continue
            if not any(key in item for key in shape.keys) and not shape.key_defaults():
                errors.append(
                    f"{place}: element {number}: associative list with keys has an element that omits all key fields {_quoted(shape.keys)} (and doesn't have default values for any key fields)"
                )
                continue
            inner_at = (*at, item_key(shape, item))
        if shape.form in {"keyed", "set"}:
            key = item_key(shape, item)
            if key in seen:
                errors.append(f"{place}: duplicate entries for key {readable((key,))}")
            seen.add(key)
        errors += typed_errors(shape.element, item, inner_at)
    return errors


def _quoted(keys: tuple[str, ...]) -> str:
    return "[" + " ".join(orjson.dumps(key).decode() for key in keys) + "]"


def _wrong_form(shape: Shape, value: Any, at: Path) -> list[str]:
    place = readable(at)
    match shape.form:
        case "struct" | "map" if not isinstance(value, Mapping):
            return [f"{place}: expected map, got &{{{value}}}"]
        case "list" | "set" | "keyed" if not isinstance(value, list):
            return [f"{place}: expected list, got &{{{value}}}"]
        case "leaf":
            return _wrong_leaf(shape.leaf, value, place)
        case _:
            return []


def _wrong_leaf(leaf: str, value: Any, place: str) -> list[str]:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    fits = {
        "string": isinstance(value, str),
        "bytes": isinstance(value, str),
        "integer": is_number,
        "number": is_number,
        "boolean": isinstance(value, bool),
        "quantity": is_number or isinstance(value, str),
        "either": is_number or isinstance(value, str),
    }
    names = {
        "string": "string",
        "bytes": "string",
        "boolean": "boolean",
        "integer": "numeric (int or float)",
        "number": "numeric (int or float)",
    }
    shown = f"&value.valueUnstructured{{Value:{value!r}}}" if not isinstance(value, str) else "string"
    return [] if fits[leaf] else [f"{place}: expected {names.get(leaf, 'string')}, got {shown}"]
