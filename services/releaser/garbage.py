"""Forget content that nothing names: no roster, no release in flight, none of a target's last releases.

What is to go is written down before it is purged, so that a crash between the two leaks nothing. Content that is named
again in that moment is missed when it is to be released, and rendered again.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import case, delete, func, select, tuple_

from services.releaser import history
from services.releaser.store import Store, Transaction, portions
from services.releaser.tables import bundles, commands, garbage, join_tokens, releases, rosters, targets
from shared import subjects
from shared.bus.connection import Bus
from shared.core.times import time_text
from shared.messages.blobs import BundleRef

RELEASES_KEPT = 5
"""Of a target: the last, and beside them the last that did well."""
ROSTERS_KEPT = 2
"""The one before may be fetched right now."""
FRESH = timedelta(hours=1)
"""A render that is under way may name what nothing names yet."""
COMMANDS_KEPT = timedelta(hours=6)
AT_ONCE = 500


async def collect(store: Store) -> None:
    """Write down what nothing names any more."""
    async with store.deciding() as tx:
        await _old_releases(tx)
        await _old_rosters(tx)
        await _old_bundles(tx)
        late = time_text(tx.now - COMMANDS_KEPT)
        await tx.do(delete(commands).where(commands.c.at < late))
        await tx.do(delete(join_tokens).where(join_tokens.c.expires_at < late))


async def purge(store: Store, bus: Bus) -> set[str]:
    """Purge what was written down, and return the digests of what is gone."""
    async with store.reading() as view:
        rows = await view.rows(select(garbage).limit(AT_ONCE))
    for row in rows:
        await bus.purge(subjects.BLOBS, subjects.blob(row.audience, row.blob, 0).rpartition(".")[0] + ".*")
    if rows:
        async with store.deciding() as tx:
            place = tuple_(garbage.c.audience, garbage.c.blob)
            await tx.do(delete(garbage).where(place.in_([(row.audience, row.blob) for row in rows])))
    return {row.blob for row in rows}


async def _old_releases(tx: Transaction) -> None:
    """Forget all but the last releases of each target, and its last that did well, each content once (L1)."""
    place = (releases.c.cluster, releases.c.app, releases.c.epoch, releases.c.generation)
    order = (releases.c.epoch.desc(), releases.c.generation.desc())
    target, content = place[:2], (*place[:2], releases.c.recipe, releases.c.good)
    ranked = select(
        *place,
        releases.c.good,
        func.row_number().over(partition_by=target, order_by=order).label("rank"),
        func.row_number().over(partition_by=content, order_by=order).label("repeat"),
    ).subquery()
    first = ranked.c.good & (ranked.c.repeat == 1)
    counted = func.sum(case((first, 1), else_=0)).over(
        partition_by=(ranked.c.cluster, ranked.c.app), order_by=ranked.c.rank
    )
    judged = select(ranked, first.label("first"), counted.label("better")).subquery()
    late = select(*(judged.c[column.name] for column in place))
    kept = judged.c.first & (judged.c.better <= RELEASES_KEPT)
    await history.forget(tx, late.where(judged.c.rank > RELEASES_KEPT, ~kept))


async def _old_rosters(tx: Transaction) -> None:
    order = (rosters.c.epoch.desc(), rosters.c.generation.desc())
    rank = func.row_number().over(partition_by=rosters.c.cluster, order_by=order).label("rank")
    ranked = select(rosters.c.cluster, rosters.c.roster, rank).subquery()
    old = await tx.rows(select(ranked.c.cluster, ranked.c.roster).where(ranked.c.rank > ROSTERS_KEPT).limit(AT_ONCE))
    await _throw_away(tx, [(row.cluster, row.roster) for row in old])
    place = tuple_(rosters.c.cluster, rosters.c.roster)
    if old:
        await tx.do(delete(rosters).where(place.in_([(row.cluster, row.roster) for row in old])))


async def _old_bundles(tx: Transaction) -> None:
    named: set[str] = set()
    for row in await tx.rows(select(targets.c.runs).where(targets.c.runs.is_not(None))):
        named.update(str(run[2]) for run in row.runs or ())
    unnamed = (
        bundles.c.bundle.not_in(select(releases.c.bundle)),
        bundles.c.bundle.not_in(select(targets.c.bundle)),
        bundles.c.bundle.not_in(select(targets.c.released)),
        bundles.c.named_at < time_text(tx.now - FRESH),
    )
    old = [row for row in await tx.rows(select(bundles).where(*unnamed).limit(AT_ONCE)) if row.bundle not in named]
    for row in old:
        await _throw_away(tx, _blobs(row))
    for some in portions(row.bundle for row in old):
        await tx.do(delete(bundles).where(bundles.c.bundle.in_(some)))


def _blobs(row: Any) -> list[tuple[str, str]]:
    reference = BundleRef.model_validate(row.reference)
    shared = [(subjects.SHARED, reference.blob.digest)]
    return [*shared, (subjects.HUB, reference.keys.digest)] if reference.keys else shared


async def _throw_away(tx: Transaction, found: list[tuple[str, str]]) -> None:
    await tx.put(garbage, [{"audience": audience, "blob": blob} for audience, blob in found])
