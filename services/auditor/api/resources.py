"""The routes that read: clusters, apps, targets, revisions, releases, rollouts, events, and how far a commit came."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from services.auditor import overview, queries, shapes
from services.auditor.api.layer import Api, BadRequestError, Call, Nothing, UnknownError
from services.auditor.filters import (
    AppFilter,
    ClusterFilter,
    EventFilter,
    ProgressFilter,
    ReleaseFilter,
    RevisionFilter,
    RolloutFilter,
    SourceFilter,
    TargetFilter,
)
from services.auditor.ledger import cloud_event
from services.auditor.progress import progress
from services.auditor.store import Store
from services.auditor.views import (
    AppList,
    AppView,
    ClusterList,
    ClusterView,
    EventList,
    HoldList,
    Progress,
    ReleaseList,
    RevisionList,
    RevisionRef,
    RevisionView,
    RolloutList,
    SourceList,
    TargetList,
    TargetView,
)
from shared.messages.facts import CloudEvent


def declare(api: Api, store: Store, hub: str) -> None:
    """Declare the routes that read from `store`."""
    _declare_places(api, store)
    _declare_changes(api, store)
    _declare_events(api, store, hub)


def _declare_places(api: Api, store: Store) -> None:
    @api.get("/api/v1/clusters", "List clusters", asked=ClusterFilter, answer=ClusterList)
    async def clusters(call: Call[ClusterFilter]) -> ClusterList:
        async with store.reading() as connection:
            rows, cursor = await queries.list_clusters(connection, call.asked)
        return ClusterList(items=[shapes.cluster_view(row) for row in rows], next=cursor)

    @api.get("/api/v1/clusters/{name}", "Show a cluster", answer=ClusterView)
    async def cluster(call: Call[Nothing]) -> ClusterView:
        async with store.reading() as connection:
            row = await queries.one_cluster(connection, call.part("name"))
        if row is None:
            raise UnknownError(f"there is no cluster {call.part('name')!r}")
        return shapes.cluster_view(row)

    @api.get("/api/v1/apps", "List apps", asked=AppFilter, answer=AppList)
    async def apps(call: Call[AppFilter]) -> AppList:
        async with store.reading() as connection:
            names, cursor = await queries.list_apps(connection, call.asked)
            views = await app_views(connection, names)
        return AppList(items=views, next=cursor)

    @api.get("/api/v1/apps/{name}", "Show an app", answer=AppView)
    async def app(call: Call[Nothing]) -> AppView:
        async with store.reading() as connection:
            views = await app_views(connection, [call.part("name")])
        if not views:
            raise UnknownError(f"there is no app {call.part('name')!r}")
        return views[0]

    @api.get("/api/v1/targets", "List targets", asked=TargetFilter, answer=TargetList)
    async def targets(call: Call[TargetFilter]) -> TargetList:
        async with store.reading() as connection:
            rows, cursor = await queries.list_targets(connection, call.asked)
        return TargetList(items=[shapes.target_view(row) for row in rows], next=cursor)

    @api.get("/api/v1/targets/{cluster}/{app}", "Show a target", answer=TargetView)
    async def target(call: Call[Nothing]) -> TargetView:
        cluster, app = call.part("cluster"), call.part("app")
        async with store.reading() as connection:
            row = await queries.one_target(connection, cluster, app)
        if row is None:
            raise UnknownError(f"there is no target {cluster + '/' + app!r}")
        return shapes.target_view(row)


def _declare_changes(api: Api, store: Store) -> None:
    @api.get("/api/v1/revisions", "List revisions, newest first", asked=RevisionFilter, answer=RevisionList)
    async def revisions(call: Call[RevisionFilter]) -> RevisionList:
        async with store.reading() as connection:
            rows, cursor = await queries.list_revisions(connection, call.asked)
        return RevisionList(items=[shapes.revision_view(row) for row in rows], next=cursor)

    @api.get("/api/v1/revisions/{commit}", "Show the newest revision of a commit", answer=RevisionView)
    async def revision(call: Call[Nothing]) -> RevisionView:
        wanted = RevisionFilter(commit=call.part("commit")[:64].rpartition("@")[2].lower(), limit=1)
        async with store.reading() as connection:
            rows, _ = await queries.list_revisions(connection, wanted)
        if not rows or not wanted.commit:
            raise UnknownError(f"there is no revision of commit {call.part('commit')!r}")
        return shapes.revision_view(rows[0])

    @api.get("/api/v1/releases", "List releases, newest first", asked=ReleaseFilter, answer=ReleaseList)
    async def releases(call: Call[ReleaseFilter]) -> ReleaseList:
        async with store.reading() as connection:
            rows, cursor = await queries.list_releases(connection, call.asked)
        return ReleaseList(items=[shapes.release_view(row) for row in rows], next=cursor)

    @api.get("/api/v1/rollouts", "List rollouts", asked=RolloutFilter, answer=RolloutList)
    async def rollouts(call: Call[RolloutFilter]) -> RolloutList:
        async with store.reading() as connection:
            rows, cursor = await queries.list_rollouts(connection, call.asked)
        return RolloutList(items=[shapes.rollout_view(row) for row in rows], next=cursor)

    @api.get("/api/v1/holds", "List what waits for a person", answer=HoldList)
    async def holds(_call: Call[Nothing]) -> HoldList:
        async with store.reading() as connection:
            return HoldList(items=await overview.held(connection))

    @api.get(
        "/api/v1/sources", "List the sources that cannot be had now, or all", asked=SourceFilter, answer=SourceList
    )
    async def sources(call: Call[SourceFilter]) -> SourceList:
        async with store.reading() as connection:
            return SourceList(items=await overview.source_problems(connection, everything=call.asked.all))

    @api.get("/api/v1/progress", "Tell how far a selection of targets came", asked=ProgressFilter, answer=Progress)
    async def how_far(call: Call[ProgressFilter]) -> Progress:
        await _moved_on(api, store, call.asked)
        version = api.version()
        async with store.reading() as connection:
            found = await progress(connection, call.asked)
        return found.model_copy(update={"version": version})


async def _moved_on(api: Api, store: Store, asked: ProgressFilter) -> None:
    """Wait for a change since the caller's last answer, at most as long as the caller wants to."""
    present = store.version
    if asked.since == api.version():
        try:
            async with asyncio.timeout(asked.wait_s):
                await store.changed(present)
        except TimeoutError:
            return


def _declare_events(api: Api, store: Store, hub: str) -> None:
    @api.get("/api/v1/events", "List events", asked=EventFilter, answer=EventList)
    async def events(call: Call[EventFilter]) -> EventList:
        async with store.reading() as connection:
            entries, cursor = await queries.list_events(connection, call.asked)
        return EventList(items=[cloud_event(entry, hub) for entry in entries], next=cursor)

    @api.get("/api/v1/events/{position}", "Show an event", answer=CloudEvent)
    async def event(call: Call[Nothing]) -> CloudEvent:
        position = call.part("position")
        if not (position.isdecimal() and position.isascii() and len(position) < 19):
            raise BadRequestError(f"{position!r} is no position in the ledger")
        async with store.reading() as connection:
            entry = await queries.one_event(connection, int(position))
        if entry is None:
            raise UnknownError(f"there is no event {position}")
        return cloud_event(entry, hub)


async def app_views(connection: AsyncConnection, names: Sequence[str]) -> list[AppView]:
    """Return the apps of `names` that have targets, in the order of their names."""
    sync: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    health: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    failed: dict[str, int] = defaultdict(int)
    for row in await queries.app_counts(connection, names):
        sync[row.app][row.sync_now] += row.targets
        health[row.app][row.health_now] += row.targets
        failed[row.app] += row.failed
    released: dict[str, list[Any]] = defaultdict(list)
    for row in await queries.app_revisions(connection, names):
        released[row.app].append(RevisionRef(source=row.source, ref=row.ref, commit=row.commit))
    return [
        AppView(
            name=name,
            targets=sum(sync[name].values()),
            sync=dict(sync[name]),
            health=dict(health[name]),
            failed=failed[name],
            revisions=released[name],
        )
        for name in sorted(sync)
    ]
