"""Leave fields of an object to those who own them: by `conflicts: yield`, and by ignore rules (G3, I8)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from services.applier.diff import ignores, item_key_of, merge_keys, rules_for
from services.applier.errors import FieldConflict
from services.applier.fields import Path, contains, entries
from services.applier.options import IgnoreRule
from services.applier.tracking import MANAGER
from shared.core.canonical import decode, encode
from shared.core.objects import Manifest, key_of

Drops = Callable[[Path], bool]
# Without these there is no object; whoever claims to own them is not asked.
_IDENTITY = frozenset(
    {("f:apiVersion",), ("f:kind",), ("f:metadata",), ("f:metadata", "f:name"), ("f:metadata", "f:namespace")}
)


def without_conflicts(body: bytes, conflicts: Iterable[FieldConflict]) -> bytes:
    """Return the body of a PATCH without the fields on which the API server named a conflict."""
    fields = {conflict.field for conflict in conflicts}
    return encode(_rebuilt(decode(body), (), lambda path: server_text(path) in fields))


def without_ignored(body: bytes, live: Manifest, rules: Iterable[IgnoreRule]) -> bytes:
    """Return the body of a PATCH without the ignored fields that somebody else owns on the live object.

    Its metadata is enough. An ignored field that nobody else owns is sent: dropping it would delete it.
    """
    wanted = decode(body)
    mine = rules_for(key_of(wanted), rules)

    others = [entry for entry in entries(live) if entry.manager != MANAGER] if mine else []

    def drops(path: Path) -> bool:
        # The very field: what is above it may hold fields of ours too.
        managers = [entry.manager for entry in others if contains(entry.fields, path)]
        return bool(managers) and any(ignores(rule, path, managers) for rule in mine)

    return encode(_rebuilt(wanted, (), drops)) if mine else body


def server_text(path: Path) -> str:
    """Return `path` as the API server writes it in conflicts: names as they are, dots and all."""
    return "".join(_server_step(step) for step in path)


def _server_step(step: str) -> str:
    kind, _, rest = step.partition(":")
    match kind:
        case "f":
            return f".{rest}"
        case "k":
            return (
                "["
                + ",".join(f"{name}={encode(value).decode()}" for name, value in decode(rest.encode()).items())
                + "]"
            )
        case "v":
            return f"[={rest}]"
        case _:
            return f"[{rest}]"


def _rebuilt(node: Any, path: Path, drops: Drops) -> Any:
    """Return `node` without the fields and items that `drops` names."""
    if isinstance(node, dict):
        return {
            name: _rebuilt(value, (*path, f"f:{name}"), drops)
            for name, value in node.items()
            if _stays((*path, f"f:{name}"), drops)
        }
    if isinstance(node, list):
        placed = [(_item_path(node, index, path), item) for index, item in enumerate(node)]
        return [_rebuilt(item, at, drops) for at, item in placed if _stays(at, drops)]
    return node


def _stays(path: Path, drops: Drops) -> bool:
    return path in _IDENTITY or not drops(path)


def _item_path(items: list[Any], index: int, path: Path) -> Path:
    """Return the path of a list item: by its keys, by its value where it is a scalar, else by its place."""
    if names := merge_keys(path, items):
        return (*path, f"k:{item_key_of(items[index], names)}")
    if not isinstance(items[index], dict | list):
        return (*path, f"v:{encode(items[index]).decode()}")
    return (*path, f"i:{index}")
