"""Find the way along which something depends on itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def cycle_of(start: str, edges: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    """Return a shortest way from `start` back to it, both ends included; empty where there is none."""
    before: dict[str, str] = {}
    front = [start]
    while front:
        reached: list[str] = []
        for name in front:
            for other in sorted(edges.get(name, ())):
                if other == start:
                    return (start, *_back(name, before, start), start)
                if other not in before:
                    before[other] = name
                    reached.append(other)
        front = reached
    return ()


def _back(name: str, before: Mapping[str, str], start: str) -> tuple[str, ...]:
    way: list[str] = []
    while name != start:
        way.append(name)
        name = before[name]
    return tuple(reversed(way))
