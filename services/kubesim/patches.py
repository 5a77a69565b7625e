"""Apply JSON patches, merge patches and strategic merge patches to values; never changes what it is given."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from services.kubesim.answers import RefusedError, bad_request
from services.kubesim.schema import Shape


def merged(value: Any, change: Any) -> Any:
    """Return `value` after a JSON merge patch (RFC 7396)."""
    if not isinstance(change, Mapping):
        return change
    result = dict(value) if isinstance(value, Mapping) else {}
    for name, inner in change.items():
        if inner is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), inner)
    return result


def json_patched(value: Any, operations: Sequence[Mapping[str, Any]]) -> Any:
    """Return `value` after a JSON patch (RFC 6902).

    Raises:
        RefusedError: 422, an operation does not fit; 400, it is none.
    """
    result = {"": copy.deepcopy(value)}
    for operation in operations:
        _operate(result, operation)
    return result[""]


def _operate(root: dict[str, Any], operation: Mapping[str, Any]) -> None:
    path = operation.get("path", "")
    match operation.get("op"):
        case "add":
            _put(root, path, copy.deepcopy(operation.get("value")), insert=True)
        case "replace":
            _look(root, path)
            _put(root, path, copy.deepcopy(operation.get("value")), insert=False)
        case "remove":
            _take(root, path)
        case "move":
            _put(root, path, _take(root, operation.get("from", "")), insert=True)
        case "copy":
            _put(root, path, copy.deepcopy(_look(root, operation.get("from", ""))), insert=True)
        case "test":
            if _look(root, path) != operation.get("value"):
                raise _unfit()
        case other:
            raise bad_request(f"Unexpected kind: {other}")


def _unfit() -> RefusedError:
    # The server keeps to itself which operation does not fit.
    return RefusedError(422, "the server rejected our request due to an error in our request")


def _parts(path: str) -> list[str]:
    return ["", *(part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:])]


def _walk(root: dict[str, Any], parts: Sequence[str]) -> Any:
    value: Any = root
    for part in parts:
        if isinstance(value, list):
            value = value[_index(value, part, limit=len(value) - 1)]
        elif isinstance(value, Mapping) and part in value:
            value = value[part]
        else:
            raise _unfit()
    return value


def _index(items: Sequence[Any], part: str, *, limit: int) -> int:
    index = len(items) if part == "-" else int(part) if part.isdigit() else -1
    if not 0 <= index <= limit:
        raise _unfit()
    return index


def _look(root: dict[str, Any], path: str) -> Any:
    return _walk(root, _parts(path))


def _put(root: dict[str, Any], path: str, value: Any, *, insert: bool) -> None:
    *heads, last = _parts(path)
    parent = _walk(root, heads) if heads else root
    if isinstance(parent, list):
        if insert:
            parent.insert(_index(parent, last, limit=len(parent)), value)
        else:
            parent[_index(parent, last, limit=len(parent) - 1)] = value
    elif isinstance(parent, dict):
        parent[last] = value
    else:
        raise _unfit()


def _take(root: dict[str, Any], path: str) -> Any:
    value = _look(root, path)
    *heads, last = _parts(path)
    parent = _walk(root, heads) if heads else root
    if isinstance(parent, list):
        del parent[_index(parent, last, limit=len(parent) - 1)]
    else:
        del parent[last]
    return value


def strategically_merged(shape: Shape, value: Any, change: Any) -> Any:
    """Return `value` after a strategic merge patch; keyed lists merge by the first of their keys."""
    if not isinstance(change, Mapping):
        return change
    if change.get("$patch") == "replace":
        return {name: inner for name, inner in change.items() if name != "$patch"}
    result = dict(value) if isinstance(value, Mapping) else {}
    for name, inner in change.items():
        if name == "$patch" or name.startswith(("$setElementOrder/", "$retainKeys")):
            continue
        if name.startswith("$deleteFromPrimitiveList/"):
            target = name.partition("/")[2]
            result[target] = [item for item in result.get(target) or () if item not in inner]
        elif inner is None:
            result.pop(name, None)
        else:
            result[name] = _strategic_value(shape.child(name), result.get(name), inner)
    retained = change.get("$retainKeys")
    return {name: inner for name, inner in result.items() if name in retained} if retained else result


def _strategic_value(shape: Shape, value: Any, change: Any) -> Any:
    if isinstance(change, Mapping):
        return strategically_merged(shape, value, change)
    if not isinstance(change, list):
        return change
    items = value if isinstance(value, list) else []
    if shape.form == "set":
        return [*items, *(item for item in change if item not in items)]
    return _strategic_items(shape, items, change) if shape.form == "keyed" else change


def _strategic_items(shape: Shape, items: Sequence[Any], change: Sequence[Any]) -> list[Any]:
    key = shape.keys[0]
    if not all(isinstance(item, Mapping) for item in change):
        raise bad_request(f"an item of a list that merges by {key} is no object")
    if any(isinstance(item, Mapping) and item.get("$patch") == "replace" for item in change):
        return [item for item in change if "$patch" not in item]
    result = list(items)
    for item in change:
        place = next((at for at, old in enumerate(result) if old.get(key) == item.get(key)), None)
        if item.get("$patch") == "delete":
            result = [old for old in result if old.get(key) != item.get(key)]
        elif place is None:
            result.append(strategically_merged(shape.element, {}, item))
        else:
            result[place] = strategically_merged(shape.element, result[place], item)
    return result
