"""How far a selection of targets came: what `towline wait` asks.

A commit that was passed over or replaced counts as there once its successor is. A cluster that never joined is left
out. A target fails for good when no retry of ours will help: somebody must push another commit, or approve.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Integer, and_, cast, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.auditor.filters import ProgressFilter, listed
from services.auditor.queries import FAILED_FOR_GOOD, SHOWN, health_now, sync_now, total
from services.auditor.shapes import problem_line, rollback_line, rollback_view
from services.auditor.stages import (
    APPLIED,
    HEALTHY,
    JOINED,
    PLACED,
    RELEASED,
    REPORTED,
    STAYS_BACK,
    Rendering,
    renderings,
)
from services.auditor.tables import commits, renders, revisions, targets
from services.auditor.views import Failure, Progress
from shared.core.status import Health, Sync
from shared.errors import PermanentError

NAMED = 20
SHORTEST_COMMIT = 7
_t = targets.c
_REACHED: dict[str, ColumnElement[bool]] = {
    "rendered": _t.render_failed.is_(False),
    "released": RELEASED,
    "applied": APPLIED,
    "healthy": HEALTHY,
}
# Until a release is applied, what is told of its health is about what ran before.
_UNWELL = and_(REPORTED, sync_now != Sync.APPLYING, health_now == Health.FAILED)
_FAILED: dict[str, ColumnElement[bool]] = {
    "rendered": _t.render_failed,
    "released": or_(_t.render_failed, STAYS_BACK),
    # What is still to be released says nothing yet: an older failure is what it may mend.
    "applied": or_(_t.render_failed, STAYS_BACK, and_(RELEASED, FAILED_FOR_GOOD)),
    "healthy": or_(_t.render_failed, STAYS_BACK, and_(RELEASED, or_(FAILED_FOR_GOOD, _UNWELL))),
}


class BadSelectionError(PermanentError):
    """What to wait for is not said, or not clearly."""

    code = "api.bad-selection"


@dataclass(slots=True)
class _Selection:
    """What was found of the commits: conditions on targets, failures of whole commits, commits not there yet."""

    conditions: list[ColumnElement[bool]] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


async def progress(connection: AsyncConnection, wanted: ProgressFilter) -> Progress:
    """Return how far the selection came.

    Raises:
        BadSelectionError: nothing is named, or a commit by fewer than 7 digits.
    """
    prefixes, apps, clusters = listed(wanted.commits), listed(wanted.apps), listed(wanted.clusters)
    if not (prefixes or apps or clusters):
        raise BadSelectionError("nothing is selected", hint="name a commit, an app or a cluster")
    selection = await _of_commits(connection, prefixes, apps)
    if selection.missing:
        return _answer("waiting", message="; ".join(selection.missing))
    conditions = [JOINED, or_(*selection.conditions) if prefixes else SHOWN]
    if apps:
        conditions.append(_t.app.in_(apps))
    if clusters:
        conditions.append(_t.cluster.in_(clusters))
    return await _counted(connection, wanted.stage, conditions, selection.failures)


async def _of_commits(connection: AsyncConnection, prefixes: Sequence[str], apps: Sequence[str]) -> _Selection:
    selection = _Selection()
    for prefix in prefixes:
        if len(prefix) < SHORTEST_COMMIT:
            raise BadSelectionError(f"commit {prefix!r} is too short", hint=f"give at least {SHORTEST_COMMIT} digits")
        found = await _revisions_of(connection, prefix.lower())
        if not found:
            selection.missing.append(f"commit {prefix} was not seen yet")
        for revision in found:
            await _of_revision(connection, revision, apps, selection)
    return selection


async def _revisions_of(connection: AsyncConnection, prefix: str) -> list[Any]:
    """Return the tips that brought the commit, one a source: the first where it came more than once."""
    brought = (
        select(commits.c.source, func.min(commits.c.number).label("number"))
        .where(commits.c.commit.startswith(prefix, autoescape=True))
        .group_by(commits.c.source)
        .subquery()
    )
    query = select(revisions).join(
        brought, and_(revisions.c.source == brought.c.source, revisions.c.number == brought.c.number)
    )
    return list((await connection.execute(query)).all())


async def _of_revision(connection: AsyncConnection, revision: Any, apps: Sequence[str], selection: _Selection) -> None:
    found = await renderings(connection, revision) or await _of_successor(connection, revision)
    if not found:
        selection.missing.append(f"commit {revision.commit[:12]} is not rendered yet")
    for rendering in found:
        selection.conditions.append(rendering.holds())
        selection.failures.extend(await _failures_of(connection, rendering, apps))


async def _of_successor(connection: AsyncConnection, revision: Any) -> list[Rendering]:
    query = (
        select(revisions)
        .where(
            revisions.c.source == revision.source,
            revisions.c.ref == revision.ref,
            revisions.c.number > revision.number,
        )
        .order_by(revisions.c.number.desc())
        .limit(1)
    )
    successor = (await connection.execute(query)).first()
    return await renderings(connection, successor) if successor is not None else []


async def _failures_of(connection: AsyncConnection, rendering: Rendering, apps: Sequence[str]) -> list[Failure]:
    """Return the errors of the newest render that belong to no target: a fleet file or an app that cannot be read."""
    query = select(renders).where(renders.c.source == rendering.source).order_by(renders.c.number.desc()).limit(1)
    render = (await connection.execute(query)).one()
    return [
        Failure(name=f"{render.source}@{render.commit[:12]}", message=problem_line(problem))
        for problem in render.problems or []
        if problem["severity"] == "error" and (not apps or not problem["app"] or problem["app"] in apps)
    ]


async def _counted(
    connection: AsyncConnection, stage: str, conditions: Sequence[ColumnElement[bool]], failures: list[Failure]
) -> Progress:
    reached, failed = _REACHED[stage], _FAILED[stage]
    chosen = select(func.count().label("targets"), total(reached).label("reached")).select_from(PLACED)
    counts = (await connection.execute(chosen.where(*conditions))).one()
    missing = (
        select(
            _t.cluster,
            _t.app,
            _t.render_failed,
            _t.render_problems,
            _t.message,
            _t.result,
            _t.rollback,
            sync_now.label("sync_now"),
            health_now.label("health_now"),
            cast(failed, Integer).label("failed"),
        )
        .select_from(PLACED)
        .where(*conditions, or_(failed, ~reached))
        .order_by(cast(failed, Integer).desc(), _t.app, _t.cluster)
        .limit(NAMED)
    )
    rows = list((await connection.execute(missing)).all())
    failures = [*failures, *(Failure(name=f"{row.cluster}/{row.app}", message=_why(row)) for row in rows if row.failed)]
    return _answer(
        _state(failures, counts),
        targets=counts.targets,
        reached=counts.reached,
        failures=failures[:NAMED],
        waiting=[f"{row.cluster}/{row.app}" for row in rows if not row.failed],
        message=next((f"{row.cluster}/{row.app}: {row.message}" for row in rows if _says_why(row)), ""),
    )


def _state(failures: Sequence[Failure], counts: Any) -> str:
    if failures:
        return "failed"
    if not counts.targets:
        return "empty"
    return "done" if counts.reached >= counts.targets else "waiting"


def _says_why(row: Any) -> bool:
    """Tell whether an agent says what it waits for."""
    return not row.failed and row.sync_now == Sync.APPLYING and bool(row.message)


def _why(row: Any) -> str:
    if row.render_failed and row.render_problems:
        return problem_line(row.render_problems[0])
    if row.rollback:
        return rollback_line(row.cluster, row.app, rollback_view(row.rollback))
    return f"{row.message} ({row.result}, {row.sync_now}, {row.health_now})".strip()


def _answer(state: str, **found: Any) -> Progress:
    empty: dict[str, Any] = {"targets": 0, "reached": 0, "message": "", "failures": [], "waiting": [], "version": ""}
    return Progress.model_validate({**empty, "state": state, **found})
