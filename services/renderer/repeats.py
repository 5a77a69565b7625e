"""Know when a request asks what was answered last: the same trees, for the same clusters, with the same archives.

A registry that grows and a poller that starts again ask about everything; where nothing changed, no target is looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.renderer.targets import Plan
from shared.core.canonical import digest, encode
from shared.messages.renders import RenderListing
from shared.messages.sources import RenderRequest, Wanted, WantedChart

# Now and then everything is looked at all the same: bundles that are used stay longest on the disk.
TIMES = 50


@dataclass(frozen=True, slots=True)
class Worked:
    """What came of a request; trees are not held by it."""

    readable: bool
    needs: tuple[Wanted, ...]
    charts: tuple[WantedChart, ...]
    complete: bool
    clusters_version: int
    listing: RenderListing

    @classmethod
    def of(cls, plan: Plan, clusters_version: int, listing: RenderListing) -> Worked:
        """Return what came of a plan."""
        return cls(plan.fleet.readable, plan.needs, plan.charts, plan.complete, clusters_version, listing)


class Repeats:
    """The last question of each source, and what came of it."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[str, Worked]] = {}
        self._times: dict[str, int] = {}

    def get(self, source: str, question: str) -> Worked | None:
        """Return what came of the same question, if it was the last one of the source."""
        asked, worked = self._last.get(source, ("", None))
        if asked != question or self._times[source] >= TIMES:
            return None
        self._times[source] += 1
        return worked

    def keep(self, source: str, question: str, worked: Worked) -> None:
        """Keep what came of a question, unless a target failed: the next try may do better."""
        self._last.pop(source, None)
        self._times[source] = 0
        if all(target.bundle for target in worked.listing.targets):
            self._last[source] = (question, worked)

    def forget(self) -> None:
        """Look at everything anew."""
        self._last.clear()


def question_of(request: RenderRequest, clusters: bytes) -> str:
    """Return what the answer to a request depends on, besides tools; `clusters` is the registry as it was read."""
    checkouts: Sequence[object] = [
        (each.repository, each.asked_ref, each.commit.tree) for each in (request.checkout, *request.others)
    ]
    rest = request.model_dump(mode="json", include={"source", "failures", "charts"})
    return digest(encode([checkouts, rest, digest(clusters)]))
