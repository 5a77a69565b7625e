"""Decide what a render means for the targets that it does not name.

A render shrinks nothing unless it read everything whole, the app could be read, and it knew the cluster as it is. What
git takes away is removed; what a hub label or a claim takes away waits for a person.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Fate(StrEnum):
    """What happens to a target that a render does not name."""

    KEPT = "kept"
    REMOVED = "removed"
    ORPHANED = "orphaned"


@dataclass(frozen=True, slots=True)
class Versions:
    """When a cluster last changed, as versions of the index of clusters that renderers read."""

    changed: int = 0
    """Any change of its labels, or that it came."""
    asked: int = 0
    """A change by a hub label or a claim."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a render read, and of what."""

    complete: bool
    fleet_source: bool
    """It reads the clusters of git itself; a render of another source knows them from the index."""
    apps: frozenset[str]
    """Apps that the source has."""
    unreadable_apps: frozenset[str] = frozenset()
    unreadable_clusters: frozenset[str] = frozenset()
    version: int = 0
    """Of the index that it knew."""
    previous: int = 0
    """Of the index that the complete render before it knew."""


def fate(cluster: str, app: str, reading: Reading, clusters: Mapping[str, Versions]) -> Fate:
    """Return what happens to a target that the render does not name."""
    if not reading.complete or app in reading.unreadable_apps or cluster in reading.unreadable_clusters:
        return Fate.KEPT
    if app not in reading.apps:
        return Fate.REMOVED
    versions = clusters.get(cluster, Versions())
    if reading.version < (versions.asked if reading.fleet_source else versions.changed):
        return Fate.KEPT
    return Fate.ORPHANED if versions.asked > reading.previous else Fate.REMOVED


def newer(number: int, version: int, last_number: int, last_version: int) -> bool:
    """Tell whether a render is to be taken after the last: two renders may finish in reverse.

    The same number again is taken unless it knew less of the clusters than the last; a render without any index
    (version 0) comes after the bus was lost and is taken for its bundles.
    """
    return number > last_number or (number == last_number and (version == 0 or version >= last_version))
