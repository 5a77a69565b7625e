"""Decide which objects two apps of a cluster both bring: an agent lets one have it and refuses it to the other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from services.renderer.scopes import of_kind
from shared.errors import Finding
from shared.fleet.model import App

MOST = 20
"""Of two apps; who has more has the same app twice."""


class Overlap(NamedTuple):
    """An object that stands in two apps."""

    key: str
    first: str
    second: str


def overlaps(apps: Mapping[str, tuple[str, Iterable[str]]]) -> list[Overlap]:
    """Return what apps have in common, by the namespace and the keys of each.

    An object of a kind of which only the cluster knows whether it lives in a namespace may get that of its app.
    """
    owners: dict[tuple[str, str], str] = {}
    found: list[Overlap] = []
    counts: dict[Sequence[str], int] = {}
    for app in sorted(apps):
        namespace, keys = apps[app]
        for key in keys:
            place = (key, namespace if _is_open(key) else "")
            first = owners.setdefault(place, app)
            if first != app:
                counts[first, app] = counts.get((first, app), 0) + 1
                if counts[first, app] <= MOST:
                    found.append(Overlap(key, first, app))
    return found


def overlap_finding(overlap: Overlap, app: App, cluster: str, severity: str) -> Finding:
    """Return what is said about an object of two apps, at the later one."""
    text = f"{overlap.key} is in the app {overlap.first!r} already, and an object belongs to one app"
    hint = "take it out of one of them, or give it another name"
    return Finding("object.two-apps", text, app.file, app.line, app.column, hint, cluster, app.name, severity)


def _is_open(key: str) -> bool:
    """Tell whether nobody here knows the namespace of an object."""
    group, _, rest = key.partition("/")
    kind, _, place = rest.partition(":")
    return place.startswith("/") and of_kind(group, kind) is None
