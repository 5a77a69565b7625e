"""Read managedFields: which paths a field manager owns.

A set of fields is the nested mapping that the API server writes: `f:name` a field, `k:{...}` a list item by its keys,
`v:value` an item of a set, `i:0` an item by index. A node that is owned itself, and not only for what is below it, is
an empty mapping or has the member `.`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
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


def is_apply_of(entry: Ownership, manager: str) -> bool:
    """Tell whether an entry is the one in which applies of `manager` to the main resource are kept."""
    return (entry.manager, entry.operation, entry.subresource) == (manager, "Apply", "")


def owned_by(owners: Iterable[Ownership], manager: str) -> Owned | None:
    """Return the Apply entry of `manager` on the main resource, or None."""
    for entry in owners:
        if is_apply_of(entry, manager):
            return Owned(entry.fields, digest(encode(entry.fields)), entry.time)
    return None


def other_managers(owners: Iterable[Ownership], manager: str) -> tuple[str, ...]:
    """Return the names of all managers but `manager`, each once, in their order."""
    return tuple(dict.fromkeys(each.manager for each in owners if each.manager and each.manager != manager))


def contains(fields: Fields, path: Path) -> bool:
    """Tell whether `path` itself is a member."""
    node: Any = fields
    for step in path:
        if not isinstance(node, Mapping) or step not in node:
            return False
        node = node[step]
    return bool(path) and isinstance(node, Mapping) and (not node or "." in node)


def reaches(fields: Fields, path: Path) -> bool:
    """Tell whether `path` or something below it is a member."""
    node: Any = fields
    for step in path:
        node = node.get(step) if isinstance(node, Mapping) else None
    return node is not None and bool(path)


def members(fields: Fields) -> frozenset[Path]:
    """Return every path that is a member."""
    return frozenset(_members(fields, ()))


def _members(node: Fields, path: Path) -> Iterator[Path]:
    for step, under in node.items():
        if step == ".":
            yield path
        elif under:
            yield from _members(under, (*path, step))
        else:
            yield (*path, step)


def fields_of(paths: Iterable[Path]) -> Fields:
    """Return the set of fields that has exactly these members."""
    tree: dict[str, Any] = {}
    for path in paths:
        node = tree
        for step in path:
            node = node.setdefault(step, {})
        node["."] = {}
    return _tidied(tree)


def _tidied(tree: Mapping[str, Any]) -> dict[str, Any]:
    return {step: {} if step == "." or under == {".": {}} else _tidied(under) for step, under in sorted(tree.items())}


def union(*sets: Fields) -> Fields:
    """Return what is a member of any of the sets."""
    return fields_of(frozenset[Path]().union(*(members(each) for each in sets)))


def difference(fields: Fields, taken: Fields) -> Fields:
    """Return what is a member of `fields` and not of `taken`."""
    return fields_of(members(fields) - members(taken))


def below(fields: Fields | None, step: str) -> Fields | None:
    """Return what is under one step of `fields`, None when nothing is said about it."""
    found = fields.get(step) if fields else None
    return found if isinstance(found, Mapping) else None


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


def _parsed(text: str) -> Any:
    try:
        return decode(text.encode())
    except NotJSONError:
        return text
