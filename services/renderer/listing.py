"""Say over the bus what a commit declares and what came of its targets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

from services.renderer.targets import Plan, Target
from shared.errors import Finding
from shared.fleet.fences import bounds_of
from shared.fleet.files import Rollout, Stage
from shared.fleet.model import App, Fleet
from shared.messages.blobs import BundleRef
from shared.messages.renders import (
    AppPart,
    DeclaredCluster,
    FleetPart,
    Problem,
    ProjectPart,
    RenderListing,
    RolloutPlan,
    StagePlan,
    TargetRender,
    WindowPart,
)


class Outcome(Protocol):
    """What became of inputs: a bundle, or findings."""

    @property
    def bundle(self) -> BundleRef | None:
        """The bundle, if there is one."""

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Errors without a bundle, warnings with one."""


def listing_of(
    plan: Plan, outcomes: Mapping[str, Outcome], warnings: Mapping[tuple[str, str], tuple[Finding, ...]] | None = None
) -> RenderListing:
    """Return the listing; `outcomes` are by the inputs' keys, `warnings` by cluster and app."""
    more = warnings or {}
    targets = [_rendered(target, outcomes, more.get((target.cluster, target.app), ())) for target in plan.targets]
    bundles = {each.bundle.digest: each.bundle for each in outcomes.values() if each.bundle}
    fleet = plan.fleet
    return RenderListing(
        fleet=fleet_part(fleet) if fleet.governs and fleet.readable else None,
        apps=(
            *(app_part(app) for app in fleet.apps),
            *(AppPart(name=name, readable=False) for name in fleet.unreadable_apps),
        ),
        bundles=bundles,
        targets=tuple(targets),
        problems=tuple(Problem.of(finding) for finding in plan.findings),
    )


def fleet_part(fleet: Fleet) -> FleetPart:
    """Return what only the fleet source may say."""
    written = fleet.file
    if written is None:
        return FleetPart()
    clusters = (
        DeclaredCluster(
            name=each.name,
            labels=dict(each.labels),
            values=dict(each.values),
            kube_version=each.kube_version,
            api_versions=each.api_versions,
        )
        for each in fleet.clusters
    )
    return FleetPart(
        clusters=tuple(clusters),
        rollouts={name: rollout_plan(rollout) for name, rollout in written.rollouts.items()},
        default_rollout=written.defaults.rollout,
        claims_accept=written.claims.accept,
        claims_approve=written.claims.approve,
        projects={
            name: ProjectPart(
                namespaces=project.namespaces,
                cluster_scoped=project.cluster_scoped,
                run_as=project.run_as,
                sources=project.sources,
                repositories=tuple(bounds_of(written, name).repositories),
                clusters=project.clusters,
            )
            for name, project in written.projects.items()
        },
        windows={
            name: WindowPart(allow=each.allow, deny=each.deny, timezone=each.timezone, heal=each.heal)
            for name, each in written.windows.items()
        },
        unreadable_clusters=fleet.unreadable_clusters,
    )


def app_part(app: App) -> AppPart:
    """Return an app as the releaser needs it."""
    rollout = app.written.rollout
    return AppPart(
        name=app.name,
        namespace=app.namespace,
        project=app.written.project,
        rollout=rollout.name if rollout else "",
        own_rollout=rollout_plan(rollout) if rollout and not rollout.name else None,
        repository=app.elsewhere.repository if app.elsewhere else "",
        everywhere=not app.written.targets,
        options={**app.written.sync.model_dump(mode="json", by_alias=True), "namespace": app.namespace},
    )


def rollout_plan(rollout: Rollout) -> RolloutPlan:
    """Return a rollout as the releaser needs it."""
    return RolloutPlan(on_failure=rollout.on_failure, stages=tuple(_stage(each) for each in rollout.stages))


def _stage(stage: Stage) -> StagePlan:
    gates: dict[str, Any] = dict(stage.model_extra or {})
    if stage.soak:
        gates["soak"] = stage.soak
    if stage.approval and stage.approval != "none":
        gates["approval"] = stage.approval
    if stage.windows:
        gates["windows"] = list(stage.windows)
    match = {key: values[0] if len(values) == 1 else values for key, values in stage.match.items()}
    return StagePlan(name=stage.name, match=match, batch=stage.batch, max_failures=stage.max_failures, gates=gates)


def _rendered(target: Target, outcomes: Mapping[str, Outcome], warnings: tuple[Finding, ...]) -> TargetRender:
    bundle, findings = "", target.findings
    if target.inputs is not None:
        outcome = outcomes[target.inputs.key]
        bundle = outcome.bundle.digest if outcome.bundle else ""
        # Equal inputs were rendered once, perhaps for another app and cluster.
        findings = tuple(replace(each, cluster=target.cluster, app=target.app) for each in outcome.findings)
    problems = tuple(Problem.of(each) for each in (*findings, *warnings))
    return TargetRender(
        cluster=target.cluster, app=target.app, bundle=bundle, problems=problems, provenance=target.provenance
    )
