"""Decide which targets a commit has: every app on every cluster that it is for, and what each is made of.

Clusters with the same layers share one `AppInputs`: a thousand of them cost look-ups, not renders.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from services.renderer.contents import Content
from services.renderer.inputs import AppInputs, Engine
from services.renderer.locked import Archive, Archives, wanted, with_chart
from services.renderer.reach import Reach
from services.renderer.stages import left_out
from shared.core.selectors import matches
from shared.core.trees import Tree
from shared.errors import Finding, FindingsError
from shared.fleet.fences import bounds_of, outside
from shared.fleet.locks import Lock, read_lock
from shared.fleet.model import App, Cluster, Fleet
from shared.fleet.read import read_fleet
from shared.messages import releases
from shared.messages.sources import RenderRequest, Verify, Wanted, WantedChart

__all__ = ["AppInputs", "Engine", "Plan", "Repository", "Target", "plan_of", "planned"]

Place = tuple[str, str]
"""A repository's URL and the ref that was asked for."""


@dataclass(frozen=True, slots=True)
class Repository:
    """Another repository as it could be had."""

    tree: Tree | None = None
    """None: it could not be had, and `finding` says why."""
    finding: Finding | None = None
    provenance: int = 0
    """Its index in the provenance of the render."""


@dataclass(frozen=True, slots=True)
class Target:
    """One app on one cluster: what it is made of, or why there is nothing."""

    cluster: str
    app: str
    inputs: AppInputs | None
    findings: tuple[Finding, ...] = ()
    provenance: tuple[int, ...] = (0,)


@dataclass(frozen=True, slots=True)
class Plan:
    """All targets of a commit."""

    fleet: Fleet
    clusters: tuple[Cluster, ...] = ()
    """The clusters that count, with their effective labels."""
    targets: tuple[Target, ...] = ()
    needs: tuple[Wanted, ...] = ()
    """Every other repository that an app names, sorted."""
    charts: tuple[WantedChart, ...] = ()
    """Every archive of a chart that the lock names for an app, sorted."""
    complete: bool = True
    """What is absent here is meant to be absent."""
    findings: tuple[Finding, ...] = ()
    """What belongs to no target."""


def planned(
    request: RenderRequest,
    trees: Sequence[Tree],
    registered: Iterable[releases.Cluster],
    charts: Mapping[str, Callable[[], bytes]],
) -> Plan:
    """Return the plan of a request; `trees` are those of its checkout and of the others, in order.

    `charts` read the archives that are here, by their digest.
    """
    repositories = {
        (each.repository, each.asked_ref): Repository(tree, provenance=index)
        for index, (each, tree) in enumerate(zip(request.others, trees[1:], strict=True), start=1)
    }
    for failed in request.failures:
        text = f"{failed.repository}: {failed.message}"
        finding = Finding(failed.code, text, hint=failed.hint)
        repositories.setdefault((failed.repository, failed.asked_ref), Repository(finding=finding))
    archives = {digest: Archive(read) for digest, read in charts.items()}
    for each in request.charts:
        if each.failure is not None:
            finding = Finding(each.failure.code, each.failure.message, hint=each.failure.hint)
            archives.setdefault(each.digest, Archive(finding=finding))
    fleet = read_fleet(trees[0], request.source)
    return plan_of(fleet, trees[0], effective(fleet, registered), repositories, archives)


def plan_of(
    fleet: Fleet,
    tree: Tree,
    clusters: Sequence[Cluster],
    repositories: Mapping[Place, Repository],
    archives: Archives | None = None,
) -> Plan:
    """Return the targets of `fleet`, whose own files are in `tree`, on `clusters`."""
    needs = _needs(fleet)
    if not fleet.readable:
        return Plan(fleet, tuple(clusters), complete=False, findings=fleet.findings)
    lock = read_lock(tree)
    charts = wanted(fleet.apps, lock)
    known = archives or {}
    sources = _Sources(tree, repositories, lock, known, {})
    targets: list[Target] = []
    findings = list(fleet.findings)
    for app in fleet.apps:
        chosen = [each for each in clusters if _is_for(fleet, app, each)]
        try:
            content, home = sources.content(app)
        except FindingsError as error:
            targets += [_failed(app, each, error) for each in chosen]
            continue
        if content is not None:
            targets += [_target(app, each, content, home, _problem(fleet, app, each)) for each in chosen]
            findings += content.unused()
    return Plan(
        fleet,
        tuple(clusters),
        tuple(targets),
        needs,
        charts,
        complete=fleet.whole
        and all((each.repository, each.ref) in repositories for each in needs)
        and all(each.digest in known for each in charts),
        findings=tuple(findings),
    )


@dataclass(frozen=True, slots=True)
class _Sources:
    """Where apps may have their content from."""

    tree: Tree
    repositories: Mapping[Place, Repository]
    lock: Lock
    archives: Archives
    reaches: dict[Place, Reach]

    def content(self, app: App) -> tuple[Content | None, Repository]:
        """Return the content of an app, and where it is; None for what is on its way here.

        Raises:
            FindingsError: it could not be had.
        """
        place = (app.elsewhere.repository, app.elsewhere.ref) if app.elsewhere else ("", "")
        home = self.repositories.get(place) if app.elsewhere else Repository(self.tree)
        if home is None:
            return None, Repository()
        if home.tree is None:
            cause = home.finding or Finding("source.unreachable", "the repository could not be had")
            raise FindingsError([replace(cause, file=app.file, line=app.line, column=app.column)])
        found = with_chart(app, home.tree, self.lock, self.archives)
        if found is None:
            return None, home
        reach = self.reaches.setdefault(place, Reach(home.tree))
        tree, chart = found
        return Content(app, tree, app.elsewhere.path if app.elsewhere else app.folder, reach, chart), home


def _needs(fleet: Fleet) -> tuple[Wanted, ...]:
    """Return the repositories that apps name, with every rule of signatures that one of them comes with."""
    found: dict[Place, dict[Verify, None]] = {}
    for place in (app.elsewhere for app in fleet.apps):
        if place:
            rules = (Verify(mode=each.mode, signers=each.signers) for each in place.verify)
            found.setdefault((place.repository, place.ref), {}).update(dict.fromkeys(rules))
    return tuple(
        Wanted(repository=repository, ref=ref, verify=tuple(sorted(rules, key=repr)))
        for (repository, ref), rules in sorted(found.items())
    )


def effective(fleet: Fleet, registered: Iterable[releases.Cluster]) -> tuple[Cluster, ...]:
    """Return the clusters that count: git wins over the hub, the hub over claims; unreadable ones are left out."""
    declared = {cluster.name: cluster for cluster in fleet.clusters}
    found: dict[str, Cluster] = dict(declared)
    for known in registered:
        if known.membership is releases.Membership.REMOVED and known.cluster not in declared:
            continue
        own = declared.get(known.cluster, Cluster(known.cluster))
        if fleet.governs:
            # What git said at another commit counts no more.
            kept = {name: value for name, value in known.labels.items() if known.origins.get(name) != "git"}
            found[known.cluster] = replace(own, labels={**kept, **own.labels})
        else:
            found[known.cluster] = replace(
                own,
                labels={**known.labels, **own.labels},
                values=known.values,
                kube_version=known.kube_version,
                api_versions=known.api_versions,
            )
    return tuple(found[name] for name in sorted(found) if name not in fleet.unreadable_clusters)


def _is_for(fleet: Fleet, app: App, cluster: Cluster) -> bool:
    """Tell whether an app is for a cluster; one that names none is for those of its project."""
    targets = app.written.targets
    if not targets:
        return bounds_of(fleet.file, app.written.project).holds(cluster.labels)
    return any(matches(selector, cluster.labels) for selector in targets)


def _problem(fleet: Fleet, app: App, cluster: Cluster) -> Finding | None:
    return outside(fleet.file, app, cluster.name, cluster.labels) or left_out(fleet, app, cluster)


def _target(app: App, cluster: Cluster, content: Content, home: Repository, problem: Finding | None) -> Target:
    sources = (0, home.provenance) if home.provenance else (0,)
    try:
        inputs = content.inputs(cluster)
    except FindingsError as error:
        findings = tuple(replace(each, cluster=cluster.name) for each in error.findings)
        return Target(cluster.name, app.name, None, (*findings, problem) if problem else findings, sources)
    if problem:
        return Target(cluster.name, app.name, None, (problem,), sources)
    return Target(cluster.name, app.name, inputs, provenance=sources)


def _failed(app: App, cluster: Cluster, error: FindingsError) -> Target:
    findings = tuple(replace(each, cluster=cluster.name, app=app.name) for each in error.findings)
    return Target(cluster.name, app.name, None, findings)
