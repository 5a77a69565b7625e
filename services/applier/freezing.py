"""Decide what an app's windows hold back now: a new release always, drift where they do not let it be healed (rule Q5)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from services.applier.dependence import Delay
from services.applier.documents import ReleaseDocument
from services.applier.guard import approval_of
from services.applier.reports import Hold
from services.applier.state import Header
from shared.core.canonical import digest
from shared.core.objects import ObjectKey
from shared.core.windows import Closed, Window, closed

FROZEN = "Frozen"
LISTED = 50


@dataclass(frozen=True, slots=True)
class Freeze:
    """What is held back: at most one of both."""

    release: Delay | None = None
    drift: Closed | None = None
    """The release runs already; what is not as it should be is told and left."""


def freeze(windows: Iterable[Window], now: datetime, release: ReleaseDocument, header: Header) -> Freeze:
    """Return what is held back `now`, a time by the API server's clock."""
    found = closed(windows, now)
    if found is None or (release.removed and release.approval):
        return Freeze()  # whoever approves what a removal waits for lets it go, window or not
    if not _applied(release, header):
        return Freeze(release=Delay(FROZEN, str(found), heals=found.heals))
    return Freeze() if found.heals else Freeze(drift=found)


def hold_of(release: ReleaseDocument, entries: Iterable[ObjectKey]) -> Hold:
    """Return what a removal that waits for its window asks of a person."""
    keys = sorted(entries)
    seen = digest(f"{release.app} {FROZEN}\n{approval_of(keys)}".encode())
    return Hold(FROZEN, tuple(str(key) for key in keys[:LISTED]), len(keys), seen)


def _applied(release: ReleaseDocument, header: Header) -> bool:
    """Tell whether exactly this release was applied whole: one with other options may change as much as another bundle."""
    same = (release.epoch, release.generation) == (header.epoch, header.generation)
    return same and release.bundle is not None and release.bundle.digest == header.settled_bundle
