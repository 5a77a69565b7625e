"""The commands about clusters that are known: their labels and claims, cutting them off, letting them go."""

from __future__ import annotations

from typing import Any

from services.releaser import membership
from services.releaser.commands import Answer, CommandRefusedError, Parts, require_known, text, texts
from services.releaser.registry import approved_claims, label_problem
from services.releaser.store import Transaction
from shared.messages.facts import Command
from shared.messages.releases import Membership


async def _known(tx: Transaction, command: Command) -> dict[str, Any]:
    name = text(command, "cluster")
    row = await membership.one(tx, name)
    if row is None or row["membership"] == Membership.REMOVED:
        raise CommandRefusedError(f"there is no cluster {name!r}", code="cluster.unknown")
    return row


async def labels(tx: Transaction, command: Command, _parts: Parts) -> Answer:
    """Set labels that the hub gives a cluster, or take them away; what it loses by that waits for approval."""
    row = await _known(tx, command)
    removed = command.arguments.get("remove") or []
    new = {name: value for name, value in (row["hub_labels"] or {}).items() if name not in removed}
    new |= texts(command, "set")
    if problem := label_problem(new):
        raise CommandRefusedError(problem, code="cluster.labels")
    await membership.write(tx, {**row, "hub_labels": new})
    after = await membership.one(tx, row["cluster"]) or row
    tx.say("cluster-changed", cluster=row["cluster"], message=f"{command.actor} changed its labels", data={"hub": new})
    return Answer({"labels": after["labels"]})


async def approve(tx: Transaction, command: Command, _parts: Parts) -> Answer:
    """Accept labels that a cluster claims, as a person saw them."""
    row = await _known(tx, command)
    pending, approved = row["pending"] or {}, row["approved"] or {}
    known = [f"{name}={value}" for name, value in approved.items()]
    good, stale = approved_claims(texts(command, "claims"), pending, known)
    if stale:
        raise CommandRefusedError(
            f"{row['cluster']} no longer claims {', '.join(stale)} as you saw it",
            code="cluster.claims-changed",
            hint="look at the cluster again",
        )
    if not good:
        raise CommandRefusedError("no claim is named", code="command.argument")
    await membership.write(tx, {**row, "approved": {**approved, **good}})
    said = ", ".join(f"{name}={value}" for name, value in sorted(good.items()))
    tx.say("claims-approved", cluster=row["cluster"], message=f"{command.actor} approved {said}", data={"claims": good})
    return Answer({"claims": good})


async def revoke(tx: Transaction, command: Command, _parts: Parts) -> Answer:
    """Cut a cluster's agent off; what runs there goes on running."""
    row = await _known(tx, command)
    await membership.cut_off(tx, row)
    await membership.write(tx, {**row, "membership": Membership.REVOKED, "public_key": ""})
    message = f"{command.actor} cut off {row['cluster']}"
    tx.say(
        "cluster-revoked", cluster=row["cluster"], message=message, severity="warning", data={"reason": command.reason}
    )
    return Answer(message=f"{row['cluster']} is cut off; what runs there goes on running")


async def remove(tx: Transaction, command: Command, parts: Parts) -> Answer:
    """Take a cluster out of the hub, with or without what runs there."""
    row = await _known(tx, command)
    if not command.arguments.get("prune"):
        await membership.let_go(tx, row)
        return Answer(message=f"{row['cluster']} left the hub; everything there stays as it is")
    if row["membership"] != Membership.JOINED:
        raise CommandRefusedError(
            f"{row['cluster']} is {row['membership']}: nobody there could delete anything",
            code="cluster.not-joined",
            hint="use --keep",
        )
    require_known(parts)
    await membership.prune(tx, row, parts.keys)
    return Answer(message=f"{row['cluster']} leaves the hub once its agent has deleted what Towline made there")
