"""Take targets back to what they ran before, and remember what they shall not run until git wants something else.

What is set aside on a target is a content, not a commit: a later commit that leaves this app on this cluster as it was
would fail the same way, so it waits with it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, bindparam, delete, or_, select, update

from services.releaser.history import Goal, goals
from services.releaser.keys import HubKeys
from services.releaser.releasing import IN_ONE_FACT, Wish, release
from services.releaser.store import PROGRAM, Transaction, portions
from services.releaser.tables import rollbacks, targets
from shared.core.durations import seconds
from shared.core.status import Health, Result, Sync, way_back
from shared.core.times import time_text
from shared.messages.releases import ReleaseState, Rollback, RolloutPlace

TIMEOUT_S = 300.0
"""What an app has whose options name no time."""
_SAME = (targets.c.cluster == rollbacks.c.cluster) & (targets.c.app == rollbacks.c.app)


@dataclass(frozen=True, slots=True)
class Back:
    """A target on its way back."""

    row: Any
    """Of `targets`: cluster, app, epoch, generation, wanted, bundle, content."""
    goal: Goal
    commit: str = ""
    """The commit that is set aside."""

    @property
    def is_there(self) -> bool:
        """Tell whether the target runs this already: what is set aside never came to it."""
        return bool(self.row.content == self.goal.content)


@dataclass(frozen=True, slots=True)
class Why:
    """Who takes targets back, and why."""

    reason: str
    actor: str = PROGRAM
    automatic: bool = False


def is_set_aside(row: Any) -> bool:
    """Tell whether a target shall not run what git wants of it."""
    return bool(row.aside) and row.aside == row.wanted


def has_failed(row: Any, timeout_s: float, now: datetime) -> bool:
    """Tell whether the present release of a target failed for good (L2).

    Its agent said that objects did not come up in their time, that nothing of what failed mends by itself, or that it
    cannot take the release; what may still pass has the app's own time. A refused document leaves nothing known, and
    until a release is applied its objects are still what the one before made of them.
    """
    if row.sync == Sync.APPLYING:
        return False
    if row.health == Health.FAILED:
        return True
    if row.result == Result.REFUSED:
        return bool(row.sync == Sync.OUT_OF_SYNC)
    if row.result not in {Result.FAILED, Result.PARTIAL}:
        return False
    return bool(row.lasting) or row.released_at < time_text(now - timedelta(seconds=timeout_s))


def last_good(found: Iterable[Goal], content: str) -> Goal | None:
    """Return the newest of a target's releases that did well and is of another content."""
    return next((each for each in found if each.good and each.content != content), None)


async def reversible(tx: Transaction, app: str, rows: Sequence[Any], commit: str) -> dict[str, Back]:
    """Return those of the failed targets of an app that go back by themselves now, by cluster."""
    fresh = [row for row in rows if row.tried != row.wanted]
    timeouts = await _timeouts(tx, app, [row.cluster for row in fresh])
    failed = {row.cluster: row for row in fresh if has_failed(row, timeouts[row.cluster], tx.now)}
    known = await goals(tx, app, failed)
    chosen = {cluster: last_good(known[cluster], row.content) for cluster, row in failed.items()}
    return {cluster: Back(failed[cluster], goal, commit) for cluster, goal in chosen.items() if goal is not None}


async def _timeouts(tx: Transaction, app: str, names: Sequence[str]) -> dict[str, float]:
    """Return how long an app may take on each of these clusters, in seconds."""
    query = select(*targets.c["cluster", "options"]).where(targets.c.app == app)
    rows = [row for some in portions(names) for row in await tx.rows(query.where(targets.c.cluster.in_(some)))]
    return {row.cluster: _timeout_s(row.options or {}) for row in rows}


def _timeout_s(options: Mapping[str, Any]) -> float:
    try:
        return seconds(options["timeout"])
    except (KeyError, ValueError):
        return TIMEOUT_S


async def take_back(
    tx: Transaction, backs: Sequence[Back], why: Why, places: Mapping[str, RolloutPlace] | None = None
) -> list[Wish]:
    """Set aside what git wants on these targets of one app, say so, and return what to release instead.

    Args:
        tx: the decision that this is part of.
        backs: the targets.
        why: who, and why.
        places: the rollout and stage that took a cluster back.
    """
    said = {back.row.cluster: _statement(back, why) for back in backs}
    rows = [
        {"cluster": back.row.cluster, "app": back.row.app, "aside": back.row.wanted, "statement": _dumped(said, back)}
        for back in backs
    ]
    await tx.put(rollbacks, [{**row, "tried": row["aside"]} for row in rows] if why.automatic else rows)
    for start in range(0, len(backs), IN_ONE_FACT):
        _tell(tx, backs[start : start + IN_ONE_FACT], said, why)
    return [
        Wish(
            back.row,
            again=back.is_there,
            back=None if back.is_there else back.goal,
            rollback=said[back.row.cluster],
            rollout=(places or {}).get(back.row.cluster),
        )
        for back in backs
    ]


def _statement(back: Back, why: Why) -> Rollback:
    row = back.row
    came = row.content == row.wanted
    return Rollback(
        from_=f"{row.epoch}.{row.generation}" if came else "",
        to=back.goal.number,
        commit=back.commit,
        reason=why.reason,
        actor=why.actor,
        automatic=why.automatic,
    )


def _dumped(said: Mapping[str, Rollback], back: Back) -> dict[str, Any]:
    return said[back.row.cluster].model_dump(mode="json", by_alias=True)


def _tell(tx: Transaction, backs: Sequence[Back], said: Mapping[str, Rollback], why: Why) -> None:
    app, names = backs[0].row.app, [back.row.cluster for back in backs]
    listed = [
        {
            "cluster": back.row.cluster,
            "app": app,
            "aside": back.row.bundle,
            "commits": list(back.goal.commits),
            **_dumped(said, back),
        }
        for back in backs
    ]
    aside = next((back.commit for back in backs if back.commit), "")
    where = names[0] if len(names) == 1 else f"{len(names)} clusters"
    to = next((commit for back in backs for commit in back.goal.commits), backs[0].goal.number)
    text = f"{app} on {where} went back {way_back(aside, to, why.reason)}"
    cluster = names[0] if len(names) == 1 else ""
    data = {"rollbacks": listed, "actor": why.actor, "automatic": why.automatic}
    tx.say("rolled-back", app=app, cluster=cluster, commit=aside, severity="warning", message=text, data=data)


async def moved_on(tx: Transaction, source: str, keys: HubKeys) -> None:
    """Forget what was set aside where git wants something else by now.

    A target that runs already what git went back to is released once more, so that it is no longer behind.
    """
    stale = or_(
        targets.c.listed.is_(False),
        and_(rollbacks.c.aside != "", rollbacks.c.aside != targets.c.wanted),
        and_(rollbacks.c.aside == "", rollbacks.c.tried != targets.c.wanted),
    )
    rows = await tx.rows(select(rollbacks, *_TARGET).join(targets, _SAME).where(targets.c.source == source, stale))
    _tell_over(tx, [row for row in rows if row.aside], "git moved on")
    same = (rollbacks.c.cluster == bindparam("at_cluster"), rollbacks.c.app == bindparam("at_app"))
    await tx.do(delete(rollbacks).where(*same), [{"at_cluster": row.cluster, "at_app": row.app} for row in rows])
    there = [row for row in rows if row.aside and row.listed and row.content == row.wanted]
    await release(tx, [Wish(row) for row in there if row.state == ReleaseState.PRESENT], keys)


_TARGET = targets.c["wanted", "content", "listed", "state"]


async def let_go(tx: Transaction, cluster: str, app: str, actor: str) -> Collection[str]:
    """Have targets run what git says again, and return their apps; they do not go back by themselves once more."""
    within = [rollbacks.c.cluster == cluster] if cluster else []
    within += [rollbacks.c.app == app] if app else []
    rows = await tx.rows(select(rollbacks).where(rollbacks.c.aside != "", *within))
    await tx.do(update(rollbacks).where(*within).values(aside=""))
    _tell_over(tx, rows, f"{actor} resumed it")
    return {row.app for row in rows}


def _tell_over(tx: Transaction, rows: Iterable[Any], why: str) -> None:
    by_app: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        by_app[row.app].append(row.cluster)
    for app, names in by_app.items():
        for some in portions(sorted(names)):
            cluster = some[0] if len(some) == 1 else ""
            data = {"rollbacks": [{"cluster": name, "app": app} for name in some]}
            tx.say("rollback-over", app=app, cluster=cluster, message=f"{app} follows git again: {why}", data=data)
