"""Read label and field selectors as the API takes them, and tell what matches."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from services.kubesim.answers import bad_request

Labels = Mapping[str, str]
SET_FORM = re.compile(r"^(\S+)\s+(in|notin)\s*\(([^)]*)\)$")
SPLIT = re.compile(r",(?![^(]*\))")


def label_test(text: str) -> Callable[[Labels], bool]:
    """Return the test of a `labelSelector`.

    Raises:
        RefusedError: 400, the text is no selector.
    """
    tests = [_one_label(part.strip()) for part in SPLIT.split(text) if part.strip()]
    return lambda labels: all(test(labels) for test in tests)


def _one_label(part: str) -> Callable[[Labels], bool]:
    match = SET_FORM.match(part)
    if match:
        key, verb, values = match[1], match[2], {value.strip() for value in match[3].split(",")}
        if verb == "in":
            return lambda labels: labels.get(key) in values
        return lambda labels: labels.get(key) not in values
    for sign, equal in (("!=", False), ("==", True), ("=", True)):
        key, found, value = part.partition(sign)
        if found:
            return _equality(key.strip(), value.strip(), equal=equal)
    if part.startswith("!"):
        return lambda labels: part[1:].strip() not in labels
    if " " in part:
        raise bad_request(f"unable to parse requirement: found '{part}', expected: in, notin, =, ==, !=, gt, lt")
    return lambda labels: part in labels


def _equality(key: str, value: str, *, equal: bool) -> Callable[[Labels], bool]:
    return lambda labels: (labels.get(key) == value) is equal


def field_tests(text: str) -> list[tuple[str, str, bool]]:
    """Return path, value and whether it must be equal, of each part of a `fieldSelector`."""
    tests = []
    for part in filter(None, text.split(",")):
        sign = "!=" if "!=" in part else "==" if "==" in part else "="
        path, found, value = part.partition(sign)
        if not found:
            raise bad_request(f"invalid selector: '{part}'; can't understand '{part}'")
        tests.append((path, value, sign != "!="))
    return tests


def value_at(value: Any, path: str) -> str:
    """Return the text at a dotted path, empty when it is absent."""
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return "" if value is None else str(value)


def selects(selector: Mapping[str, Any] | None, labels: Labels) -> bool:
    """Tell whether a LabelSelector object matches."""
    if not selector:
        return False
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_expression(one, labels) for one in selector.get("matchExpressions") or ())


def _expression(one: Mapping[str, Any], labels: Labels) -> bool:
    key, values = one.get("key", ""), one.get("values") or ()
    match one.get("operator"):
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case _:
            return key not in labels
