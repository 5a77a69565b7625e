"""The commands about what runs: suspend, resume, approve, rebuild, adopt."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC
from typing import Any

from sqlalchemy import delete, select, update

from services.releaser import holding, rollbacks
from services.releaser.commands import Answer, CommandRefusedError, Parts, moment, require_known, text
from services.releaser.keys import HubKeys
from services.releaser.registering import FLEET
from services.releaser.releasing import Wish, release, sign
from services.releaser.rolling import moving, step
from services.releaser.rosters import over
from services.releaser.store import Transaction
from services.releaser.tables import apps, clusters, rollouts, suspensions, targets
from shared.core.times import time_text
from shared.messages.facts import Command
from shared.messages.releases import ReleaseState


async def place_of(tx: Transaction, command: Command) -> tuple[str, str]:
    """Return the cluster and the app that a command means, one of them empty where it means all."""
    cluster, app = text(command, "cluster"), text(command, "app")
    if not cluster and not app:
        raise CommandRefusedError("neither an app nor a cluster is named", code="command.argument")
    if cluster and await tx.first(select(clusters.c.cluster).where(clusters.c.cluster == cluster)) is None:
        raise CommandRefusedError(f"there is no cluster {cluster!r}", code="cluster.unknown")
    if app and await tx.first(select(targets.c.app).where(targets.c.app == app)) is None:
        known = await tx.first(select(apps.c.app).where(apps.c.app == app))
        if known is None:
            raise CommandRefusedError(f"there is no app {app!r}", code="app.unknown")
    return cluster, app


async def suspend(tx: Transaction, command: Command, parts: Parts) -> Answer:
    """Stop reconciling an app, a cluster or a target on purpose."""
    require_known(parts)
    cluster, app = await place_of(tx, command)
    written = text(command, "until")
    until = time_text(moment(written).astimezone(UTC)) if written else ""
    if until and until <= time_text(tx.now):
        raise CommandRefusedError(f"{written} is over already", code="command.argument")
    reason = text(command, "reason") or command.reason
    said = {"reason": reason, "by": command.actor, "until": until}
    await tx.put(suspensions, [{"cluster": cluster, "app": app, **said}])
    tx.say("suspended", cluster=cluster, app=app, message=f"{command.actor}: {reason}".rstrip(": "), data=said)
    return Answer({"targets": await _again(tx, cluster, app, parts.keys)})


async def resume(tx: Transaction, command: Command, parts: Parts) -> Answer:
    """Go on reconciling; resuming an app or a cluster resumes all its targets too."""
    require_known(parts)
    cluster, app = await place_of(tx, command)
    count = await _resume(tx, cluster, app, command.actor, parts.keys)
    return Answer({"targets": count})


async def _resume(tx: Transaction, cluster: str, app: str, actor: str, keys: HubKeys) -> int:
    await step(tx, await rollbacks.let_go(tx, cluster, app, actor), keys)
    within = [suspensions.c.cluster == cluster] if cluster else []
    within += [suspensions.c.app == app] if app else []
    await tx.do(delete(suspensions).where(*within))
    tx.say("resumed", cluster=cluster, app=app, message=f"resumed by {actor}")
    return await _again(tx, cluster, app, keys)


async def _again(tx: Transaction, cluster: str, app: str, keys: HubKeys) -> int:
    """Release targets once more, with the same content, and sign the cluster where all of it is meant."""
    if cluster and not app:
        await sign(tx, [cluster], keys)
    where = [targets.c.cluster == cluster] if cluster else []
    where += [targets.c.app == app] if app else []
    rows = await tx.rows(select(targets).where(targets.c.state == ReleaseState.PRESENT, *where))
    if app:
        await release(tx, [Wish(row, again=True) for row in rows], keys)
    return len(rows)


async def pass_time(tx: Transaction, keys: HubKeys) -> None:
    """Do what time alone brings: suspensions end, clusters that say nothing no longer block a stage."""
    await _end_suspensions(tx, keys)
    await step(tx, await moving(tx), keys)


async def _end_suspensions(tx: Transaction, keys: HubKeys) -> None:
    """Resume what was suspended until a time that has come."""
    now = time_text(tx.now)
    for row in await tx.rows(select(suspensions).where(suspensions.c.until != "", suspensions.c.until <= now)):
        if over({"until": row.until}, now):
            same = (suspensions.c.cluster == row.cluster, suspensions.c.app == row.app)
            await tx.do(delete(suspensions).where(*same))
            tx.say("resumed", cluster=row.cluster, app=row.app, message=f"its suspension ended at {row.until}")
            await _again(tx, row.cluster, row.app, keys)
    due = (targets.c.suspended_until != "", targets.c.suspended_until <= now)
    rows = await tx.rows(select(targets).where(targets.c.state == ReleaseState.PRESENT, *due))
    await release(tx, [Wish(row, again=True) for row in rows], keys)


async def approve(tx: Transaction, command: Command, parts: Parts) -> Answer:
    """Let go what waits: tombstones and orphans of the hub, a rollout's gate, deletions that an agent holds."""
    require_known(parts)
    name, approval = text(command, "hold"), text(command, "approval")
    kind, _, of = name.partition("/")
    if kind in _LET_GO and of:
        return await _approve_hold(tx, command, (kind, of), parts)
    cluster, app = text(command, "cluster"), text(command, "app")
    same = (targets.c.cluster == cluster, targets.c.app == app)
    row = await tx.first(select(targets).where(*same, targets.c.state != ""))
    if row is None or not row.hold_digest:
        raise CommandRefusedError(f"nothing of {cluster}/{app} waits for approval", code="approval.unknown")
    if row.hold_digest != approval:
        raise _changed(f"{cluster}/{app}")
    present = row.state == ReleaseState.PRESENT
    await release(tx, [Wish(row, present=present, again=True, approval=approval)], parts.keys)
    message = f"{command.actor} approved deletions"
    data = {"approval": approval, "actor": command.actor, "reason": command.reason}
    tx.say("approved", cluster=cluster, app=app, message=message, data=data)
    return Answer({"approval": approval}, message="its agent deletes now what it held")


def _changed(what: str) -> CommandRefusedError:
    return CommandRefusedError(
        f"what waits of {what} is no longer what you saw", code="approval.changed", hint="look again, then approve that"
    )


async def _approve_hold(tx: Transaction, command: Command, hold: tuple[str, str], parts: Parts) -> Answer:
    kind, of = hold
    held = {row.hold: row for row in await holding.all_of(tx, kind)}
    row = held.get(holding.hold_id(kind, of))
    if row is None:
        raise CommandRefusedError(f"nothing named {holding.hold_id(kind, of)!r} waits", code="approval.unknown")
    if row.digest != text(command, "approval"):
        raise _changed(row.hold)
    await holding.let_go(tx, kind, of, actor=command.actor, reason=command.reason)
    return Answer({"approval": row.digest}, message=await _LET_GO[kind](tx, row, parts.keys))


async def _let_tombstones_go(tx: Transaction, row: Any, keys: HubKeys) -> str:
    """Remove the held targets; where the fleet's definition is gone it is forgotten with them."""
    rows = await tx.rows(select(targets.c.app).where(targets.c.hold == row.hold))
    await tx.do(update(targets).where(targets.c.hold == row.hold).values(hold=""))
    if (row.body or {}).get("fleet_gone"):
        await tx.set_value(FLEET, None)
    await step(tx, {each.app for each in rows}, keys)
    return f"{len(rows)} targets are removed"


async def _let_rollout_go(tx: Transaction, row: Any, keys: HubKeys) -> str:
    """Count what the rollout needs as given, and move it."""
    rollout = await tx.first(select(rollouts).where(rollouts.c.app == row.app))
    if rollout is None:
        raise CommandRefusedError(f"there is no rollout of {row.app!r}", code="approval.unknown")
    given = sorted({*(rollout.approved or ()), *_needs(row.body)})
    await tx.do(update(rollouts).where(rollouts.c.app == row.app).values(approved=given))
    await step(tx, [row.app], keys)
    return f"the rollout of {row.app} goes on"


def _needs(body: Mapping[str, Any] | None) -> Collection[str]:
    return [str(each) for each in (body or {}).get("needs", ())]


_LET_GO = {
    holding.TOMBSTONES: _let_tombstones_go,
    holding.ORPHANS: _let_tombstones_go,
    holding.ROLLOUT: _let_rollout_go,
}


async def rebuild(tx: Transaction, _command: Command, _parts: Parts) -> Answer:
    """Compare everything with the bus, and say again what is not there."""
    tx.rebuild = True
    return Answer(message="everything on the bus is compared with the database")


async def adopt(tx: Transaction, command: Command, parts: Parts) -> Answer:
    """Go on with a restored database, above everything that was ever signed."""
    epoch = await parts.restored.adopt(tx, parts.keys)
    tx.adopted = True
    message = f"{command.actor} adopted the restored database: epoch {epoch}"
    tx.say("database-adopted", message=message, severity="warning", data={"epoch": epoch})
    return Answer({"epoch": epoch}, message=message)
