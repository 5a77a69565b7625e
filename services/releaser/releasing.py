"""Release: raise counters, write what each target may run and delete, and sign the clusters that changed.

All within the caller's one transaction, by a bounded number of statements however many targets it is about. A database
that was restored releases and signs nothing: nobody would publish it, so the ledger must not tell of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import bindparam, or_, select, update

from services.releaser import deletes, history, rosters
from services.releaser.keys import HubKeys
from services.releaser.sign import desired_envelope
from services.releaser.store import Transaction, portions
from services.releaser.tables import bundles, clusters, desired, suspensions, targets
from services.releaser.tables import rosters as roster_table
from services.releaser.windows import without
from shared.core.canonical import digest
from shared.core.seal import decompressed
from shared.core.times import time_text
from shared.messages.blobs import BundleRef
from shared.messages.releases import Membership, Release, ReleaseState, Rollback, RolloutPlace

EPOCH = "epoch"
RESTORED = "restored"
"""What somebody knows and this database does not; nothing while it knows all."""
IN_ONE_FACT = 200
KEYS_LIMIT_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class Wish:
    """A target to release: present with what the last render made, or removed."""

    row: Any
    """The target's row; its cluster and app suffice."""
    present: bool = True
    rollout: RolloutPlace | None = None
    approval: str = ""
    again: bool = False
    """Release what is released already once more (suspended, resumed, approved), not what was rendered since."""
    back: history.Goal | None = None
    """Release this again, not what was rendered."""
    rollback: Rollback | None = None
    """Why it stays behind what was rendered."""
    unbound: bool = False
    """A person let it go although its windows are closed."""

    @property
    def place(self) -> tuple[str, str]:
        """Return cluster and app."""
        return self.row.cluster, self.row.app


@dataclass(slots=True)
class Material:
    """What the database knows about the bundles at hand."""

    references: dict[str, BundleRef] = field(default_factory=dict)
    keys: dict[str, Collection[str] | None] = field(default_factory=dict)
    expected: dict[tuple[deletes.History, str], deletes.Expected] = field(default_factory=dict)

    def deletable(self, history: deletes.History, bundle: str) -> deletes.Expected:
        """Return what a release may delete; equal cases are worked out once."""
        alike = deletes.History(tuple(deletes.Run(0, 0, each) for each in sorted(history.bundles)), history.known)
        if (alike, bundle) not in self.expected:
            self.expected[alike, bundle] = deletes.expected(alike, bundle, self.keys)
        return self.expected[alike, bundle]


Suspensions = Mapping[tuple[str, str], Mapping[str, str]]


async def epoch_of(tx: Transaction) -> int:
    """Return the hub's epoch: it rises only when the database was restored."""
    return int(await tx.value(EPOCH, 1))


async def outdated(tx: Transaction) -> bool:
    """Tell whether this database was restored and nobody adopted it yet."""
    return await tx.value(RESTORED) is not None


async def suspended(tx: Transaction) -> dict[tuple[str, str], dict[str, str]]:
    """Return what people suspended: (cluster, app) → reason, by, until."""
    return {
        (row.cluster, row.app): {"reason": row.reason, "by": row.by, "until": row.until}
        for row in await tx.rows(select(suspensions))
    }


async def release(tx: Transaction, wishes: Sequence[Wish], keys: HubKeys) -> None:
    """Release targets, and sign the desired state of their clusters."""
    if not wishes or await outdated(tx):
        return
    wishes = await _whole(tx, wishes)
    epoch, asked, now = await epoch_of(tx), await suspended(tx), time_text(tx.now)
    material = await _material(tx, wishes)
    made: list[tuple[Wish, Release]] = []
    rows: list[dict[str, Any]] = []
    for wish in wishes:
        found = _release(wish, epoch, material, asked, now)
        made.append((wish, found))
        rows.append(_row(wish, found, now))
    await tx.do(
        update(targets)
        .where(targets.c.cluster == bindparam("at_cluster"), targets.c.app == bindparam("at_app"))
        .values({name: bindparam(name) for name in rows[0] if name not in {"at_cluster", "at_app"}}),
        rows,
    )
    await history.record(tx, [_made(wish, found, row) for (wish, found), row in zip(made, rows, strict=True)])
    _state(tx, made)
    tx.released.update(str(found.state) for _, found in made)
    await sign(tx, {wish.row.cluster for wish in wishes}, keys)


async def _whole(tx: Transaction, wishes: Sequence[Wish]) -> list[Wish]:
    """Return the wishes with whole rows: whoever decides reads only what decides."""
    wanted = {wish.place: wish for wish in wishes}
    names = sorted({app for _, app in wanted})
    found: list[Wish] = []
    for some in portions(sorted({cluster for cluster, _ in wanted})):
        for of_apps in portions(names):
            query = select(targets).where(targets.c.cluster.in_(some), targets.c.app.in_(of_apps))
            rows = [row for row in await tx.rows(query) if (row.cluster, row.app) in wanted]
            found.extend(replace(wanted[row.cluster, row.app], row=row) for row in rows)
    return found


async def _material(tx: Transaction, wishes: Iterable[Wish]) -> Material:
    named: set[str] = set()
    for wish in wishes:
        named.update(each[2] for each in wish.row.runs or () if each[2])
        named.update({wish.row.bundle, wish.row.released, wish.back.bundle if wish.back else ""} - {""})
    material = Material()
    for some in portions(sorted(named)):
        for row in await tx.rows(select(bundles).where(bundles.c.bundle.in_(some))):
            material.references[row.bundle] = BundleRef.model_validate(row.reference)
            material.keys[row.bundle] = None if row.key_list is None else keys_of(row.key_list)
    return material


def keys_of(compressed: bytes) -> tuple[str, ...]:
    """Return the keys of a compressed list, one a line."""
    text = b"".join(decompressed(compressed, KEYS_LIMIT_BYTES)).decode()
    return tuple(line for line in text.split("\n") if line)


def _release(wish: Wish, epoch: int, material: Material, asked: Suspensions, now: str) -> Release:
    row = wish.row
    content, origin = _content(wish, material), rosters.Origin.of(_origin(wish))
    options = (row.release or {}).get("options") or row.options or {}
    runs = deletes.from_rows(row.runs, known=row.runs_known)
    return rosters.release_of(
        row.app,
        (epoch, row.generation + 1),
        content,
        material.deletable(runs, content.bundle.digest if content else ""),
        origin=origin,
        last=_last(row, material),
        previous=row.released,
        options=options,
        rollout=wish.rollout,
        suspend=rosters.suspension(row.cluster, row.app, asked, content.options if content else options, now),
        approval=wish.approval,
        rollback=_rollback(wish),
    )


def _rollback(wish: Wish) -> Rollback | None:
    """Return why the target stays behind; what is released once more stays as far behind as it was."""
    if wish.rollback is None and wish.again and wish.row.release:
        kept = wish.row.release.get("rollback")
        return Rollback.model_validate(kept) if kept else None
    return wish.rollback


def _origin(wish: Wish) -> Mapping[str, Any]:
    """Return where the content of a wish came from."""
    if wish.back is not None:
        return wish.back.origin
    latest: Mapping[str, Any] = wish.row.origin or {}
    if wish.again and wish.row.release:
        return {**latest, "provenance": wish.row.release.get("provenance", ())}
    return latest


def _last(row: Any, material: Material) -> BundleRef | None:
    """Return the bundle that a tombstone takes off: a second tombstone, which approves something, names the same."""
    before = row.release or {}
    found = before.get("bundle") or before.get("last")
    reference = BundleRef.model_validate(found) if found else None
    return material.references.get(reference.digest, reference) if reference else None


def _content(wish: Wish, material: Material) -> rosters.Content | None:
    row = wish.row
    if not wish.present:
        return None
    if wish.back is not None:
        return rosters.Content(material.references[wish.back.bundle], without(wish.back.options))
    if wish.again:
        kept = BundleRef.model_validate(row.release["bundle"])
        return rosters.Content(material.references.get(row.released, kept), row.release["options"])
    options = row.options or {}
    return rosters.Content(material.references[row.bundle], without(options) if wish.unbound else options)


def _row(wish: Wish, found: Release, now: str) -> dict[str, Any]:
    row = wish.row
    bundle = found.bundle.digest if found.bundle else ""
    runs = deletes.from_rows(row.runs, known=row.runs_known)
    run = deletes.Run(found.epoch, found.generation, bundle)
    content = _content_name(wish)
    return {
        "at_cluster": row.cluster,
        "at_app": row.app,
        "epoch": found.epoch,
        "generation": found.generation,
        "state": str(found.state),
        "content": content,
        "released": bundle,
        "rollout": found.rollout.id if found.rollout else (row.rollout if wish.again else ""),
        "suspended_until": rosters.ends([found.suspend]),
        "released_at": now,
        "release": found.model_dump(mode="json", by_alias=True),
        "runs": [list(each) for each in runs.released(run).runs],
        "recipe": history.recipe_name(row.app, content, _origin(wish)) if content else "",
        "settled": False,
        "hold_digest": "",
    }


def _content_name(wish: Wish) -> str:
    if not wish.present:
        return ""
    if wish.back is not None:
        return wish.back.content
    return str(wish.row.content if wish.again else wish.row.wanted)


def _made(wish: Wish, found: Release, row: Mapping[str, Any]) -> history.Made:
    return history.Made(row["at_cluster"], found, row["recipe"], row["content"], _origin(wish))


def _state(tx: Transaction, made: Iterable[tuple[Wish, Release]]) -> None:
    """State what was released: one fact for the targets of a source, a number and a kind."""
    groups: dict[tuple[str, str, int], list[dict[str, Any]]] = defaultdict(list)
    for wish, found in made:
        source, number = str(wish.row.source), int(_origin(wish).get("number", 0))
        kind = "released" if found.state is ReleaseState.PRESENT else "removed"
        groups[kind, source, number].append(_stated(wish, found, source, number))
    for (kind, source, number), listed in groups.items():
        for start in range(0, len(listed), IN_ONE_FACT):
            some = listed[start : start + IN_ONE_FACT]
            commit = next((part["commit"] for each in some for part in each["provenance"]), "")
            tx.say(kind, source=source, commit=commit, data={"number": number, "releases": some})


def _stated(wish: Wish, found: Release, source: str, number: int) -> dict[str, Any]:
    return {
        "cluster": wish.row.cluster,
        "app": found.app,
        "epoch": found.epoch,
        "generation": found.generation,
        "bundle": found.bundle.digest if found.bundle else "",
        "state": str(found.state),
        "source": source,
        "number": number,
        "rollout": found.rollout.id if found.rollout else "",
        "stage": found.rollout.stage if found.rollout else "",
        "provenance": [each.model_dump(mode="json", include={"source", "ref", "commit"}) for each in found.provenance],
        "rollback": found.rollback.model_dump(mode="json", by_alias=True) if found.rollback else None,
    }


async def sign(tx: Transaction, names: Collection[str], keys: HubKeys) -> None:
    """Make the roster and the signed document of clusters that joined, with the next generation of each."""
    if await outdated(tx):
        return
    epoch, asked = await epoch_of(tx), await suspended(tx)
    written: list[dict[str, Any]] = []
    for some in portions(sorted(names)):
        rows = await _roster_rows(tx, some)
        before = {row.cluster: row.generation for row in await tx.rows(_counters(some))}
        for name in await _signable(tx, some):
            counters = (epoch, before.get(name, 0) + 1)
            written.append(_signed(tx, name, counters, rows[name], asked=asked, keys=keys))
    await tx.put(desired, written)
    named = [{name: each[name] for name in ("cluster", "roster", "epoch", "generation")} for each in written]
    await tx.put(roster_table, named)
    tx.touched.update(each["cluster"] for each in written)


def _counters(names: Sequence[str]) -> Any:
    return select(desired.c.cluster, desired.c.generation).where(desired.c.cluster.in_(names))


async def _signable(tx: Transaction, names: Sequence[str]) -> list[str]:
    joined = clusters.c.membership == Membership.JOINED
    found = await tx.rows(select(clusters.c.cluster).where(clusters.c.cluster.in_(names), joined))
    return [row.cluster for row in found]


async def _roster_rows(tx: Transaction, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return cluster → app → release, without tombstones that were carried out."""
    gone = (targets.c.state == ReleaseState.REMOVED) & targets.c.settled
    query = select(targets.c.cluster, targets.c.app, targets.c.release).where(
        targets.c.cluster.in_(names), targets.c.state != "", or_(~gone, targets.c.state == ReleaseState.PRESENT)
    )
    found: dict[str, dict[str, Any]] = defaultdict(dict)
    for row in await tx.rows(query):
        found[row.cluster][row.app] = row.release
    return found


def _signed(
    tx: Transaction,
    name: str,
    counters: tuple[int, int],
    found: Mapping[str, Any],
    *,
    asked: Suspensions,
    keys: HubKeys,
) -> dict[str, Any]:
    roster = rosters.roster_bytes(name, found)
    document = rosters.desired_of(
        keys.hub, name, counters, roster, created=tx.now, key=keys.key_id, previous=counters[1] - 1
    )
    whole = asked.get((name, ""))
    if whole and not rosters.over(whole, time_text(tx.now)):
        document = document.model_copy(update={"suspend": dict(whole)})
    return {
        "cluster": name,
        "epoch": counters[0],
        "generation": counters[1],
        "roster": digest(roster),
        "roster_bytes": roster,
        "envelope": desired_envelope(document, keys),
    }
