"""Read the read model: what the API and the page show, page by page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Integer, Select, and_, case, cast, func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from services.auditor.filters import (
    AppFilter,
    ClusterFilter,
    EventFilter,
    Page,
    ReleaseFilter,
    RevisionFilter,
    RolloutFilter,
    TargetFilter,
    cursor_of,
    listed,
)
from services.auditor.ledger import Entry
from services.auditor.stages import GONE, REPORTED, TAKEN_BACK
from services.auditor.store import entry_from
from services.auditor.tables import (
    agents,
    clusters,
    commands,
    ledger,
    presences,
    releases,
    renders,
    revisions,
    rollouts,
    targets,
)
from shared.core.status import ClusterState, Health, Result, Sync
from shared.core.times import time_text
from shared.messages.releases import Membership

_t = targets.c
_PRESENT = func.coalesce(presences.c.present, False)
state_now = case(
    (clusters.c.membership.in_((Membership.QUARANTINED, Membership.REVOKED)), clusters.c.membership),
    (clusters.c.membership.in_((Membership.EXPECTED, Membership.INVITED)), clusters.c.membership),
    (and_(_PRESENT, func.coalesce(agents.c.stale, False)), ClusterState.STALE.value),
    (_PRESENT, ClusterState.CONNECTED.value),
    else_=ClusterState.OFFLINE.value,
)
# Until the agent reported on what was released, what it says is about something older.
_SPOKEN = case((_t.sync == "", Sync.UNKNOWN.value), else_=_t.sync)
_OLDER = case((_t.sync.in_((Sync.APPLYING, Sync.SUSPENDED)), _t.sync), else_=Sync.OUT_OF_SYNC.value)
sync_now = case((or_(_t.generation == 0, REPORTED), _SPOKEN), else_=_OLDER)
health_now = case((_t.health == "", Health.UNKNOWN.value), else_=_t.health)
_RAN = tuple_(_t.report_epoch, _t.report_generation) >= tuple_(_t.epoch, _t.generation)
"""The last run was of what is released now: an older failure is history."""
_BAD = (Result.FAILED, Result.PARTIAL, Result.REFUSED)
FAILED = or_(_t.render_failed, TAKEN_BACK, and_(_RAN, _t.result.in_(_BAD)))
READY = and_(sync_now == Sync.SYNCED, health_now == Health.CURRENT, _t.render_failed.is_(False))
FAILED_FOR_GOOD = or_(and_(_RAN, _t.result.in_((*_BAD, Result.HELD))), and_(REPORTED, _t.sync == Sync.HELD))
"""The agent tries some of these again; a wait that gives up on the first failed run says so soon."""
SHOWN = ~GONE


def total(condition: ColumnElement[bool]) -> ColumnElement[Any]:
    """Return how many rows fulfil a condition."""
    return func.coalesce(func.sum(cast(condition, Integer)), 0)


async def _page(
    connection: AsyncConnection, query: Select[Any], page: Page, key: Sequence[Any], *, newest: bool = False
) -> tuple[list[Any], str | None]:
    """Return the rows of a page in the order of `key`, and the cursor of the next."""
    if (after := page.start(len(key))) is not None:
        bound = tuple_(*after)
        query = query.where(tuple_(*key) < bound if newest else tuple_(*key) > bound)
    ordered = query.order_by(*((column.desc() for column in key) if newest else key)).limit(page.limit + 1)
    rows = list((await connection.execute(ordered)).all())
    if len(rows) <= page.limit:
        return rows, None
    last = rows[page.limit - 1]
    return rows[: page.limit], cursor_of(*(getattr(last, column.name) for column in key))


def _cluster_query() -> Select[Any]:
    counted = (
        select(_t.cluster, func.count().label("targets"), total(~READY).label("not_ready"))
        .where(SHOWN)
        .group_by(_t.cluster)
        .subquery()
    )
    return (
        select(
            clusters,
            state_now.label("state"),
            presences.c.last_seen,
            agents.c.agent,
            agents.c.kubernetes.label("agent_kubernetes"),
            agents.c.standby,
            agents.c.epoch,
            agents.c.generation,
            counted.c.targets,
            counted.c.not_ready,
        )
        .select_from(clusters)
        .outerjoin(presences, presences.c.cluster == clusters.c.cluster)
        .outerjoin(agents, agents.c.cluster == clusters.c.cluster)
        .outerjoin(counted, counted.c.cluster == clusters.c.cluster)
        .where(clusters.c.membership != Membership.REMOVED)
    )


async def list_clusters(connection: AsyncConnection, wanted: ClusterFilter) -> tuple[list[Any], str | None]:
    """Return a page of clusters."""
    query = _cluster_query()
    if wanted.state:
        query = query.where(state_now == wanted.state)
    for label in listed(wanted.selector):
        name, _, value = label.partition("=")
        query = query.where(clusters.c.labels[name].as_string() == value)
    return await _page(connection, query, wanted, [clusters.c.cluster])


async def one_cluster(connection: AsyncConnection, name: str) -> Any | None:
    """Return a cluster, or None."""
    return (await connection.execute(_cluster_query().where(clusters.c.cluster == name))).first()


def _target_query() -> Select[Any]:
    return select(targets, sync_now.label("sync_now"), health_now.label("health_now")).where(SHOWN)


async def list_targets(connection: AsyncConnection, wanted: TargetFilter) -> tuple[list[Any], str | None]:
    """Return a page of targets."""
    query = _target_query()
    for value, condition in (
        (wanted.cluster, _t.cluster == wanted.cluster),
        (wanted.app, _t.app == wanted.app),
        (wanted.sync, sync_now == wanted.sync),
        (wanted.health, health_now == wanted.health),
        (wanted.ready is True, READY),
        (wanted.ready is False, ~READY),
        (wanted.commit, _t.commit.startswith(wanted.commit, autoescape=True)),
    ):
        if value:
            query = query.where(condition)
    return await _page(connection, query, wanted, [_t.cluster, _t.app])


async def one_target(connection: AsyncConnection, cluster: str, app: str) -> Any | None:
    """Return a target, or None."""
    return (await connection.execute(_target_query().where(_t.cluster == cluster, _t.app == app))).first()


async def list_apps(connection: AsyncConnection, wanted: AppFilter) -> tuple[list[str], str | None]:
    """Return the names of a page of apps."""
    query = select(_t.app).where(SHOWN).distinct()
    if wanted.cluster:
        query = query.where(_t.cluster == wanted.cluster)
    rows, cursor = await _page(connection, query, wanted, [_t.app])
    return [row.app for row in rows], cursor


async def app_counts(connection: AsyncConnection, apps: Sequence[str]) -> list[Any]:
    """Return (app, sync, health, targets, failed) for the given apps, one row for each combination that occurs."""
    query = (
        select(
            _t.app,
            sync_now.label("sync_now"),
            health_now.label("health_now"),
            func.count().label("targets"),
            total(FAILED).label("failed"),
        )
        .where(SHOWN, _t.app.in_(apps))
        .group_by(_t.app, sync_now, health_now)
    )
    return list((await connection.execute(query)).all())


async def app_revisions(connection: AsyncConnection, apps: Sequence[str]) -> list[Any]:
    """Return (app, source, ref, commit) of what is released of the given apps, the newest release first."""
    query = (
        select(_t.app, _t.source, _t.ref, _t.commit)
        .where(SHOWN, _t.app.in_(apps), _t.generation > 0)
        .group_by(_t.app, _t.source, _t.ref, _t.commit)
        .order_by(_t.app, func.max(_t.released_at).desc())
    )
    return list((await connection.execute(query)).all())


def _revision_query() -> Select[Any]:
    rendered = and_(renders.c.source == revisions.c.source, renders.c.number == revisions.c.number)
    return select(revisions, renders.c.problems).outerjoin(renders, rendered)


async def list_revisions(connection: AsyncConnection, wanted: RevisionFilter) -> tuple[list[Any], str | None]:
    """Return a page of revisions, newest first."""
    query = _revision_query()
    if wanted.source:
        query = query.where(revisions.c.source == wanted.source)
    if wanted.commit:
        query = query.where(revisions.c.commit.startswith(wanted.commit, autoescape=True))
    return await _page(connection, query, wanted, [revisions.c.observed_at, revisions.c.number], newest=True)


async def list_releases(connection: AsyncConnection, wanted: ReleaseFilter) -> tuple[list[Any], str | None]:
    """Return a page of releases, newest first."""
    query = select(releases).where(releases.c.released_at != "")
    for value, column in ((wanted.cluster, releases.c.cluster), (wanted.app, releases.c.app)):
        if value:
            query = query.where(column == value)
    if wanted.commit:
        query = query.where(releases.c.commit.startswith(wanted.commit, autoescape=True))
    key = [releases.c.released_at, releases.c.cluster, releases.c.app, releases.c.generation]
    return await _page(connection, query, wanted, key, newest=True)


async def list_rollouts(connection: AsyncConnection, wanted: RolloutFilter) -> tuple[list[Any], str | None]:
    """Return a page of rollouts, the one that moved last first."""
    query = select(rollouts)
    if wanted.app:
        query = query.where(rollouts.c.app == wanted.app)
    if wanted.state:
        query = query.where(rollouts.c.state == wanted.state)
    return await _page(connection, query, wanted, [rollouts.c.updated_at, rollouts.c.rollout], newest=True)


def event_conditions(*, cluster: str, app: str, types: str) -> list[ColumnElement[bool]]:
    """Return what rows of the ledger must fulfil; `types` are whole types or their nouns."""
    found: list[ColumnElement[bool]] = []
    if cluster:
        found.append(ledger.c.cluster == cluster)
    if app:
        found.append(ledger.c.app == app)
    if types:
        found.append(
            or_(
                *(
                    or_(ledger.c.type == kind, ledger.c.type.startswith(f"{kind}.", autoescape=True))
                    for kind in listed(types)
                )
            )
        )
    return found


async def list_events(connection: AsyncConnection, wanted: EventFilter) -> tuple[list[Entry], str | None]:
    """Return a page of the ledger."""
    query = select(ledger).where(*event_conditions(cluster=wanted.cluster, app=wanted.app, types=wanted.types))
    for value, condition in (
        (wanted.source, ledger.c.source == wanted.source),
        (wanted.severity, ledger.c.severity == wanted.severity),
    ):
        if value:
            query = query.where(condition)
    if wanted.since:
        query = query.where(ledger.c.time >= time_text(wanted.since))
    if wanted.after is not None:
        query = query.where(ledger.c.position > wanted.after)
    rows, cursor = await _page(connection, query, wanted, [ledger.c.position], newest=wanted.after is None)
    return [entry_from(row) for row in rows], cursor


async def one_event(connection: AsyncConnection, position: int) -> Entry | None:
    """Return the row of the ledger at a position, or None."""
    row = (await connection.execute(select(ledger).where(ledger.c.position == position))).first()
    return entry_from(row) if row else None


async def one_command(connection: AsyncConnection, command_id: str) -> Any | None:
    """Return a command, or None."""
    return (await connection.execute(select(commands).where(commands.c.command == command_id))).first()
