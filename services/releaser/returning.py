"""The command `rollback`: take an app back to what it ran before, until git moves on or a person resumes it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from services.releaser import rollbacks
from services.releaser.commands import Answer, CommandRefusedError, Parts, require_known, text
from services.releaser.history import Goal, goals
from services.releaser.releasing import release
from services.releaser.rolling import step
from services.releaser.steering import place_of
from services.releaser.store import Transaction
from services.releaser.tables import rollbacks as marks
from services.releaser.tables import targets
from shared.messages.facts import Command
from shared.messages.releases import ReleaseState

_COMMIT = re.compile(r"[0-9a-f]{7,64}")
_NUMBER = re.compile(r"(?:([0-9]+)\.)?([0-9]{1,6})")
LISTED = 8


@dataclass(frozen=True, slots=True)
class Past:
    """What the targets of an app ran, and what they run now."""

    rows: Sequence[Any]
    """Of the targets that are meant, with what is set aside there."""
    known: Mapping[str, Sequence[Goal]]
    """Of all targets of the app, by cluster."""

    def of(self, row: Any) -> Sequence[Goal]:
        """Return what a target ran, the newest first, the present release included."""
        return self.known.get(row.cluster, ())


async def rollback(tx: Transaction, command: Command, parts: Parts) -> Answer:
    """Have targets run what they ran before, and set aside what git wants until it wants something else."""
    require_known(parts)
    cluster, app = await place_of(tx, command)
    if not app:
        raise CommandRefusedError("an app is taken back, or an app on one cluster: none is named", code="rollback.app")
    past = await _past(tx, cluster, app)
    chosen = _chosen(past, text(command, "to").lower(), cluster)
    reason = text(command, "reason") or command.reason
    backs = [rollbacks.Back(row, goal, _commit(row.origin)) for row, goal in chosen if goal.content != row.wanted]
    if not backs:
        raise _nothing(app, past, chosen)
    wishes = await rollbacks.take_back(tx, backs, rollbacks.Why(reason, command.actor))
    await release(tx, wishes, parts.keys)
    await step(tx, [app], parts.keys)
    left = sorted({row.cluster for row in past.rows} - {back.row.cluster for back in backs})
    where = f"{len(backs)} clusters" if len(backs) != 1 else backs[0].row.cluster
    way = f"until git moves on, or `towline resume app/{app}{f' --cluster {cluster}' if cluster else ''}`"
    message = f"{app} on {where} goes back to {_names(goal for _, goal in chosen)} {way}"
    return Answer({"targets": len(backs), "left": left}, message=message)


async def _past(tx: Transaction, cluster: str, app: str) -> Past:
    here = (targets.c.app == app, targets.c.state == ReleaseState.PRESENT, targets.c.listed)
    marked = (marks.c.cluster == targets.c.cluster) & (marks.c.app == targets.c.app)
    columns = ("cluster", "app", "epoch", "generation", "wanted", "bundle", "content", "origin")
    query = select(*targets.c[columns], marks.c.aside).outerjoin(marks, marked)
    rows = await tx.rows(query.where(*here).order_by(targets.c.cluster))
    known = await goals(tx, app, [row.cluster for row in rows])
    return Past([row for row in rows if cluster in {"", row.cluster}], known)


def _chosen(past: Past, to: str, cluster: str) -> list[tuple[Any, Goal]]:
    """Return where each target goes; one that never ran what is named is left out.

    Raises:
        CommandRefusedError: what is named means nothing here.
    """
    if not to:
        found = [(row, _before(row, past.of(row))) for row in past.rows]
    elif _COMMIT.fullmatch(to):
        found = [(row, _as_of(past.of(row), _number_of(past, to))) for row in past.rows]
    elif (number := _NUMBER.fullmatch(to)) and cluster:
        found = [(row, _numbered(past.of(row), number.group(1), int(number.group(2)))) for row in past.rows]
    elif number:
        hint = "name one cluster as APP@CLUSTER, or a commit"
        raise CommandRefusedError(f"{to!r} is a release of one cluster", code="rollback.unknown", hint=hint)
    else:
        hint = "name a commit by 7 digits or more, or a release of one cluster as EPOCH.GENERATION"
        raise CommandRefusedError(f"{to!r} is no commit and no release", code="rollback.unknown", hint=hint)
    return [(row, goal) for row, goal in found if goal is not None]


def _before(row: Any, found: Sequence[Goal]) -> Goal | None:
    """Return the last that did well before what runs now; what git's content did not reach yet stays as it is."""
    if row.content != row.wanted and not rollbacks.is_set_aside(row):
        return next((each for each in found if each.content == row.content), None)
    return next((each for each in found if each.good and each.content not in {row.content, row.wanted}), None)


def _number_of(past: Past, commit: str) -> int:
    """Return the number of the tip whose commit is named, 0 where no target of the app ran it."""
    each = (goal for found in past.known.values() for goal in found)
    return max((_number(goal) for goal in each if any(one.startswith(commit) for one in goal.commits)), default=0)


def _as_of(found: Sequence[Goal], number: int) -> Goal | None:
    """Return what a target ran when git was there: a commit that left it as it was made no release."""
    return max((goal for goal in found if 0 < _number(goal) <= number), key=_number, default=None)


def _number(goal: Goal) -> int:
    return int(goal.origin.get("number", 0))


def _numbered(found: Sequence[Goal], epoch: str | None, generation: int) -> Goal | None:
    fits = (each for each in found if each.generation == generation and epoch in {None, str(each.epoch)})
    return next(fits, None)


def _nothing(app: str, past: Past, chosen: Sequence[tuple[Any, Goal]]) -> CommandRefusedError:
    if chosen:
        text_ = f"{app} is to run {_names(goal for _, goal in chosen)} by git's word already"
        return CommandRefusedError(text_, code="rollback.current", hint=f"towline resume app/{app} lets it follow git")
    known = dict.fromkeys(_name(goal) for row in past.rows for goal in past.of(row))
    hint = f"it ran {', '.join(list(known)[:LISTED])}" if known else "nothing that it ran before is kept"
    return CommandRefusedError(f"{app} has nothing like that to go back to", code="rollback.unknown", hint=hint)


def _names(found: Any) -> str:
    names = list(dict.fromkeys(_name(goal) for goal in found))
    return ", ".join(names[:LISTED]) + (" and more" if len(names) > LISTED else "")


def _name(goal: Goal) -> str:
    return goal.commits[0][:12] if goal.commits else goal.number


def _commit(origin: Mapping[str, Any] | None) -> str:
    parts = (origin or {}).get("provenance") or [{}]
    return str(parts[0].get("commit", ""))
