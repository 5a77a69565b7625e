"""Bring apps forward: release at once what may go at once, and move rollouts by one step.

Everything is taken from the rows as they stand, so a step may be made at any time and as often as somebody likes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy import and_, func, select

from services.releaser import holding, rollbacks
from services.releaser.keys import HubKeys
from services.releaser.releasing import Wish, outdated, release, suspended
from services.releaser.rollout import Finish, Go, Outcome, Pause, Standing, TakeBack, Wait, is_staged, next_move
from services.releaser.store import Transaction, portions
from services.releaser.tables import apps, clusters, rollouts, targets
from services.releaser.tables import rollbacks as marks
from services.releaser.windows import OF_APP, as_of
from shared.core.canonical import digest
from shared.core.status import Health, Result, Sync
from shared.core.times import time_text
from shared.messages.releases import Membership, ReleaseState, RolloutPlace
from shared.messages.renders import RolloutPlan

PATIENCE_S = 120.0
"""A released target whose cluster said nothing for so long blocks no stage; longer than an agent's poll of the bus."""
RUNNING, PAUSED, FINISHED = "running", "paused", "finished"
_BAD = (Result.FAILED, Result.PARTIAL, Result.REFUSED)


@dataclass(frozen=True, slots=True)
class Revision:
    """What a rollout carries over an app's targets."""

    source: str
    number: int
    commit: str


@dataclass(slots=True)
class Course:
    """One app's rollout while it is being moved."""

    app: str
    plan: RolloutPlan
    rows: Sequence[Any]
    """Rows of targets that take part, with those of their clusters."""
    kept: dict[str, Any]
    """The rollout's row."""
    silent: frozenset[str] = frozenset()
    moved: dict[str, str] = field(default_factory=dict)
    """Cluster → stage, of this step."""
    reversible: Mapping[str, rollbacks.Back] = field(default_factory=dict)
    taken_back: dict[str, str] = field(default_factory=dict)
    """Cluster → stage, of this step."""

    def standings(self) -> list[Standing]:
        """Return the targets as they stand, this step's releases included."""
        return [self._standing(row) for row in self.rows]

    def _standing(self, row: Any) -> Standing:
        moved_now = row.cluster in self.moved
        return Standing(
            cluster=row.cluster,
            labels=row.labels or {},
            current=moved_now or current(row),
            moved=moved_now or row.rollout == self.kept["rollout"],
            outcome=self._outcome(row),
            reversible=row.cluster in self.reversible,
        )

    def _outcome(self, row: Any) -> Outcome:
        if row.cluster in self.moved:
            return Outcome.WAITING
        if row.cluster in self.taken_back:
            return Outcome.BACK
        return outcome(row, silent=row.cluster in self.silent)

    def do(self, move: Go | TakeBack) -> None:
        """Note a move as made."""
        made = self.moved if isinstance(move, Go) else self.taken_back
        made.update(dict.fromkeys(move.clusters, move.stage))


def current(row: Any) -> bool:
    """Tell whether what is released for a target is what it shall run; what was set aside there is not to come."""
    return bool(row.state == ReleaseState.PRESENT and (row.content == row.wanted or rollbacks.is_set_aside(row)))


def outcome(row: Any, *, silent: bool) -> Outcome:
    """Return what became of a target's present release."""
    if rollbacks.is_set_aside(row):
        return Outcome.BACK
    unseen = (row.seen_epoch, row.seen_generation) < (row.epoch, row.generation)
    if unseen or row.sync == Sync.APPLYING:
        # Until it is applied, what is told of its health is about what ran before.
        return Outcome.SILENT if silent else Outcome.WAITING
    if row.sync == Sync.HELD:
        return Outcome.HELD
    if row.result in _BAD or row.health == Health.FAILED:
        return Outcome.BAD
    if row.sync == Sync.SYNCED and row.health == Health.CURRENT:
        return Outcome.GOOD
    return Outcome.SILENT if silent or row.sync == Sync.SUSPENDED else Outcome.WAITING


async def step(
    tx: Transaction,
    names: Iterable[str],
    keys: HubKeys,
    anew: Mapping[str, Revision] | None = None,
    *,
    cluster: str = "",
) -> None:
    """Release what may be released now of these apps; a restored database moves nothing until it is adopted.

    Args:
        tx: the decision that this is part of.
        names: the apps.
        keys: what to sign with.
        anew: apps with a new revision: its rollout begins at the first stage.
        cluster: the only cluster where something changed.
    """
    if await outdated(tx):
        return
    wishes: list[Wish] = []
    asked = await suspended(tx)
    for some in portions(sorted(set(names))):
        plans = await _plans(tx, some)
        by_app: dict[str, list[Any]] = defaultdict(list)
        for row in await _rows(tx, plans, cluster):
            by_app[row.app].append(row)
        for app, rows in by_app.items():
            wishes.extend(Wish(row, present=False) for row in rows if _to_remove(row))
            staying = [row for row in rows if row.listed and row.wanted and not row.leaving]
            if not is_staged(plans[app]):
                wishes.extend(Wish(row) for row in staying if not current(row))
                await _forget(tx, app)
                continue
            wishes.extend(await _course(tx, app, plans[app], staying, anew=(anew or {}).get(app), asked=asked))
    await release(tx, wishes, keys)


async def catch_up(tx: Transaction, keys: HubKeys) -> None:
    """Release what waits of all apps, after a time in which nothing was released."""
    names = [row.app for row in await tx.rows(select(targets.c.app).distinct())]
    behind = (targets.c.state == ReleaseState.PRESENT, targets.c.listed, targets.c.content != targets.c.wanted)
    late = await tx.rows(select(targets.c.app, func.min(targets.c.cluster)).where(*behind).group_by(targets.c.app))
    anew = {app: await _revision_of(tx, app, cluster) for app, cluster in late}
    await step(tx, names, keys, anew)


async def _plans(tx: Transaction, names: Sequence[str]) -> dict[str, RolloutPlan]:
    """Return how revisions of apps move now; an app that nobody holds any more has no stages."""
    rows = await tx.rows(select(apps).where(apps.c.app.in_(names)))
    return {
        **dict.fromkeys(names, RolloutPlan()),
        **{row.app: as_of(RolloutPlan.model_validate(row.plan or {}), tx.now) for row in rows},
    }


async def _rows(tx: Transaction, plans: Mapping[str, RolloutPlan], cluster: str) -> list[Any]:
    """Return what decides about targets on clusters that joined; of apps without stages one cluster's may do."""
    joined = and_(clusters.c.cluster == targets.c.cluster, clusters.c.membership == Membership.JOINED)
    marked = and_(marks.c.cluster == targets.c.cluster, marks.c.app == targets.c.app)
    query = select(*_COLUMNS).join_from(targets, clusters, joined).outerjoin(marks, marked).order_by(targets.c.cluster)
    staged = [app for app, plan in plans.items() if is_staged(plan)]
    others = query.where(targets.c.app.in_(plans.keys() - set(staged)))
    found = await tx.rows(others.where(targets.c.cluster == cluster) if cluster else others)
    return [*found, *(await tx.rows(query.where(targets.c.app.in_(staged))) if staged else [])]


_COLUMNS = (
    *(
        targets.c[name]
        for name in ("cluster", "app", "wanted", "bundle", "listed", "hold", "epoch", "generation", "state")
    ),
    *(targets.c[name] for name in ("content", "rollout", "released_at", "seen_epoch", "seen_generation")),
    *(targets.c[name] for name in ("sync", "health", "result", "lasting")),
    *(marks.c[name] for name in ("aside", "tried")),
    *(clusters.c[name] for name in ("labels", "heard_at", "leaving")),
)
"""Not the whole rows: what is released is large, and most targets stay as they are."""


def _to_remove(row: Any) -> bool:
    return bool(row.state == ReleaseState.PRESENT and (row.leaving or (not row.listed and not row.hold)))


async def _course(
    tx: Transaction,
    app: str,
    plan: RolloutPlan,
    rows: Sequence[Any],
    *,
    anew: Revision | None,
    asked: Mapping[tuple[str, str], Any],
) -> list[Wish]:
    """Move the rollout of one app as far as it goes now, and return what it releases."""
    kept = await _kept(tx, app, rows, anew)
    if kept is None:
        return []
    late = time_text(tx.now - timedelta(seconds=PATIENCE_S))
    quiet = {row.cluster for row in rows if row.released_at < late and row.heard_at <= row.released_at}
    still = {row.cluster for row in rows if {("", app), (row.cluster, app), (row.cluster, "")} & asked.keys()}
    course = Course(app, plan, rows, kept, frozenset(quiet | still))
    if plan.on_failure == "rollback":
        standing = zip(rows, course.standings(), strict=True)
        bad = [row for row, each in standing if each.moved and each.current and each.outcome is Outcome.BAD]
        course.reversible = await rollbacks.reversible(tx, app, bad, kept["commit"])
    approved = frozenset(kept["approved"] or ())
    move = next_move(plan, course.standings(), approved)
    while isinstance(move, Go | TakeBack):
        course.do(move)
        move = next_move(plan, course.standings(), approved)
    await _keep(tx, course, move)
    return await _wishes(tx, course)


async def _wishes(tx: Transaction, course: Course) -> list[Wish]:
    """Return what the moves of a step release."""
    found = {row.cluster: row for row in course.rows}
    places = {
        cluster: RolloutPlace(id=course.kept["rollout"], stage=stage)
        for cluster, stage in (course.moved | course.taken_back).items()
    }
    approved = course.kept["approved"] or ()
    going = [
        Wish(found[cluster], rollout=places[cluster], unbound=f"{stage}/{OF_APP}" in approved)
        for cluster, stage in sorted(course.moved.items())
    ]
    if not course.taken_back:
        return going
    backs = [course.reversible[cluster] for cluster in sorted(course.taken_back)]
    why = rollbacks.Why("it failed, and its rollout says onFailure: rollback", automatic=True)
    return [*going, *(await rollbacks.take_back(tx, backs, why, places))]


async def _kept(tx: Transaction, app: str, rows: Sequence[Any], anew: Revision | None) -> dict[str, Any] | None:
    """Return the row of the rollout to move, a new one where a revision starts; None where there is nothing to do."""
    old = await tx.first(select(rollouts).where(rollouts.c.app == app))
    pending = any(not current(row) for row in rows)
    if pending and (old is None or (anew is not None and f"{app}-{anew.number}" != old.rollout)):
        revision = anew or await _revision_of(tx, app, next(row.cluster for row in rows if not current(row)))
        if old is not None and old.state != FINISHED:
            data = {"id": old.rollout, "state": "superseded", "stage": old.stage}
            tx.say("rollout-superseded", app=app, source=old.source, commit=old.commit, data=data)
        named = {"rollout": f"{app}-{revision.number}", "number": revision.number}
        told = {"source": revision.source, "commit": revision.commit, "state": "", "stage": "", "message": ""}
        return {"app": app, **named, **told, "digest": "", "approved": [], "needs": []}
    if old is None or (old.state == FINISHED and not pending):
        return None
    return dict(old._mapping)  # noqa: SLF001 - SQLAlchemy's public name


async def _revision_of(tx: Transaction, app: str, cluster: str) -> Revision:
    """Return the revision that a target waits for."""
    same = (targets.c.app == app, targets.c.cluster == cluster)
    row = await tx.first(select(targets.c.origin).where(*same))
    origin = (row.origin if row else None) or {}
    provenance = origin.get("provenance") or [{}]
    commit = str(provenance[0].get("commit", ""))
    return Revision(str(origin.get("source", "")), int(origin.get("number", 0)), commit)


@dataclass(frozen=True, slots=True)
class _Place:
    state: str
    stage: str
    message: str = ""
    needs: tuple[str, ...] = ()


async def _keep(tx: Transaction, course: Course, move: Wait | Pause | Finish) -> None:
    """Write where the rollout stands, and state it where that changed."""
    kept, place = course.kept, _place(move)
    if (kept["state"], kept["stage"], kept["message"]) == (place.state, place.stage, place.message):
        return
    kind = "started" if not kept["state"] else _KINDS[place.state]
    needed = digest("\n".join([kept["rollout"], place.stage, *place.needs]).encode()) if place.needs else ""
    row = {**kept, "state": place.state, "stage": place.stage, "message": place.message}
    await tx.put(rollouts, [{**row, "digest": needed, "needs": list(place.needs)}])
    named = {"app": course.app, "source": kept["source"], "commit": kept["commit"]}
    data = {"id": kept["rollout"], "state": place.state, "stage": place.stage, "number": kept["number"]}
    severity = "warning" if place.state == PAUSED else "info"
    tx.say(f"rollout-{kind}", **named, message=place.message, severity=severity, data=data)
    if place.needs:
        body = {"rollout": kept["rollout"], "stage": place.stage, "needs": list(place.needs)}
        number = kept["number"]
        await holding.hold(
            tx, holding.ROLLOUT, course.app, digest=needed, message=place.message, number=number, body=body, **named
        )
    else:
        await holding.let_go(tx, holding.ROLLOUT, course.app)


_KINDS = {RUNNING: "advanced", PAUSED: "paused", FINISHED: "finished"}


def _place(move: Wait | Pause | Finish) -> _Place:
    match move:
        case Wait(stage=stage):
            return _Place(RUNNING, stage)
        case Pause(stage=stage, reason=reason, needs=needs):
            return _Place(PAUSED, stage, reason, needs)
        case Finish(silent=silent, back=back):
            told = [f"{word} {_first(names)}" for word, names in (("without", silent), ("took back", back)) if names]
            return _Place(FINISHED, "", "; ".join(told))


def _first(names: Sequence[str]) -> str:
    return ", ".join(names[:10]) + (" and more" if len(names) > 10 else "")


async def _forget(tx: Transaction, app: str) -> None:
    """End the rollout of an app that has no stages any more."""
    row = await tx.first(select(rollouts).where(rollouts.c.app == app, rollouts.c.state != FINISHED))
    if row is None:
        return
    await tx.do(rollouts.update().where(rollouts.c.app == app).values(state=FINISHED, message="", needs=[]))
    await holding.let_go(tx, holding.ROLLOUT, app)
    data = {"id": row.rollout, "state": FINISHED, "stage": ""}
    tx.say("rollout-finished", app=app, source=row.source, commit=row.commit, data=data)


async def moving(tx: Transaction) -> list[str]:
    """Return the apps whose rollouts are not finished."""
    return [row.app for row in await tx.rows(select(rollouts.c.app).where(rollouts.c.state != FINISHED))]
