"""JSON patches (RFC 6902), as far as they change fields that are there or add one beside them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from services.renderer.kustomize.outside import need, outside

_INDEX = re.compile(r"0|[1-9][0-9]{0,6}")
# What an object is called is remembered by the build; a patch that changes it is kubectl's.
_NAMES = (("apiVersion",), ("kind",), ("metadata",), ("metadata", "name"), ("metadata", "namespace"))


def operations_of(value: Any) -> list[Mapping[str, Any]]:
    """Return the operations of a patch.

    Raises:
        OutsideError: there is one that is not known here.
    """
    need(isinstance(value, list) and value, "no patch")
    for each in value:
        need(isinstance(each, dict) and each.get("op") in {"add", "replace", "remove"}, "another operation")
        need(isinstance(each.get("path"), str) and each["path"].startswith("/"), "no path")
        wanted = {"op", "path"} if each["op"] == "remove" else {"op", "path", "value"}
        need(wanted <= set(each) <= {"op", "path", "value"}, "other fields")
        need(tuple(_parts(each["path"])) not in _NAMES, "a patch of what an object is called")
        need(each.get("value", "") is not None, "a null")
    found: list[Mapping[str, Any]] = value
    return found


def applied(value: Mapping[str, Any], operations: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return `value` with the operations done to it; it is left as it is."""
    found = value
    for each in operations:
        found = _changed(found, list(_parts(each["path"])), each["op"], each.get("value"))
    return found


def _parts(path: str) -> list[str]:
    return [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:]]


def _changed(node: Any, parts: Sequence[str], operation: str, value: Any) -> Any:
    name, rest = parts[0], parts[1:]
    if isinstance(node, dict):
        need(name in node or (not rest and operation == "add"), f"there is no {name}")
        if not rest and operation == "remove":
            return {key: each for key, each in node.items() if key != name}
        return {**node, name: _changed(node[name], rest, operation, value) if rest else value}
    if isinstance(node, list):
        return _in_list(node, parts, operation, value)
    return outside("a path through a scalar")


def _in_list(node: list[Any], parts: Sequence[str], operation: str, value: Any) -> list[Any]:
    name, rest = parts[0], parts[1:]
    if name == "-" and not rest and operation == "add":
        return [*node, value]
    need(_INDEX.fullmatch(name), f"no index: {name}")
    index = int(name)
    need(index < len(node) or (index == len(node) and not rest and operation == "add"), f"there is no element {name}")
    found = list(node)
    if rest:
        found[index] = _changed(node[index], rest, operation, value)
    elif operation == "add":
        found.insert(index, value)
    elif operation == "remove":
        del found[index]
    else:
        found[index] = value
    return found
