"""Tell which fields a value has, in the paths of `fieldsV1`, and what differs between two values.

A set of fields is a frozenset of paths; a path is a tuple of elements as they stand in JSON: `f:name`, `k:{...}`, `v:...`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from services.kubesim.schema import Shape

Path = tuple[str, ...]
Fields = frozenset[Path]
NONE: Fields = frozenset()


class Difference(NamedTuple):
    """What two values differ in."""

    changed: Fields
    """Added or modified."""
    removed: Fields


def is_branch(shape: Shape, value: Any) -> bool:
    """Tell whether `value` is merged field by field instead of being replaced as a whole."""
    if shape.atomic:
        return False
    if isinstance(value, Mapping):
        return shape.form in {"any", "struct", "map"}
    return isinstance(value, list) and shape.form in {"set", "keyed"}


def item_key(shape: Shape, item: Any) -> str:
    """Return the path element of one item of a set or keyed list."""
    if shape.form == "set":
        return "v:" + orjson.dumps(item).decode()
    defaults = shape.key_defaults()
    named = item if isinstance(item, Mapping) else {}
    keys = {key: named.get(key, defaults.get(key)) for key in shape.keys}
    present = {key: value for key, value in keys.items() if value is not None}
    return "k:" + orjson.dumps(present, option=orjson.OPT_SORT_KEYS).decode()


def branches(shape: Shape, value: Any) -> Iterator[tuple[str, Shape, Any]]:
    """Yield path element, shape and value of everything directly inside `value`."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield f"f:{name}", shape.child(name), inner
    elif isinstance(value, list):
        for item in value:
            yield item_key(shape, item), shape.element, item


def applied_fields(shape: Shape, value: Any, at: Path = ()) -> Iterator[Path]:
    """Yield the fields an apply of `value` owns: leaves, list items, and empty containers."""
    if not is_branch(shape, value) or value == {}:
        yield at
        return
    for element, inner_shape, inner in branches(shape, value):
        path = (*at, element)
        if element[0] != "f":
            yield path
        if element[0] != "v":
            yield from applied_fields(inner_shape, inner, path)


def all_fields(shape: Shape, value: Any, at: Path = ()) -> Iterator[Path]:
    """Yield the fields another write owns: those of an apply, and maps themselves."""
    if not is_branch(shape, value):
        yield at
        return
    if shape.form == "map" or not value:
        yield at
    for element, inner_shape, inner in branches(shape, value):
        path = (*at, element)
        if element[0] != "f":
            yield path
        if element[0] != "v":
            yield from all_fields(inner_shape, inner, path)


def difference(shape: Shape, old: Any, new: Any) -> Difference:
    """Return what must be added, modified and removed to come from `old` to `new`."""
    changed: list[Path] = []
    removed: list[Path] = []
    _compare(shape, (old, new), (), (changed, removed))
    return Difference(frozenset(changed), frozenset(removed))


def _compare(shape: Shape, values: tuple[Any, Any], at: Path, into: tuple[list[Path], list[Path]]) -> None:
    old, new = values
    if old == new:
        return
    if not (is_branch(shape, old) and is_branch(shape, new)):
        into[0].append(at)
        return
    before = {element: (inner_shape, inner) for element, inner_shape, inner in branches(shape, old)}
    after = {element: (inner_shape, inner) for element, inner_shape, inner in branches(shape, new)}
    for element, (inner_shape, inner) in after.items():
        path = (*at, element)
        if element in before:
            _compare(inner_shape, (before[element][1], inner), path, into)
        else:
            into[0].extend(_with_self(inner_shape, inner, path))
    for element, (inner_shape, inner) in before.items():
        if element not in after:
            into[1].extend(_with_self(inner_shape, inner, (*at, element)))


def _with_self(shape: Shape, value: Any, path: Path) -> Iterator[Path]:
    if path[-1][0] != "f":
        yield path
    if path[-1][0] != "v":
        yield from all_fields(shape, value, path)


def without(shape: Shape, value: Any, gone: Fields, kept: Fields) -> Any:
    """Return `value` without the fields `gone`; containers that become empty go, what holds a `kept` field stays.

    Returns:
        The value left over, None when nothing is.
    """
    prefixes = frozenset(path[:length] for path in kept for length in range(1, len(path) + 1))
    heads = frozenset(path[:length] for path in gone for length in range(1, len(path) + 1))
    return _strip(shape, value, (), (gone, heads, prefixes))


def _strip(shape: Shape, value: Any, at: Path, sets: tuple[Fields, Fields, Fields]) -> Any:
    gone, heads, kept = sets
    left: list[tuple[str, Any]] = []
    # An item that stays keeps its keys, whoever owned them.
    fixed = orjson.loads(at[-1][2:]) if at and at[-1][0] == "k" else ()
    for element, inner_shape, inner in branches(shape, value):
        path = (*at, element)
        if path in gone and path not in kept and element[2:] not in fixed:
            continue
        if path in heads and is_branch(inner_shape, inner) and inner:
            remains = _strip(inner_shape, inner, path, sets)
            if remains is None and path not in kept:
                continue
            inner = {} if remains is None else remains  # noqa: PLW2901 -- the item as it stays
        left.append((element, inner))
    if not left:
        return None
    if isinstance(value, Mapping):
        return {element[2:]: inner for element, inner in left}
    return [inner for _, inner in left]


def encode(paths: Iterable[Path]) -> dict[str, Any]:
    """Return the nested form of `fieldsV1`, sorted."""
    tree: dict[str, Any] = {}
    for path in sorted(paths):
        node = tree
        for element in path:
            node = node.setdefault(element, {})
        node["."] = {}
    return _tidy(tree)


def _tidy(tree: dict[str, Any]) -> dict[str, Any]:
    return {
        element: {} if element == "." or inner == {".": {}} else _tidy(inner) for element, inner in sorted(tree.items())
    }


def decode(tree: Mapping[str, Any], at: Path = ()) -> Fields:
    """Return the set of fields that `fieldsV1` names."""
    found: list[Path] = []
    for element, inner in tree.items():
        if element == ".":
            found.append(at)
        elif inner:
            found.extend(decode(inner, (*at, element)))
        else:
            found.append((*at, element))
    return frozenset(found)


def readable(path: Sequence[str]) -> str:
    """Return a path as conflict messages print it: `.spec.containers[name="c"].image`."""
    text = ""
    for element in path:
        kind, rest = element[0], element[2:]
        if kind == "f":
            text += f".{rest}"
        elif kind == "k":
            pairs = orjson.loads(rest).items()
            text += "[" + ",".join(f"{key}={orjson.dumps(value).decode()}" for key, value in pairs) + "]"
        else:
            text += f"[={rest}]"
    return text
