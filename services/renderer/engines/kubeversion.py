"""Decide whether a version of Kubernetes satisfies a chart's `kubeVersion`, as Helm reads such constraints.

Helm compares without the vendor's suffix (`v1.29.3-eks-1` is 1.29.3), so pre-releases need no rules of their own here.
"""

from __future__ import annotations

import re

Version = tuple[int, int, int]

_VERSION = re.compile(r"v?(\d+)(?:\.(\d+|[xX*]))?(?:\.(\d+|[xX*]))?(?:[-+][0-9A-Za-z.+-]*)?")
_PART = re.compile(r"(!=|>=|=>|<=|=<|[=<>~^]|~>)?\s*(v?[0-9][^\s,|]*|[xX*])")
_RANGE = re.compile(r"(\S+)\s+-\s+(\S+)")
_ANY = frozenset("xX*")


def satisfies(version: str, constraint: str) -> bool:
    """Tell whether `version` lies within `constraint`; what cannot be read does not stand in the way."""
    known = _VERSION.match(version)
    if known is None:
        return True
    found = (int(known[1]), _number(known[2]), _number(known[3]))
    return any(_all(found, part) for part in constraint.split("||"))


def _all(found: Version, text: str) -> bool:
    text = _RANGE.sub(r">=\1 <=\2", text)
    return all(_one(found, match[1] or "=", match[2]) for match in _PART.finditer(text))


def _one(found: Version, operator: str, text: str) -> bool:
    match = _VERSION.match(text)
    if match is None:
        return True
    given = [part for part in match.groups() if part is not None and part not in _ANY]
    low = (int(match[1]), _number(match[2]), _number(match[3]))
    within = low <= found < _after(low, len(given))
    compatible = low <= found < _after(low, _fixed(low, len(given)))
    return {
        "=": within,
        "!=": not within,
        ">": found >= _after(low, len(given)),
        "<": found < low,
        ">=": found >= low,
        "=>": found >= low,
        "<=": found < _after(low, len(given)),
        "=<": found < _after(low, len(given)),
        "~": low <= found < _after(low, min(2, len(given))),
        "~>": low <= found < _after(low, min(2, len(given))),
        "^": compatible,
    }[operator]


def _after(version: Version, parts: int) -> Version:
    """Return the first version that differs in the first `parts` numbers."""
    if parts <= 1:
        return (version[0] + 1, 0, 0)
    return (version[0], version[1] + 1, 0) if parts == 2 else (version[0], version[1], version[2] + 1)


def _fixed(version: Version, parts: int) -> int:
    """Return how many numbers `^` keeps: up to the first that is not zero."""
    first = next((index for index, number in enumerate(version) if number), 2)
    return min(first + 1, max(parts, 1))


def _number(text: str | None) -> int:
    return int(text) if text and text not in _ANY else 0
