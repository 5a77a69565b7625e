"""The algebra of managedFields: which paths a field manager owns.

A set of fields is the nested mapping that the API server writes: `f:name` a field, `k:{...}` a list item by its keys,
`v:value` an item of a set, `i:0` an item by index. A node that is owned itself, and not only for what is below it, is
an empty mapping or has the member `.`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.core.canonical import NotJSONError, decode, digest, encode
from shared.core.objects import Manifest

Fields = Mapping[str, Any]
Path = tuple[str, ...]


class _Missing:
    """Stands for a value that is not there; None is a value."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING = _Missing()


@dataclass(frozen=True, slots=True)
class Owned:
    """What one manager's Apply entry says."""

    fields: Fields
    digest: str
    time: str = ""
    """May be absent: an apply that only gained ownership writes none."""


@dataclass(frozen=True, slots=True)
class Ownership:
    """One entry of managedFields."""

    manager: str
    operation: str
    subresource: str
    time: str
    fields: Fields


def entries(manifest: Manifest) -> list[Ownership]:
    """Return the entries of managedFields; what is malformed reads as owning nothing."""
    found = (manifest.get("metadata") or {}).get("managedFields") or []
    return [
        Ownership(
            manager=str(entry.get("manager") or ""),
            operation=str(entry.get("operation") or ""),
            subresource=str(entry.get("subresource") or ""),
            time=str(entry.get("time") or ""),
            fields=entry.get("fieldsV1") or {},
        )
        for entry in found
        if isinstance(entry, Mapping)
    ]


def owned_by(manifest: Manifest, manager: str) -> Owned | None:
    """Return the Apply entry of `manager` on the main resource, or None."""
    for entry in entries(manifest):
        if entry.manager == manager and entry.operation == "Apply" and not entry.subresource:
            return Owned(entry.fields, digest(encode(entry.fields)), entry.time)
    return None


def other_managers(manifest: Manifest, manager: str) -> tuple[str, ...]:
    """Return the names of all managers but `manager`, each once, in their order."""
    return tuple(dict.fromkeys(e.manager for e in entries(manifest) if e.manager and e.manager != manager))


def members(fields: Fields) -> Iterator[Path]:
    """Yield the path of every member of the set."""
    yield from _members(fields, ())


def of(paths: Iterable[Path]) -> dict[str, Any]:
    """Return the set that has exactly these members, in the API server's form."""
    root: dict[str, Any] = {}
    ordered = sorted(paths)
    inner = {path[:depth] for path in ordered for depth in range(1, len(path))}
    for path in ordered:
        node = root
        for step in path:
            node = node.setdefault(step, {})
        if path in inner:
            node["."] = {}
    return root


def union(left: Fields, right: Fields) -> dict[str, Any]:
    """Return what is in one of both."""
    return of({*members(left), *members(right)})


def difference(left: Fields, right: Fields) -> dict[str, Any]:
    """Return what is in `left` and not in `right`."""
    return of(set(members(left)) - set(members(right)))


def intersection(left: Fields, right: Fields) -> dict[str, Any]:
    """Return what is in both."""
    return of(set(members(left)) & set(members(right)))


def contains(fields: Fields, path: Path) -> bool:
    """Tell whether `path` itself is a member."""
    node: Any = fields
    for step in path:
        if not isinstance(node, Mapping) or step not in node:
            return False
        node = node[step]
    return bool(path) and isinstance(node, Mapping) and (not node or "." in node)


def covers(fields: Fields, path: Path) -> bool:
    """Tell whether `path`, something below it, or a leaf above it is a member: whether a change there concerns its owner."""
    node: Any = fields
    for step in path:
        if not isinstance(node, Mapping) or step not in node:
            return False
        node = node[step]
        if not node:
            return True
    return bool(path)


def human(path: Path) -> str:
    """Return `path` as people write it: `.spec.containers[name="c"].image`."""
    return "".join(_human_step(step) for step in path)


def value_at(manifest: Any, path: Path) -> Any:
    """Return the value at `path`, or `MISSING`."""
    node = manifest
    for step in path:
        node = _below(node, step)
        if node is MISSING:
            return MISSING
    return node


def extract(manifest: Manifest, fields: Fields) -> dict[Path, Any]:
    """Return path → value for the leaves of `fields` that exist in `manifest`.

    A leaf is a member with nothing below it: an owned map with owned content is told by its content.
    """
    found = {path: value_at(manifest, path) for path in _leaves(fields, ())}
    return {path: value for path, value in found.items() if value is not MISSING}


def _members(fields: Fields, above: Path) -> Iterator[Path]:
    for step, below in fields.items():
        if step == ".":
            continue
        path = (*above, step)
        if not below or "." in below:
            yield path
        if below:
            yield from _members(below, path)


def _leaves(fields: Fields, above: Path) -> Iterator[Path]:
    for step, below in fields.items():
        if step == ".":
            continue
        if not below or set(below) == {"."}:
            yield (*above, step)
        else:
            yield from _leaves(below, (*above, step))


def _human_step(step: str) -> str:
    kind, _, rest = step.partition(":")
    match kind:
        case "f":
            return f'["{rest}"]' if "." in rest or "/" in rest else f".{rest}"
        case "k":
            keys = _parsed(rest)
            named = keys.items() if isinstance(keys, Mapping) else [("?", rest)]
            return "[" + ",".join(f"{name}={encode(value).decode()}" for name, value in named) + "]"
        case "v":
            return f"[={rest}]"
        case _:
            return f"[{rest}]"


def _below(node: Any, step: str) -> Any:
    kind, _, rest = step.partition(":")
    match kind:
        case "f":
            return node.get(rest, MISSING) if isinstance(node, Mapping) else MISSING
        case "k":
            return _item_with(node, _parsed(rest))
        case "v":
            return next((item for item in _items(node) if item == _parsed(rest)), MISSING)
        case _:
            items = _items(node)
            return items[int(rest)] if rest.isdecimal() and int(rest) < len(items) else MISSING


def _item_with(node: Any, keys: Any) -> Any:
    """Return the list item that has all `keys`; a key that the item leaves out counts as its default."""
    if not isinstance(keys, Mapping):
        return MISSING
    for item in _items(node):
        if isinstance(item, Mapping) and all(item.get(name, value) == value for name, value in keys.items()):
            return item
    return MISSING


def _items(node: Any) -> Sequence[Any]:
    return node if isinstance(node, list | tuple) else ()


def _parsed(text: str) -> Any:
    try:
        return decode(text.encode())
    except NotJSONError:
        return text
