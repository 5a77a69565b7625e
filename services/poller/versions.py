"""Semantic versions and ranges of them: `v1.x`, `>=1.2 <2`, `^1.4`, `~1.4.2`, `1.x || 3.x`.

A pre-release is in a range only when the range itself names one: nobody who asks for `1.x` wants a candidate of 1.5.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_WORDS = r"[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*"
_VERSION = re.compile(rf"v?(\d{{1,9}})\.(\d{{1,9}})\.(\d{{1,9}})(?:-({_WORDS}))?(?:\+{_WORDS})?")
_TERM = re.compile(
    r"(?P<operator>>=|<=|>|<|=|\^|~)?\s*v?(?P<numbers>(?:\d{1,9}|[xX*])(?:\.(?:\d{1,9}|[xX*])){0,2})(?:-(?P<pre>[0-9A-Za-z.-]+))?"
)
_MARK = re.compile(r"[<>=^~*\s|]|\.[xX](\.|$|\s)")
_WILD = {"x", "X", "*"}

# Identifiers of digits sort below the others, and by value.
_Identifier = tuple[int, int, str]
Order = tuple[int, int, int, int, tuple[_Identifier, ...]]


_Bounds = tuple[Order, Order]
_LOWEST: Order = (0, 0, 0, 0, ())
_BEYOND: Order = (10**9, 0, 0, 0, ())


@dataclass(frozen=True, slots=True)
class Range:
    """Alternatives, each a list of bounds: from the first, up to and without the second."""

    alternatives: tuple[tuple[_Bounds, ...], ...]
    pre_releases: bool

    def __contains__(self, version: Order) -> bool:
        if version[3] == 0 and not self.pre_releases:
            return False
        return any(all(low <= version < high for low, high in bounds) for bounds in self.alternatives)


def order_of(tag: str) -> Order | None:
    """Return what a tag's version is compared by, or None when the tag is no version."""
    match = _VERSION.fullmatch(tag)
    if match is None:
        return None
    major, minor, patch, pre = match.groups()
    return (int(major), int(minor), int(patch), *_pre(pre))


def range_of(text: str) -> Range | None:
    """Return the range that `text` is, or None when it is none: a plain version is a tag's name, no range."""
    if not _MARK.search(text):
        return None
    alternatives = []
    pre_releases = False
    for alternative in text.split("||"):
        bounds: list[_Bounds] = []
        rest = alternative.strip()
        while rest:
            match = _TERM.match(rest)
            if match is None or (match.end() < len(rest) and rest[match.end()] not in " ,"):
                return None
            pre_releases = pre_releases or bool(match["pre"])
            bounds.append(_bounds(match["operator"] or "=", match["numbers"].split("."), match["pre"]))
            rest = rest[match.end() :].lstrip(" ,")
        if not bounds:
            return None
        alternatives.append(tuple(bounds))
    return Range(tuple(alternatives), pre_releases)


def _bounds(operator: str, parts: list[str], pre: str | None) -> _Bounds:
    wild = next((index for index, part in enumerate(parts) if part in _WILD), 3)
    numbers = [int(part) for part in parts[:wild]]
    low, above = _low(numbers, pre), _above(numbers, pre)
    match operator:
        case ">=":
            return low, _BEYOND
        case ">":
            return above, _BEYOND
        case "<":
            return _LOWEST, low
        case "<=":
            return _LOWEST, above
        case "^":
            first = next((index for index, number in enumerate(numbers) if number), len(numbers) - 1)
            bounds = low, _next(numbers, first)
        case "~":
            bounds = low, _next(numbers, min(1, len(numbers) - 1))
        case _:
            bounds = low, above
    return bounds


def _low(numbers: list[int], pre: str | None) -> Order:
    """Return the lowest order that a term names; `1.2` begins with its first pre-release."""
    major, minor, patch = (*numbers, 0, 0, 0)[:3]
    return (major, minor, patch, *(_pre(pre) if len(numbers) == 3 else (0, ())))


def _above(numbers: list[int], pre: str | None) -> Order:
    """Return the lowest order beyond all that a term names."""
    if len(numbers) < 3:
        return _next(numbers, len(numbers) - 1)
    *rest, identifiers = _low(numbers, pre)
    return (rest[0], rest[1], rest[2], rest[3], (*identifiers, (-1, 0, "")))


def _next(numbers: list[int], index: int) -> Order:
    """Return the lowest order beyond all versions that share the numbers up to `index`; -1 is beyond everything."""
    if index < 0:
        return _BEYOND
    major, minor, patch = (*numbers[:index], numbers[index] + 1, 0, 0)[:3]
    return (major, minor, patch, 0, ())


def _pre(text: str | None) -> tuple[int, tuple[_Identifier, ...]]:
    if not text:
        return (1, ())
    return (0, tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in text.split(".")))
