"""Match a shell pattern against beginnings of a text, in time that grows with both lengths only.

`*` and `?` match `/` too, `[a-z]` and `[^a-z]` are classes, a backslash takes the next character as it is. A pattern
that is none matches nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

_Ranges = list[tuple[str, str]]
_Item = tuple[str, bool, _Ranges]
"""Kind (`*`, `?` or `[`), whether it matches what stands in the ranges, and these."""


class Glob:
    """A pattern."""

    def __init__(self, pattern: str) -> None:
        try:
            self._items: list[_Item] | None = list(_items(iter(pattern)))
        except ValueError:
            self._items = None

    def beginnings(self, text: str) -> list[int]:
        """Return the lengths of all beginnings of `text` that match as a whole, in order."""
        if self._items is None:
            return []
        # Where in the pattern one may be: all at once, so that no pattern makes it go back.
        places, found = self._closed({0}), []
        for length, character in enumerate([*text, ""]):
            if len(self._items) in places:
                found.append(length)
            places = self._closed({after for place in places for after in self._after(place, character)})
        return found

    def _closed(self, places: set[int]) -> set[int]:
        items = self._items or []
        for place in sorted(places):
            while place < len(items) and items[place][0] == "*":
                place += 1  # noqa: PLW2901  # stars may match nothing
                places.add(place)
        return places

    def _after(self, place: int, character: str) -> Iterator[int]:
        if place == len(self._items or ()):
            return
        kind, wanted, ranges = (self._items or [])[place]
        if kind == "*":
            yield place
        elif kind == "?" or any(low <= character <= high for low, high in ranges) is wanted:
            yield place + 1


def _items(rest: Iterator[str]) -> Iterator[_Item]:
    for character in rest:
        if character in "*?":
            yield character, True, []
        elif character == "[":
            yield _class(rest)
        else:
            plain = _next(rest) if character == "\\" else character
            yield "[", True, [(plain, plain)]


def _class(rest: Iterator[str]) -> _Item:
    """Return the class whose `[` was read.

    Raises:
        ValueError: it does not end.
    """
    character = _next(rest)
    wanted = character != "^"
    if not wanted:
        character = _next(rest)
    ranges: _Ranges = []
    while character != "]" or not ranges:
        low, character = _member(character, rest)
        high = low
        if character == "-":
            high, character = _member(_next(rest), rest)
        ranges.append((low, high))
    return "[", wanted, ranges


def _member(character: str, rest: Iterator[str]) -> tuple[str, str]:
    """Return a character of a class, and the one behind it."""
    if character in "-]":
        raise ValueError(character)
    return (_next(rest) if character == "\\" else character), _next(rest)


def _next(rest: Iterator[str]) -> str:
    for character in rest:
        return character
    raise ValueError("the pattern ends too early")
