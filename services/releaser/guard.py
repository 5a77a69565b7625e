"""Judge whether one revision takes away so much that a person must look first.

The worst accidents of this field are deletions that nobody meant. A tombstone for one app that was removed on purpose
passes; half of the fleet, or the fleet's own definition, does not.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from shared.core.canonical import digest

FEWEST_APPS = 2

Place = tuple[str, str]
"""Cluster and app."""


def objection(removals: Collection[Place], present: int, *, fleet_gone: bool) -> str:
    """Return why these removals must wait for a person, or an empty string.

    Args:
        removals: targets that this revision would take away.
        present: targets that run now by our word, those included.
        fleet_gone: the fleet's own definition (`fleet.yaml`, `clusters/`) is no longer there.
    """
    if not removals:
        return ""
    if fleet_gone:
        return f"the fleet's own definition is gone, and {len(removals)} targets with it"
    apps = {app for _, app in removals}
    if len(removals) * 2 > present and len(apps) >= FEWEST_APPS:
        return f"one revision would remove {len(removals)} of {present} targets, of {len(apps)} apps"
    return ""


def digest_of(removals: Collection[Place]) -> str:
    """Return what an approval must name: the sha256 of the sorted targets, one a line."""
    return digest("".join(f"{line}\n" for line in lines_of(removals)).encode())


def lines_of(removals: Collection[Place]) -> Sequence[str]:
    """Return the targets as people read them, sorted."""
    return sorted(f"{cluster}/{app}" for cluster, app in removals)
