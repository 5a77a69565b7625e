"""Presence: who is connected, by signs of life and the auditor's own monotonic clock.

After a restart of the auditor an agent that was connected has the full time again: our own absence says nothing about
the agents.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from services.auditor.changes import Folded, Presence
from services.auditor.ledger import Event
from shared.core.times import time_text

GONE_AFTER_S = 90.0
"""More than three signs of life, which come every 25 s within 20 %."""


@dataclass(frozen=True, slots=True)
class Transition:
    """An agent came or went."""

    cluster: str
    present: bool


@dataclass(slots=True)
class Attendance:
    """Who was heard of when; times are seconds of a clock that never jumps."""

    gone_after_s: float = GONE_AFTER_S
    _heard: dict[str, float] = field(default_factory=dict)

    def assume(self, clusters: Iterable[str], now_s: float) -> None:
        """Take these as present from `now_s` on: they were when the last auditor looked."""
        for cluster in clusters:
            self._heard.setdefault(cluster, now_s)

    def heard(self, cluster: str, now_s: float) -> Transition | None:
        """Note a sign of life; return a transition if the agent was not present."""
        came = cluster not in self._heard
        self._heard[cluster] = now_s
        return Transition(cluster, present=True) if came else None

    def gone(self, now_s: float) -> list[Transition]:
        """Return and forget the agents whose last sign of life is too old."""
        silent = [cluster for cluster, at in self._heard.items() if now_s - at >= self.gone_after_s]
        for cluster in silent:
            del self._heard[cluster]
        return [Transition(cluster, present=False) for cluster in sorted(silent)]

    @property
    def present(self) -> frozenset[str]:
        """Return who is present."""
        return frozenset(self._heard)


def of_transition(transition: Transition, presence: Presence, at: datetime) -> Folded:
    """Return what the coming or going of an agent means."""
    event = Event(
        key=f"presence/{transition.cluster}/{transition.present}/{time_text(at)}",
        type="cluster.connected" if transition.present else "cluster.lost",
        time=at,
        cluster=transition.cluster,
        severity="info" if transition.present else "warning",
        message=f"the agent of {transition.cluster} "
        + ("is here" if transition.present else f"is silent since {presence.last_seen}"),
        data={"session": presence.session, "last_seen": presence.last_seen},
    )
    return Folded((event,), (presence,))
