"""What is wrong now, and who waits: the first things a person on call wants to see."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.auditor.queries import FAILED, SHOWN, health_now, state_now, sync_now, total
from services.auditor.stages import REPORTED
from services.auditor.tables import agents, clusters, followed, holds, presences, renders, targets
from services.auditor.views import HoldView, SourceView
from shared.core.status import Health, Sync
from shared.messages.releases import Membership

SHOWN_PROBLEMS = 50
_t = targets.c


async def cluster_states(connection: AsyncConnection) -> dict[str, int]:
    """Return state → clusters."""
    query = (
        select(state_now.label("state"), func.count().label("clusters"))
        .select_from(clusters)
        .outerjoin(presences, presences.c.cluster == clusters.c.cluster)
        .outerjoin(agents, agents.c.cluster == clusters.c.cluster)
        .where(clusters.c.membership != Membership.REMOVED)
        .group_by(state_now)
    )
    return {row.state: row.clusters for row in await connection.execute(query)}


async def target_problems(connection: AsyncConnection) -> tuple[list[Any], int]:
    """Return the first targets that are failed or held, and how many there are."""
    wrong = or_(FAILED, sync_now == Sync.HELD, health_now == Health.FAILED)
    query = (
        select(targets, sync_now.label("sync_now"), health_now.label("health_now"))
        .where(SHOWN, wrong)
        .order_by(_t.app, _t.cluster)
        .limit(SHOWN_PROBLEMS)
    )
    rows = list((await connection.execute(query)).all())
    count = await connection.execute(select(total(wrong)).where(SHOWN))
    return rows, count.scalar() or 0


async def source_problems(connection: AsyncConnection, *, everything: bool = False) -> list[SourceView]:
    """Return the refs that cannot be had now, or everything that sources follow."""
    known = or_(followed.c.checked_at > followed.c.dropped_at, followed.c.observed_at > followed.c.dropped_at)
    query = select(followed).where(known).order_by(followed.c.source, followed.c.repository, followed.c.asked_ref)
    found = await connection.execute(query if everything else query.where(followed.c.failed))
    return [source_view(row) for row in found]


def source_view(row: Any) -> SourceView:
    """Return a source."""
    return SourceView(
        name=row.source,
        repository=row.repository,
        asked_ref=row.asked_ref,
        failed=row.failed,
        code=row.code,
        message=row.message,
        hint=row.hint,
        checked_at=row.checked_at,
        ref=row.ref,
        commit=row.commit,
        history=row.history,
        observed_at=row.observed_at,
    )


async def newest_renders(connection: AsyncConnection) -> list[Any]:
    """Return the newest render of each source, with the problems that belong to no target."""
    newest = select(renders.c.source, func.max(renders.c.number).label("number")).group_by(renders.c.source).subquery()
    query = select(renders).join(newest, (renders.c.source == newest.c.source) & (renders.c.number == newest.c.number))
    return list((await connection.execute(query.order_by(renders.c.source))).all())


async def held(connection: AsyncConnection) -> list[HoldView]:
    """Return everything that waits for a person: held targets, claims, and what the releaser holds."""
    return [
        *(await _held_targets(connection)),
        *(await _claims(connection)),
        *(await _held_by_releaser(connection)),
    ]


async def _held_targets(connection: AsyncConnection) -> list[HoldView]:
    query = select(targets).where(SHOWN, REPORTED, _t.sync == Sync.HELD).order_by(_t.cluster, _t.app)
    return [
        HoldView(
            name=f"{row.cluster}/{row.app}",
            kind="target",
            cluster=row.cluster,
            app=row.app,
            message=row.message,
            digest=str((row.hold or {}).get("approval", "")),
            details=row.hold or {},
        )
        for row in await connection.execute(query)
    ]


async def _claims(connection: AsyncConnection) -> list[HoldView]:
    query = select(clusters).where(clusters.c.membership == Membership.JOINED).order_by(clusters.c.cluster)
    return [
        HoldView(
            name=row.cluster,
            kind="claims",
            cluster=row.cluster,
            app="",
            message="claims " + ", ".join(f"{name}={value}" for name, value in sorted(row.pending_claims.items())),
            digest="",
            details=row.pending_claims,
        )
        for row in await connection.execute(query)
        if row.pending_claims
    ]


async def _held_by_releaser(connection: AsyncConnection) -> list[HoldView]:
    query = select(holds).where(holds.c.held).order_by(holds.c.changed_at)
    return [
        HoldView(
            name=row.hold,
            kind="hub",
            cluster=row.cluster,
            app=row.app,
            message=row.message,
            digest=str((row.body or {}).get("approval") or (row.body or {}).get("digest") or ""),
            details=row.body or {},
        )
        for row in await connection.execute(query)
    ]
