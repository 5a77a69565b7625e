"""Find what is wrong with a fleet as a whole: clusters that no stage takes, dependencies that are not there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from services.renderer.targets import Plan
from shared.core.selectors import matches
from shared.errors import Finding
from shared.fleet.files import Rollout
from shared.fleet.model import ROOT, App, Cluster


def fleet_findings(plan: Plan) -> list[Finding]:
    """Return what only shows when apps, clusters and rollouts are seen together."""
    if not plan.fleet.readable:
        return []
    return [*_left_out(plan), *_dependencies(plan)]


def _left_out(plan: Plan) -> Iterator[Finding]:
    """Yield each cluster that is matched by no stage of a rollout that one of its apps uses."""
    clusters = {cluster.name: cluster for cluster in plan.clusters}
    seen: set[tuple[str, str]] = set()
    users: dict[str, list[str]] = {}
    for target in plan.targets:
        users.setdefault(target.app, []).append(target.cluster)
    for app in plan.fleet.apps:
        name, rollout = _rollout(app, plan)
        if rollout is None or not rollout.stages:
            continue
        for cluster in (clusters[each] for each in users.get(app.name, ())):
            taken = any(matches(stage.match, cluster.labels) for stage in rollout.stages)
            if not taken and (name or app.name, cluster.name) not in seen:
                seen.add((name or app.name, cluster.name))
                yield _no_stage(app, cluster, name)


def _rollout(app: App, plan: Plan) -> tuple[str, Rollout | None]:
    """Return the rollout of an app and its name, which is empty for one of the app's own."""
    written = app.written.rollout
    if written is not None and not written.name:
        return "", written
    file = plan.fleet.file
    name = written.name if written else (file.defaults.rollout if file else "")
    known: Mapping[str, Rollout] = file.rollouts if file else {}
    return name, known.get(name)


def _no_stage(app: App, cluster: Cluster, rollout: str) -> Finding:
    what = f"no stage of the rollout {rollout!r}" if rollout else f"no stage of the app {app.name!r}"
    return Finding(
        "fleet.cluster-without-stage",
        f"{what} matches the cluster {cluster.name!r}: it would never get a revision",
        cluster.file or (ROOT if rollout else app.file),
        cluster.line,
        cluster.column,
        "add a stage that matches its labels, or correct the labels",
        cluster=cluster.name,
        app="" if rollout else app.name,
    )


def _dependencies(plan: Plan) -> Iterator[Finding]:
    """Yield a note for each dependency that cannot hold anything up."""
    places: dict[str, set[str]] = {}
    for target in plan.targets:
        places.setdefault(target.app, set()).add(target.cluster)
    names = {app.name for app in plan.fleet.apps} | set(plan.fleet.unreadable_apps)
    for app in plan.fleet.apps:
        for wanted in app.written.sync.depends_on:
            alone = sorted(places.get(app.name, set()) - places.get(wanted, set()))
            if wanted not in names:
                yield _note(app, f"the app {wanted!r}, on which it depends, is not in this source")
            elif alone:
                yield _note(
                    app, f"it depends on {wanted!r}, which is not on {', '.join(alone[:5])}: there it waits for nothing"
                )


def _note(app: App, message: str) -> Finding:
    return Finding("fleet.dependency", message, app.file, app.line, app.column, app=app.name, severity="warning")
