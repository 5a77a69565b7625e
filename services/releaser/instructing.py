"""The commands that ask agents for something: look or try again, make an object anew, tell how objects stand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import or_, select

from services.releaser.commands import Answer, CommandRefusedError, Parts, text
from services.releaser.sign import instruction_envelope
from services.releaser.steering import place_of
from services.releaser.store import Transaction
from services.releaser.tables import clusters, targets
from shared.core.status import Health, Result, Sync
from shared.messages.facts import Command
from shared.messages.releases import Instruction, Membership, ReleaseState

LASTS = timedelta(minutes=5)
QUESTIONS = ("objects", "diff")
"""What agents tell of their apps."""
_FAILED = or_(
    targets.c.result.in_([Result.FAILED, Result.PARTIAL, Result.REFUSED]),
    targets.c.health == Health.FAILED,
    targets.c.sync == Sync.OUT_OF_SYNC,
)


async def sync(tx: Transaction, command: Command, parts: Parts) -> Answer:
    """Have agents look again and check everything: one cluster's, or all that run an app."""
    cluster, app = await place_of(tx, command)
    names = await _joined(tx, [cluster]) if cluster else await _running(tx, app)
    if not names:
        raise CommandRefusedError(f"no agent of {cluster or app!r} can be asked", code="cluster.not-joined")
    return _asked(tx, command, parts, names, arguments={"app": app}, message=f"{_those(names)} look again")


async def retry(tx: Transaction, command: Command, parts: Parts) -> Answer:
    """Have an app tried again at once where it failed; agents do so by themselves, with growing pauses."""
    cluster, app = await place_of(tx, command)
    if not app:
        raise CommandRefusedError("an app is tried again: none is named", code="command.argument")
    names = [each for each in await _running(tx, app, _FAILED) if cluster in {"", each}]
    if not names:
        return Answer({"clusters": 0}, message=f"{app} failed nowhere: there is nothing to try again")
    return _asked(tx, command, parts, names, arguments={"app": app}, message=f"{_those(names)} try {app} again")


async def recreate(tx: Transaction, command: Command, parts: Parts) -> Answer:
    """Have one object of an app on one cluster deleted and made anew."""
    cluster, app = await place_of(tx, command)
    key = text(command, "key")
    if not (cluster and app and key):
        raise CommandRefusedError("one object of an app on one cluster is made anew", code="command.argument")
    names = [each for each in await _running(tx, app) if each == cluster]
    if not names:
        raise CommandRefusedError(f"{app} does not run on {cluster}, or nobody is there", code="cluster.not-joined")
    return _asked(
        tx,
        command,
        parts,
        names,
        arguments={"app": app, "key": key},
        message=f"{cluster} was asked to make {key} anew",
        verb="recreate",
    )


async def ask(tx: Transaction, command: Command, parts: Parts) -> Answer:
    """Have a cluster's agent tell of an app's objects; it answers whoever asked, by the command's id."""
    cluster, app = await place_of(tx, command)
    about = text(command, "about")
    if about not in QUESTIONS or not app:
        hint = f"name an app, and ask for one of {QUESTIONS}"
        raise CommandRefusedError("agents tell nothing of that", code="command.argument", hint=hint)
    names = await _joined(tx, [cluster])
    if not names:
        raise CommandRefusedError(f"no agent of {cluster!r} can be asked", code="cluster.not-joined")
    arguments = {"app": app, **{name: text(command, name) for name in ("after", "key")}}
    return _asked(tx, command, parts, names, arguments=arguments, message=f"{cluster} was asked", verb=about)


async def _joined(tx: Transaction, names: Sequence[str]) -> list[str]:
    joined = (clusters.c.cluster.in_(names), clusters.c.membership == Membership.JOINED)
    return [row.cluster for row in await tx.rows(select(clusters.c.cluster).where(*joined))]


async def _running(tx: Transaction, app: str, *which: Any) -> list[str]:
    """Return the clusters with an agent that an app is released to."""
    joined = (clusters.c.cluster == targets.c.cluster) & (clusters.c.membership == Membership.JOINED)
    query = select(targets.c.cluster).join(clusters, joined).order_by(targets.c.cluster)
    present = (targets.c.app == app, targets.c.state == ReleaseState.PRESENT)
    return [row.cluster for row in await tx.rows(query.where(*present, *which))]


def _asked(
    tx: Transaction,
    command: Command,
    parts: Parts,
    names: Sequence[str],
    *,
    arguments: Mapping[str, str],
    message: str,
    verb: str = "sync",
) -> Answer:
    """Sign what each agent is to do; the same command asked again is the same instruction, which an agent obeys once."""
    for name in names:
        told = Instruction(
            id=command.id,
            hub=parts.keys.hub,
            cluster=name,
            verb=verb,
            arguments=dict(arguments),
            expires=tx.now + LASTS,
        )
        tx.instructions.append((name, instruction_envelope(told, parts.keys)))
    return Answer({"clusters": len(names)}, message=message)


def _those(names: Sequence[str]) -> str:
    return f"{names[0]} was asked to" if len(names) == 1 else f"{len(names)} clusters were asked to"
