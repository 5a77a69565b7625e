"""Rows of the read model as the API shows them."""

from __future__ import annotations

from typing import Any

from services.auditor.views import (
    ClusterView,
    Condition,
    CountsView,
    ObservedView,
    ReleaseView,
    RenderView,
    RevisionRef,
    RevisionView,
    RollbackView,
    RolloutView,
    TargetView,
)
from shared.core.status import ROLLED_BACK, Health, Result, Sync, way_back

STAGES = ("observed", "rendered", "released", "applied", "healthy")
FAILED_RESULTS = (Result.FAILED, Result.PARTIAL, Result.REFUSED)


def cluster_view(row: Any) -> ClusterView:
    """Return a cluster of `queries.clusters`."""
    return ClusterView(
        name=row.cluster,
        state=row.state,
        labels=row.labels or {},
        origins=row.origins or {},
        pending_claims=row.pending_claims or {},
        in_git=row.in_git,
        uid=row.uid,
        kubernetes=row.agent_kubernetes or row.kubernetes,
        agent=row.agent or "",
        standby=bool(row.standby),
        last_seen=row.last_seen or None,
        epoch=row.epoch or 0,
        generation=row.generation or 0,
        targets=row.targets or 0,
        not_ready=row.not_ready or 0,
    )


def target_view(row: Any) -> TargetView:
    """Return a target of `queries.targets`."""
    return TargetView(
        cluster=row.cluster,
        app=row.app,
        revision=_revision_ref(row) if row.generation else None,
        bundle=row.bundle,
        epoch=row.epoch,
        generation=row.generation,
        state=row.state,
        sync=row.sync_now,
        health=row.health_now,
        conditions=conditions(row),
        counts=CountsView.model_validate({**(row.counts or {})}),
        applied_at=row.applied_at or None,
        message=row.message,
        reason=row.reason,
        result=row.result,
        attempt=row.attempt,
        failures=row.failures or [],
        hold=row.hold,
        drift=row.drift or [],
        warnings=row.warnings or [],
        observed=_observed(row),
        render=_render(row),
        rollout=row.rollout,
        stage=row.stage,
        rollback=rollback_view(row.rollback) if row.rollback else None,
    )


def _revision_ref(row: Any) -> RevisionRef:
    return RevisionRef(source=row.source, ref=row.ref, commit=row.commit)


def _observed(row: Any) -> ObservedView | None:
    if not row.seen_at:
        return None
    return ObservedView(
        epoch=row.seen_epoch, generation=row.seen_generation, bundle=row.seen_bundle, at=row.seen_at or None
    )


def _render(row: Any) -> RenderView | None:
    if not row.render_source:
        return None
    return RenderView(
        source=row.render_source,
        number=row.render_number,
        bundle=row.render_bundle,
        failed=row.render_failed,
        problems=row.render_problems or [],
    )


def conditions(row: Any) -> list[Condition]:
    """Return the conditions of a target: Ready and Healthy always, Reconciling and Stalled while they are true."""
    sync, health = Sync(row.sync_now), Health(row.health_now)
    found = [_ready(row, sync, health), _healthy(row, health)]
    if (sync in {Sync.APPLYING, Sync.OUT_OF_SYNC} and row.reason != ROLLED_BACK) or health is Health.IN_PROGRESS:
        found.append(Condition(type="Reconciling", status="True", reason=row.reason or "Progressing"))
    failed = health is Health.FAILED or row.render_failed or row.result in FAILED_RESULTS
    if sync is Sync.HELD or failed or row.rollback:
        reason = "RenderFailed" if row.render_failed else row.reason or str(sync if sync is Sync.HELD else health)
        found.append(Condition(type="Stalled", status="True", reason=reason, message=_why(row)))
    return found


def _ready(row: Any, sync: Sync, health: Health) -> Condition:
    if row.render_failed:
        return Condition(type="Ready", status="False", reason="RenderFailed", message=_why(row))
    if sync is Sync.SYNCED and health is Health.CURRENT:
        return Condition(type="Ready", status="True", reason="Synced", message=row.message)
    unknown = sync is Sync.UNKNOWN or health is Health.UNKNOWN
    reason = row.reason or str(sync if sync is not Sync.SYNCED else health)
    return Condition(type="Ready", status="Unknown" if unknown else "False", reason=reason, message=row.message)


def _healthy(row: Any, health: Health) -> Condition:
    status = {Health.CURRENT: "True", Health.UNKNOWN: "Unknown"}.get(health, "False")
    return Condition.model_validate({"type": "Healthy", "status": status, "reason": health, "message": row.message})


def _why(row: Any) -> str:
    problems = row.render_problems or []
    return problem_line(problems[0]) if row.render_failed and problems else row.message


def rollback_view(kept: dict[str, Any]) -> RollbackView:
    """Return a rollback as the read model keeps it."""
    return RollbackView.model_validate(kept)


def rollback_line(cluster: str, app: str, back: RollbackView) -> str:
    """Return why a target does not run what git says, and the way out."""
    way = way_back(back.commit, next(iter(back.commits), back.to), back.reason)
    why = f"{ROLLED_BACK}: {back.actor} took it back {way}"
    return f"{why} (push a fix or a revert, or let it try again: towline resume {cluster}/{app})"


def problem_line(problem: dict[str, Any]) -> str:
    """Return a problem in one line, its place in front: `file:line:column: message (hint)`."""
    place = ":".join(str(problem[part]) for part in ("file", "line", "column") if problem.get(part))
    hint = f" ({problem['hint']})" if problem.get("hint") else ""
    text = f"{problem.get('message', '')}{hint}"
    return f"{place}: {text}" if problem.get("file") else text


def revision_view(row: Any) -> RevisionView:
    """Return a revision of `queries.revisions`."""
    stages = {stage: getattr(row, f"{stage}_at") or None for stage in STAGES}
    return RevisionView(
        source=row.source,
        number=row.number,
        repository=row.repository,
        ref=row.ref,
        commit=row.commit,
        subject=row.subject,
        author=row.author,
        history=row.history,
        state=_revision_state(row, stages),
        committed_at=row.committed_at,
        stages=stages,
        targets=row.targets,
        failed=row.failed,
        released=row.released,
        applied=row.applied,
        healthy=row.healthy,
        problems=row.problems or [],
    )


def _revision_state(row: Any, stages: dict[str, str | None]) -> Any:
    errors = any(problem.get("severity") == "error" for problem in row.problems or [])
    if stages["healthy"] and not (row.failed or errors):
        return "healthy"
    if not row.open:
        return "superseded"
    if row.failed or errors:
        return "failed"
    return next(stage for stage in reversed(STAGES) if stages[stage])


def release_view(row: Any) -> ReleaseView:
    """Return a release."""
    return ReleaseView(
        name=f"{row.cluster}/{row.app}@{row.epoch}.{row.generation}",
        cluster=row.cluster,
        app=row.app,
        epoch=row.epoch,
        generation=row.generation,
        bundle=row.bundle,
        state=row.state,
        revision=_revision_ref(row),
        rollout=row.rollout,
        stage=row.stage,
        released_at=row.released_at or None,
        result=row.result,
        reported_at=row.reported_at or None,
        rollback=row.rollback,
    )


def rollout_view(row: Any) -> RolloutView:
    """Return a rollout."""
    return RolloutView(
        name=row.rollout,
        app=row.app,
        source=row.source,
        commit=row.commit,
        state=row.state,
        stage=row.stage,
        message=row.message,
        details=row.body or {},
        updated_at=row.updated_at,
    )
