"""Decide whether a rollout ever reaches a cluster: no stage means no revision, and nobody would notice."""

from __future__ import annotations

from shared.core.selectors import matches
from shared.errors import Finding
from shared.fleet.files import Rollout
from shared.fleet.model import ROOT, App, Cluster, Fleet


def left_out(fleet: Fleet, app: App, cluster: Cluster) -> Finding | None:
    """Return what is wrong when no stage of the app's rollout matches a cluster that the app is for.

    A rollout that this source does not hold is none of its business: the fleet source has it.
    """
    name, rollout = _rollout(fleet, app)
    if rollout is None or not rollout.stages or any(matches(each.match, cluster.labels) for each in rollout.stages):
        return None
    what = f"the rollout {name!r}" if name else f"the app {app.name!r}"
    return Finding(
        "fleet.cluster-without-stage",
        f"no stage of {what} matches the cluster {cluster.name!r}: it would never get a revision",
        cluster.file or (ROOT if name else app.file),
        cluster.line,
        cluster.column,
        "add a stage that matches its labels, or correct the labels",
        cluster=cluster.name,
        app=app.name,
    )


def _rollout(fleet: Fleet, app: App) -> tuple[str, Rollout | None]:
    """Return the rollout of an app and its name, which is empty for one of the app's own."""
    written = app.written.rollout
    if written is not None and not written.name:
        return "", written
    if fleet.file is None:
        return "", None
    name = written.name if written else fleet.file.defaults.rollout
    return name, fleet.file.rollouts.get(name)
