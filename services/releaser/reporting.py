"""Take what agents say: how releases went, and whether they know more than this database does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, select, tuple_, update

from services.releaser import deletes, history, registering
from services.releaser.keys import HubKeys
from services.releaser.membership import depart, quarantine
from services.releaser.registry import Identity, intruder, label_problem
from services.releaser.restored import Pair
from services.releaser.rolling import moving, step
from services.releaser.store import Transaction, portions
from services.releaser.tables import clusters, desired, targets
from shared.core.status import Result, Sync
from shared.core.times import time_text
from shared.messages.releases import Membership
from shared.messages.reports import Report, Status

_SEEN = ("seen_epoch", "seen_generation", "sync", "health", "result", "seen_at", "hold_digest", "settled", "lasting")
_RUNS = ("runs", "runs_known")


async def take_reports(tx: Transaction, reports: Sequence[tuple[Report, datetime]], keys: HubKeys) -> None:
    """Take a batch of reports; the rollouts that they concern are moved once."""
    rows = await _targets(tx, {report.cluster for report, _ in reports})
    changed: dict[tuple[str, str], dict[str, Any]] = {}
    good: list[tuple[str, str, int, int]] = []
    for report, at in reports:
        if not report.app and report.result is Result.REFUSED:
            await _refused(tx, report, at)
        row = changed.get((report.cluster, report.app)) or rows.get((report.cluster, report.app))
        if row is None or (report.epoch, report.generation) > (row["epoch"], row["generation"]):
            continue
        changed[report.cluster, report.app] = _seen(row, report, at)
        if history.is_good(report):
            good.append((report.cluster, report.app, report.epoch, report.generation))
    await history.succeeded(tx, good)
    await _write(tx, list(changed.values()), (*_SEEN, *_RUNS))
    await _heard(tx, {report.cluster: at for report, at in reports})
    await depart(tx, {cluster for cluster, _ in changed})
    await step(tx, {app for _, app in changed} & set(await moving(tx)), keys)


def _seen(row: Mapping[str, Any], report: Report, at: datetime) -> dict[str, Any]:
    """Return the row after a report; an older one than was seen changes nothing but the history."""
    runs = deletes.from_rows(row["runs"], known=row["runs_known"])
    if report.settled:
        runs = runs.settled(report.epoch, report.generation)
    kept = {**row, "runs": [list(each) for each in runs.runs], "runs_known": runs.known}
    if (report.epoch, report.generation, time_text(at)) < (row["seen_epoch"], row["seen_generation"], row["seen_at"]):
        return kept
    present = (report.epoch, report.generation) == (row["epoch"], row["generation"])
    return {
        **kept,
        "seen_epoch": report.epoch,
        "seen_generation": report.generation,
        "sync": str(report.sync),
        "health": str(report.health),
        "result": str(report.result),
        "seen_at": time_text(at),
        "hold_digest": report.hold.approval if report.hold else "",
        "settled": report.settled and present,
        "lasting": report.lasting,
    }


async def _refused(tx: Transaction, report: Report, at: datetime) -> None:
    """Count a refused document as a failure of everything in it that the cluster did not take."""
    row = await tx.first(select(desired).where(desired.c.cluster == report.cluster))
    if row is None or (report.epoch, report.generation) != (row.epoch, row.generation):
        return
    behind = tuple_(targets.c.seen_epoch, targets.c.seen_generation) < tuple_(targets.c.epoch, targets.c.generation)
    now = {"result": str(Result.REFUSED), "sync": str(Sync.UNKNOWN), "seen_at": time_text(at)}
    seen = {"seen_epoch": targets.c.epoch, "seen_generation": targets.c.generation}
    await tx.do(update(targets).where(targets.c.cluster == report.cluster, behind).values(**now, **seen))


async def take_statuses(
    tx: Transaction, statuses: Sequence[tuple[Status, datetime]], keys: HubKeys
) -> list[tuple[str, Pair]]:
    """Take agents' present states; return the clusters that know a higher pair than this database."""
    latest = {status.cluster: (status, at) for status, at in statuses}
    rows = await registering.stored_rows(tx, latest)
    counters = await _counters(tx, latest)
    ahead, claiming = [], []
    for cluster, (status, _) in latest.items():
        row = rows.get(cluster)
        if row is None or row["membership"] != Membership.JOINED:
            continue
        if intruder(Identity(row["uid"], row["public_key"]), status.uid):
            why = f"agents of two Kubernetes clusters ({row['uid']}, {status.uid}) speak as {cluster}"
            await quarantine(tx, row, why)
            continue
        if (status.epoch, status.generation) > counters.get(cluster, (0, 0)):
            ahead.append((cluster, (status.epoch, status.generation)))
        if dict(status.claims) != row["claims"] and not label_problem(status.claims):
            claiming.append({**row, "claims": dict(status.claims)})
    await registering.recount(tx, claiming, await registering.rules_of(tx), asked=True)
    await _heard(tx, {cluster: at for cluster, (_, at) in latest.items()})
    await _apps(tx, latest, keys)
    return ahead


async def _apps(tx: Transaction, latest: Mapping[str, tuple[Status, datetime]], keys: HubKeys) -> None:
    """Take the health of apps: it changes without a run, and a report of it may have been lost."""
    rows = await _targets(tx, latest)
    changed, good = [], []
    for (cluster, app), row in rows.items():
        status, at = latest[cluster]
        told = status.apps.get(app)
        if told is None or (told.epoch, told.generation) != (row["epoch"], row["generation"]):
            continue
        if time_text(at) <= row["seen_at"]:
            continue
        seen = {"seen_epoch": told.epoch, "seen_generation": told.generation, "seen_at": time_text(at)}
        new = {**row, **seen, "sync": str(told.sync), "health": str(told.health)}
        # The result of a run is known from its report only; of a newer release there is none yet.
        if (row["seen_epoch"], row["seen_generation"]) != (told.epoch, told.generation):
            new |= {"result": "", "lasting": False}
        if history.is_good(told):
            good.append((cluster, app, told.epoch, told.generation))
        if any(new[name] != row[name] for name in _SEEN if name != "seen_at"):
            changed.append(new)
    await history.succeeded(tx, good)
    await _write(tx, changed, _SEEN)
    await step(tx, {row["app"] for row in changed} & set(await moving(tx)), keys)


async def _targets(tx: Transaction, names: Sequence[str] | set[str] | Mapping[str, Any]) -> dict[Any, dict[str, Any]]:
    columns = [targets.c[name] for name in ("cluster", "app", "epoch", "generation", *_SEEN, *_RUNS)]
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for some in portions(sorted(names)):
        for row in await tx.mappings(select(*columns).where(targets.c.cluster.in_(some), targets.c.state != "")):
            found[row["cluster"], row["app"]] = row
    return found


async def _counters(tx: Transaction, names: Mapping[str, Any]) -> dict[str, Pair]:
    found: dict[str, Pair] = {}
    for some in portions(sorted(names)):
        query = select(desired.c.cluster, desired.c.epoch, desired.c.generation).where(desired.c.cluster.in_(some))
        found.update({row.cluster: (row.epoch, row.generation) for row in await tx.rows(query)})
    return found


async def _write(tx: Transaction, rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    same = (targets.c.cluster == bindparam("at_cluster"), targets.c.app == bindparam("at_app"))
    values = [
        {"at_cluster": row["cluster"], "at_app": row["app"], **{f"new_{name}": row[name] for name in columns}}
        for row in rows
    ]
    new = {name: bindparam(f"new_{name}", type_=targets.c[name].type) for name in columns}
    await tx.do(update(targets).where(*same).values(new), values)


async def _heard(tx: Transaction, heard: Mapping[str, datetime]) -> None:
    rows = [{"at_cluster": cluster, "heard": time_text(at)} for cluster, at in heard.items()]
    earlier = (clusters.c.cluster == bindparam("at_cluster"), clusters.c.heard_at < bindparam("heard"))
    await tx.do(update(clusters).where(*earlier).values(heard_at=bindparam("heard")), rows)
