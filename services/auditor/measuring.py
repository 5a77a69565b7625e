"""Measure what was written: reports, the time from a commit to its clusters, where each cluster stands."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select

from services.auditor.changes import ClusterRegistered, Presence
from services.auditor.stages import Reached
from services.auditor.store import Store, Written
from services.auditor.tables import clusters, presences
from shared.messages.releases import Membership
from shared.runtime import metrics

_REPORT = "report/"


class Measured:
    """Keeps the measurements equal to the database, from its present state on."""

    def __init__(self) -> None:
        self._standing: dict[str, tuple[str, str]] = {}
        """When a cluster's record was made, and its membership."""

    async def begin(self, store: Store) -> None:
        """Measure what is there, and from now on what is written."""
        async with store.reading() as connection:
            for row in await connection.execute(select(presences)):
                self._heard(row.cluster, row.last_seen)
            for row in await connection.execute(select(clusters)):
                self._stands(row.cluster, row.updated_at, row.membership)
        store.after = self.take

    def take(self, written: Written) -> None:
        """Measure a batch."""
        for entry in written.entries:
            if entry.key.startswith(_REPORT):
                metrics.applies.labels(entry.type.rpartition(".")[2]).inc()
        for change in written.changes:
            match change:
                case ClusterRegistered():
                    self._stands(change.cluster, change.updated_at, change.membership)
                case Presence():
                    self._heard(change.cluster, change.last_seen)
                case _:
                    pass
        for reached in written.applied:
            metrics.commit_to_apply_seconds.observe(_duration_s(reached))

    @staticmethod
    def _heard(cluster: str, last_seen: str) -> None:
        metrics.agent_last_seen.labels(cluster).set(_seconds(last_seen))

    def _stands(self, cluster: str, updated_at: str, membership: str) -> None:
        known_at, known = self._standing.get(cluster, ("", ""))
        if updated_at <= known_at:
            return
        self._standing[cluster] = updated_at, membership
        if known and known != membership:
            metrics.cluster_info.remove(cluster, known)
        if membership == Membership.REMOVED:
            metrics.agent_last_seen.remove(cluster)
        else:
            metrics.cluster_info.labels(cluster, membership).set(1)


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _duration_s(reached: Reached) -> float:
    """Return how long a revision took; the clocks of two machines may differ by more than that."""
    return max(0.0, _seconds(reached.applied_at) - _seconds(reached.observed_at))
