"""The stages of a revision, as conditions over the row of a target: released, applied, healthy.

A target is *released* when what it shall run equals what was rendered for it, so a commit that changes nothing for a
target is there at once. Only the newest tip of a ref is *open*: what came before is superseded by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Integer, and_, case, cast, exists, func, null, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.auditor.tables import clusters, render_commits, renders, revisions, targets
from shared.core.status import Health, Sync
from shared.messages.releases import Membership, ReleaseState

_t = targets.c
TAKEN_BACK = _t.rollback.is_not(null())
"""The target runs something older than git says, on purpose."""
STAYS_BACK = and_(TAKEN_BACK, _t.aside == _t.render_bundle)
"""And git says still what was set aside there: nothing comes until git changes, or a person resumes it."""
REMOVED = _t.state == ReleaseState.REMOVED
RELEASED = case(
    (REMOVED, _t.render_bundle == ""),
    else_=and_(_t.generation > 0, _t.bundle == _t.render_bundle, _t.render_failed.is_(False), ~TAKEN_BACK),
)
REPORTED = and_(_t.generation > 0, tuple_(_t.seen_epoch, _t.seen_generation) >= tuple_(_t.epoch, _t.generation))
APPLIED = and_(RELEASED, REPORTED, _t.sync == Sync.SYNCED)
HEALTHY = and_(APPLIED, or_(REMOVED, _t.health == Health.CURRENT))
GONE = and_(REMOVED, REPORTED, _t.sync == Sync.SYNCED)
"""The app was taken off the cluster: nothing of the target is left."""

_ABSENT = (Membership.EXPECTED, Membership.INVITED, Membership.REVOKED, Membership.REMOVED)
JOINED = func.coalesce(clusters.c.membership, "").not_in(_ABSENT)
"""Only a cluster that joined can be waited for."""
PLACED = targets.outerjoin(clusters, clusters.c.cluster == _t.cluster)


@dataclass(frozen=True, slots=True)
class Rendering:
    """From which render on a source holds a revision; `repository` is set where the source is another one's fleet."""

    source: str
    number: int
    rendered_at: str
    repository: str = ""

    def holds(self) -> ColumnElement[bool]:
        """Return whether a target's content is of this rendering or a later one, or was removed by it."""
        rendered = and_(_t.render_source == self.source, _t.render_number >= self.number)
        if self.repository:
            return and_(rendered, _t.repositories.contains(f"\n{self.repository}\n", autoescape=True))
        return or_(rendered, and_(_t.source == self.source, REMOVED, _t.number >= self.number))


async def renderings(connection: AsyncConnection, revision: Any) -> list[Rendering]:
    """Return the renderings that hold `revision` (source, number, repository, commit), one a source."""
    own = await connection.execute(
        select(func.min(renders.c.number), func.min(renders.c.finished_at)).where(
            renders.c.source == revision.source, renders.c.number >= revision.number
        )
    )
    number, at = own.one()
    found = [Rendering(revision.source, number, at)] if number is not None else []
    others = await connection.execute(
        select(
            render_commits.c.render_source,
            func.min(render_commits.c.render_number),
            func.min(renders.c.finished_at),
        )
        .join(
            renders,
            and_(
                renders.c.source == render_commits.c.render_source, renders.c.number == render_commits.c.render_number
            ),
        )
        .where(render_commits.c.commit == revision.commit, render_commits.c.render_source != revision.source)
        .group_by(render_commits.c.render_source)
    )
    return [*found, *(Rendering(source, number, at, revision.repository) for source, number, at in others)]


@dataclass(frozen=True, slots=True)
class Reached:
    """A revision that has just come to all its targets, and when; times are RFC 3339 in UTC."""

    observed_at: str
    applied_at: str


def _count(condition: ColumnElement[bool]) -> ColumnElement[Any]:
    return func.coalesce(func.sum(cast(condition, Integer)), 0)


async def advance(connection: AsyncConnection) -> list[Reached]:
    """Bring the stages of all open revisions up to date, and return those that were not applied before."""
    newer = revisions.alias("newer")
    superseded = exists().where(
        newer.c.source == revisions.c.source,
        newer.c.ref == revisions.c.ref,
        newer.c.number > revisions.c.number,
    )
    await connection.execute(update(revisions).where(revisions.c.open, superseded).values(open=False))
    reached: list[Reached] = []
    for revision in (await connection.execute(select(revisions).where(revisions.c.open))).all():
        found = await renderings(connection, revision)
        applied_at = await _advance(connection, revision, found) if found else ""
        if applied_at and not revision.applied_at:
            reached.append(Reached(revision.observed_at, applied_at))
    return reached


async def _advance(connection: AsyncConnection, revision: Any, found: Sequence[Rendering]) -> str:
    """Bring one revision up to date, and return when it was applied."""
    counted = await connection.execute(
        select(
            func.count().label("targets"),
            _count(_t.render_failed).label("failed"),
            _count(STAYS_BACK).label("back"),
            _count(RELEASED).label("released"),
            _count(APPLIED).label("applied"),
            _count(HEALTHY).label("healthy"),
            func.coalesce(func.max(_t.released_at), "").label("released_at"),
            func.coalesce(func.max(_t.seen_at), "").label("seen_at"),
        )
        .select_from(PLACED)
        .where(JOINED, or_(*(rendering.holds() for rendering in found)))
    )
    row = counted.one()
    values = {
        "targets": row.targets,
        "failed": row.failed + row.back,
        "released": row.released,
        "applied": row.applied,
        "healthy": row.healthy,
        **_times(revision, row, min(rendering.rendered_at for rendering in found)),
    }
    await connection.execute(
        update(revisions)
        .where(revisions.c.source == revision.source, revisions.c.number == revision.number)
        .values(**values, open=not values["healthy_at"])
    )
    return str(values["applied_at"])


def _times(revision: Any, row: Any, rendered_at: str) -> dict[str, str]:
    """Return when each stage was reached by all targets that could be rendered; a time once set stays."""
    wanted = row.targets - row.failed
    times = {"rendered_at": revision.rendered_at or rendered_at}
    latest = times["rendered_at"]
    for stage, at in (("released", row.released_at), ("applied", row.seen_at), ("healthy", row.seen_at)):
        done = wanted > 0 and getattr(row, stage) >= wanted
        latest = max(latest, at)
        times[f"{stage}_at"] = getattr(revision, f"{stage}_at") or (latest if done else "")
    return times
