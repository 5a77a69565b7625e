"""Clusters join, are cut off, and leave: changes of the registry that agents and people cause."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import select

from services.releaser import registering
from services.releaser.keys import HubKeys
from services.releaser.registry import membership_in_git
from services.releaser.releasing import sign
from services.releaser.rolling import step
from services.releaser.store import Transaction
from services.releaser.tables import clusters, revocations, targets
from shared.messages.releases import Membership, ReleaseState

FOREVER = 4102444800  # 2100: the server compares it with the time at which a credential was issued


async def one(tx: Transaction, cluster: str) -> dict[str, Any] | None:
    """Return the row of a cluster."""
    return (await registering.stored_rows(tx, [cluster])).get(cluster)


async def write(tx: Transaction, row: Mapping[str, Any], *, asked: bool = True) -> None:
    """Write a cluster's row and what follows for its labels."""
    await registering.recount(tx, [row], await registering.rules_of(tx), asked=asked)


async def cut_off(tx: Transaction, row: Mapping[str, Any]) -> None:
    """Have the bus refuse the key of a cluster's agent, for good."""
    if row["public_key"]:
        await tx.put(revocations, [{"public_key": row["public_key"], "cluster": row["cluster"], "at": FOREVER}])
        tx.revoked = True


async def quarantine(tx: Transaction, row: Mapping[str, Any], why: str) -> None:
    """Cut off everybody who speaks as a cluster until a person invites it anew; what runs there goes on."""
    if row["membership"] == Membership.QUARANTINED:
        return
    await cut_off(tx, row)
    await write(tx, {**row, "membership": Membership.QUARANTINED})
    hint = f"find out which one is right, then `towline cluster add {row['cluster']}` and enrol that one anew"
    tx.say("cluster-quarantined", cluster=row["cluster"], severity="error", message=why, data={"hint": hint})


async def arrive(tx: Transaction, cluster: str, keys: HubKeys) -> None:
    """Release to a cluster that joined what waits for it, and sign it anew: it may have been away for long."""
    names = await tx.rows(select(targets.c.app).where(targets.c.cluster == cluster))
    await step(tx, [row.app for row in names], keys, cluster=cluster)
    if cluster not in tx.touched:
        await sign(tx, [cluster], keys)


async def prune(tx: Transaction, row: Mapping[str, Any], keys: HubKeys) -> None:
    """Take everything off a cluster, then let it go."""
    await write(tx, {**row, "leaving": True})
    names = await tx.rows(select(targets.c.app).where(targets.c.cluster == row["cluster"]))
    await step(tx, [each.app for each in names], keys, cluster=row["cluster"])
    await depart(tx, [row["cluster"]])


async def depart(tx: Transaction, names: Iterable[str]) -> None:
    """Let go the clusters among these that shall leave and have nothing of ours left."""
    leaving = await tx.rows(
        select(clusters.c.cluster).where(clusters.c.leaving, clusters.c.cluster.in_(sorted(set(names))))
    )
    for each in leaving:
        left = (targets.c.state == ReleaseState.PRESENT) | (
            (targets.c.state == ReleaseState.REMOVED) & targets.c.settled.is_(False)
        )
        if await tx.first(select(targets.c.app).where(targets.c.cluster == each.cluster, left)) is None:
            row = await one(tx, each.cluster)
            if row is not None:
                await let_go(tx, row)


async def let_go(tx: Transaction, row: Mapping[str, Any]) -> None:
    """Take a cluster out of the hub; its counters stay, should it come back under the same name."""
    await cut_off(tx, row)
    in_git = row["git_labels"] is not None
    empty: dict[str, Any] = {"hub_labels": {}, "claims": {}, "approved": {}, "uid": "", "public_key": "", "jwt_at": ""}
    membership = membership_in_git(Membership.REMOVED, in_git=in_git)
    await write(tx, {**row, **empty, "leaving": False, "membership": membership})
    tx.say("cluster-removed", cluster=row["cluster"], message=f"{row['cluster']} left the hub")
