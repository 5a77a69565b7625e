"""Keep the registry of clusters: write what was said, recompute what counts, and have renders follow it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import bindparam, select, update

from services.releaser.registry import Effective, Rules, Said, effective, membership_in_git
from services.releaser.store import Transaction, portions
from services.releaser.tables import clusters, sources
from services.releaser.wanted import Versions
from shared.core.times import time_text
from shared.messages.releases import Cluster, Membership
from shared.messages.renders import DeclaredCluster, FleetPart

VERSION, FLEET, ASKED = "clusters-version", "fleet", "clusters-asked"


async def fleet(tx: Transaction) -> tuple[str, FleetPart | None]:
    """Return the fleet source's name and what it said last; an empty name while there is none."""
    kept = await tx.value(FLEET)
    return (kept["source"], FleetPart.model_validate(kept["part"])) if kept else ("", None)


async def rules_of(tx: Transaction) -> Rules:
    """Return which claims count."""
    _, part = await fleet(tx)
    return rules(part)


def rules(part: FleetPart | None) -> Rules:
    """Return which claims count by a fleet's word."""
    return Rules(frozenset(part.claims_accept), frozenset(part.claims_approve)) if part else Rules()


async def declare(tx: Transaction, source: str, part: FleetPart, *, complete: bool) -> None:
    """Take over what the fleet source declares; what is unreadable or not read stays as it is."""
    said = {"source": source, "part": part.model_dump(mode="json"), "complete": complete}
    known = await tx.value(FLEET) or {}
    if known == {**said, "complete": True}:
        return
    await tx.set_value(FLEET, said)
    declared = {each.name: each for each in part.clusters if each.name not in part.unreadable_clusters}
    rows = {row["cluster"]: row for row in await tx.mappings(select(clusters))}
    kept = {**rows, **{name: new_row(name) for name in declared if name not in rows}}
    changed = []
    for name, row in kept.items():
        if name in declared:
            changed.append(_declared(row, declared[name]))
        elif complete and name not in part.unreadable_clusters and row["git_labels"] is not None:
            changed.append(_undeclared(row))
        else:
            changed.append(row)
    names = await recount(tx, changed, rules(part), asked=False, before=rows)
    if names or _fences(known) != _fences(said):
        others = await tx.rows(select(sources.c.source).where(sources.c.source != source))
        await ask_renders(tx, [other.source for other in others])


def _fences(said: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what of a fleet's word is signed for the apps of other sources, when they are rendered."""
    part = said.get("part") or {}
    return part.get("projects") or {}, part.get("windows") or {}


def new_row(name: str) -> dict[str, Any]:
    """Return the row of a cluster of which nothing was said."""
    empty: dict[str, Any] = {column.name: "" for column in clusters.columns}
    maps: dict[str, Any] = {
        name: {}
        for name in (
            "git_values",
            "git_capabilities",
            "hub_labels",
            "claims",
            "approved",
            "labels",
            "origins",
            "pending",
        )
    }
    flags = {"leaving": False, "told": False, "changed_version": 0, "asked_version": 0}
    return {**empty, **maps, **flags, "git_labels": None, "cluster": name}


def _declared(row: Mapping[str, Any], cluster: DeclaredCluster) -> dict[str, Any]:
    present = Membership(row["membership"]) if row["membership"] else None
    membership = membership_in_git(present, in_git=True)
    capabilities = cluster.model_dump(mode="json", include={"kube_version", "api_versions"}, exclude_defaults=True)
    said = {"git_labels": dict(cluster.labels), "git_values": dict(cluster.values), "git_capabilities": capabilities}
    return {**row, **said, "membership": membership}


def _undeclared(row: Mapping[str, Any]) -> dict[str, Any]:
    membership = membership_in_git(Membership(row["membership"]), in_git=False)
    return {**row, "git_labels": None, "git_values": {}, "git_capabilities": {}, "membership": membership}


async def recount(
    tx: Transaction,
    rows: Iterable[Mapping[str, Any]],
    counting: Rules,
    *,
    asked: bool,
    before: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[str]:
    """Recompute what counts of clusters, write the rows that changed, and return those whose labels changed.

    Args:
        tx: the decision that this is part of.
        rows: whole rows, with what was said in them.
        counting: which claims count.
        asked: the change is a person's or an agent's, not git's.
        before: the rows as they are stored; read where they are not given.
    """
    wanted = {row["cluster"]: dict(row) for row in rows}
    stored = before if before is not None else await stored_rows(tx, wanted)
    version = int(await tx.value(VERSION, 0)) + 1
    written, relabelled = [], []
    for name, row in wanted.items():
        new = _counted(row, effective(_said(row), counting))
        old = stored.get(name)
        if old is not None and new == dict(old):
            continue
        if old is None or _seen_by_renders(old) != _seen_by_renders(new):
            relabelled.append(name)
            new["changed_version"] = version
            new["asked_version"] = version if asked else new["asked_version"]
        written.append({**new, "told": False, "updated_at": time_text(tx.now)})
    await tx.put(clusters, written)
    if written:
        tx.registry = True
    if relabelled:
        await tx.set_value(VERSION, version)
        if asked:
            await ask_renders(tx, [""])
    return relabelled


async def ask_renders(tx: Transaction, names: Sequence[str]) -> None:
    """Have these sources (an empty name: all) rendered once the bus has the index of clusters as it is now."""
    asked = set((await tx.value(ASKED, {})).get("sources", ()))
    if names:
        await tx.set_value(ASKED, {"version": await tx.value(VERSION, 0), "sources": sorted(asked | {*names})})
        tx.registry = True


async def told(tx: Transaction, said: Iterable[Cluster], version: int) -> None:
    """Note that CLUSTERS says these and the index of this version, and ask for the renders that waited for it."""
    same = (clusters.c.cluster == bindparam("at_cluster"), clusters.c.updated_at == bindparam("at"))
    rows = [{"at_cluster": each.cluster, "at": time_text(each.updated_at)} for each in said]
    await tx.do(update(clusters).where(*same).values(told=True), rows)
    asked = await tx.value(ASKED)
    if not asked or asked["version"] > version:
        return
    await tx.set_value(ASKED, None)
    for name in [""] if "" in asked["sources"] else asked["sources"]:
        tx.ask_poller("render", {"source": name} if name else {}, "clusters")


async def stored_rows(tx: Transaction, names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return the stored rows of these clusters."""
    found: dict[str, dict[str, Any]] = {}
    for some in portions(names):
        for row in await tx.mappings(select(clusters).where(clusters.c.cluster.in_(some))):
            found[row["cluster"]] = row
    return found


def _said(row: Mapping[str, Any]) -> Said:
    return Said(row["git_labels"], row["hub_labels"] or {}, row["claims"] or {}, row["approved"] or {})


def _counted(row: Mapping[str, Any], counts: Effective) -> dict[str, Any]:
    return {**row, "labels": counts.labels, "origins": counts.origins, "pending": counts.pending}


def _seen_by_renders(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what a render depends on: labels, values, capabilities, and that the cluster is there."""
    absent = row["membership"] in {"", Membership.REMOVED}
    return row["labels"], row["git_values"], row["git_capabilities"] or {}, absent


async def versions(tx: Transaction) -> dict[str, Versions]:
    """Return when each cluster last changed."""
    query = select(clusters.c.cluster, clusters.c.changed_version, clusters.c.asked_version)
    return {row.cluster: Versions(row.changed_version, row.asked_version) for row in await tx.rows(query)}


def message_of(row: Any) -> Cluster:
    """Return what CLUSTERS says of a row."""
    return Cluster(
        cluster=row.cluster,
        membership=Membership(row.membership),
        labels=row.labels or {},
        origins=row.origins or {},
        values=row.git_values or {},
        **(row.git_capabilities or {}),
        pending_claims=row.pending or {},
        in_git=row.git_labels is not None,
        uid=row.uid,
        kubernetes=row.kubernetes,
        updated_at=row.updated_at,
    )


async def untold(tx: Transaction) -> tuple[Sequence[Cluster], int, Sequence[Cluster]]:
    """Return the clusters that CLUSTERS does not say yet, and the index: its version and all clusters that count."""
    rows = [message_of(row) for row in await tx.rows(select(clusters).where(clusters.c.told.is_(False)))]
    present = select(clusters).where(clusters.c.membership != Membership.REMOVED).order_by(clusters.c.cluster)
    index = [message_of(row) for row in await tx.rows(present)] if rows else []
    return rows, int(await tx.value(VERSION, 0)), index
