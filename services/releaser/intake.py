"""Take a finished render: what it wants where, whose names it may use, and what of it must wait for a person."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import bindparam, func, select, update

from services.releaser import guard, holding, registering, rollbacks
from services.releaser.fencing import NotFencedError, fenced, within
from services.releaser.keys import HubKeys
from services.releaser.rolling import Revision, step
from services.releaser.rosters import content_id
from services.releaser.store import Transaction
from services.releaser.tables import apps, bundles, clusters, sources, targets
from services.releaser.wanted import Fate, Reading, fate, newer
from services.releaser.windows import UnknownWindowError, timed_plan, with_times
from shared.core.times import time_text
from shared.errors import PermanentError
from shared.messages.blobs import BundleRef
from shared.messages.releases import ReleaseState
from shared.messages.renders import AppPart, FleetPart, Rendered, RenderListing

NAMED = 50
_COLUMNS = [targets.c[name] for name in ("cluster", "app", "source", "wanted", "listed", "hold", "state")]
"""Not the whole rows: what is released is large, and a commit changes little of it."""


class AppTakenError(PermanentError):
    """Another source has an app of this name."""

    code = "fleet.app-taken"


@dataclass(slots=True)
class Render:
    """A render, and what the hub knew before it."""

    message: Rendered
    listing: RenderListing
    fleet_source: bool
    fleet_gone: bool
    fleet: FleetPart | None
    previous: int
    """Version of the index that the last whole render knew."""
    readable: dict[str, AppPart] = field(default_factory=dict)
    """Apps of this source whose names are its own and that could be read."""
    unreadable: frozenset[str] = frozenset()
    present: frozenset[str] = frozenset()
    """All apps of the source."""

    @property
    def reading(self) -> Reading:
        """Return what of it judges absent targets."""
        return Reading(
            complete=self.message.complete,
            fleet_source=self.fleet_source,
            apps=self.present,
            unreadable_apps=self.unreadable,
            unreadable_clusters=frozenset(self.fleet.unreadable_clusters) if self.fleet else frozenset(),
            version=self.message.clusters_version,
            previous=self.previous,
        )


Keys = Mapping[str, bytes | None]


async def take(tx: Transaction, message: Rendered, listing: RenderListing, lists: Keys, keys: HubKeys) -> bool:
    """Take a render, and release what follows; False: a later one was taken already.

    Args:
        tx: the decision.
        message: the render.
        listing: its large part.
        lists: digest of a bundle that the database lacks → its compressed list of keys, None without one.
        keys: what to sign with.
    """
    await _remember(tx, listing.bundles, lists)
    kept = await tx.first(select(sources).where(sources.c.source == message.source))
    last = (kept.number, kept.version) if kept else (0, 0)
    if not newer(message.number, message.clusters_version, *last):
        return False
    known = await tx.value(registering.VERSION, 0)
    render = await _read(tx, message, listing, kept.whole_version if kept else 0)
    changed, anew = await _want(tx, render)
    whole = message.complete and not render.unreadable and not render.reading.unreadable_clusters
    version = max(message.clusters_version, last[1] if message.number == last[0] else 0)
    row = {"source": message.source, "number": message.number, "version": version}
    row["whole_version"] = max(render.previous, message.clusters_version) if whole else render.previous
    await tx.put(sources, [{**row, "commit": message.commit, "ref": message.ref}])
    await rollbacks.moved_on(tx, message.source, keys)
    await step(tx, changed, keys, anew)
    if known and not message.clusters_version:
        # The index was not on the bus, as after a loss of it: this commit was made for the clusters of git alone.
        await registering.ask_renders(tx, [message.source])
    return True


async def _remember(tx: Transaction, found: Mapping[str, BundleRef], lists: Keys) -> None:
    """Keep what is known of bundles; even a render that comes too late names blobs that somebody must forget."""
    now = time_text(tx.now)
    references = {name: reference.model_dump(mode="json") for name, reference in found.items()}
    fresh = [{"bundle": n, "reference": references[n], "key_list": k, "named_at": now} for n, k in lists.items()]
    old = [
        {"bundle": name, "reference": reference, "named_at": now}
        for name, reference in references.items()
        if name not in lists
    ]
    await tx.put(bundles, fresh)
    await tx.put(bundles, old)


async def _read(tx: Transaction, message: Rendered, listing: RenderListing, previous: int) -> Render:
    """Take over the fleet's word and the names of apps, and return the render beside what was known."""
    fleet_source, part = await registering.fleet(tx)
    ours = message.source == fleet_source
    said = listing.fleet
    if said is not None and fleet_source and not ours:
        _refuse_fleet(tx, message, fleet_source)
        said = None
    ours = ours or said is not None
    gone = ours and message.complete and part is not None and _lost(part, said)
    if said is not None and not (gone and not said.clusters):
        await registering.declare(tx, message.source, said, complete=message.complete)
    render = Render(message, listing, ours, gone, said or (part if ours else None), previous)
    await _name_apps(tx, render)
    return render


def _lost(before: FleetPart, now: FleetPart | None) -> bool:
    """Tell whether the fleet's own definition is no longer there."""
    return now is None or bool(before.clusters and not now.clusters)


def _refuse_fleet(tx: Transaction, message: Rendered, fleet_source: str) -> None:
    text = f"source {message.source!r} may not define the fleet: {fleet_source!r} does"
    hint = "remove fleet.yaml's and clusters/ part of it, or point the hub at one fleet source"
    data = {"code": "fleet.second-fleet", "hint": hint}
    tx.say("fleet-refused", source=message.source, commit=message.commit, severity="error", message=text, data=data)


async def _name_apps(tx: Transaction, render: Render) -> None:
    """Give the render's apps their names: the first source keeps a name, a second is told so."""
    source = render.message.source
    owners = {row.app: row for row in await tx.rows(select(apps))}
    mine = {app.name: app for app in render.listing.apps}
    for name in sorted(mine.keys() & {app for app, row in owners.items() if row.source != source}):
        text = f"app {name!r} is already brought by source {owners[name].source!r}"
        _refuse_app(tx, render, name, AppTakenError(text, hint="give one of the two another name"))
        del mine[name]
    fleet = await _fleet_part(tx, render)
    mine = {name: _fenced(tx, render, app, fleet) for name, app in mine.items()}
    plans = {name: _plan(app, render.fleet, fleet) for name, app in mine.items()}
    rows = [
        {"app": name, "source": source, "plan": plan}
        for name, plan in plans.items()
        if mine[name].readable and (name not in owners or owners[name].plan != plan)
    ]
    await tx.put(apps, rows)
    render.unreadable = frozenset(name for name, app in mine.items() if not app.readable)
    render.readable = {name: app for name, app in mine.items() if app.readable}
    render.present = frozenset(mine)
    if fleet and not render.fleet_source:
        await _bound(tx, render, fleet)


async def _bound(tx: Transaction, render: Render, fleet: FleetPart) -> None:
    """Leave out of another source's render the targets that the projects of its apps do not have."""
    if not any(project.clusters for project in fleet.projects.values()):
        return
    labels = {row.cluster: row.labels for row in await tx.rows(select(clusters.c.cluster, clusters.c.labels))}
    kept, refused = within(render.listing.targets, render.readable, fleet.projects, labels)
    render.listing = render.listing.model_copy(update={"targets": kept})
    for name, lost in refused.items():
        text = f"app {name!r} is for clusters that its project does not have: {', '.join(lost[:10])}"
        hint = "narrow the app's `targets`, or widen the project's `clusters` in fleet.yaml"
        _refuse_app(tx, render, name, NotFencedError(text, hint=hint))


def _fenced(tx: Transaction, render: Render, app: AppPart, fleet: FleetPart | None) -> AppPart:
    """Return the app inside the fences of its project and its windows; without one that it names it stays as it is."""
    try:
        foreign = "" if render.fleet_source else render.message.source
        return with_times(fenced(app, fleet.projects if fleet else {}, foreign), fleet.windows if fleet else {})
    except (NotFencedError, UnknownWindowError) as error:
        _refuse_app(tx, render, app.name, error)
        return app.model_copy(update={"readable": False})


def _refuse_app(tx: Transaction, render: Render, app: str, error: PermanentError) -> None:
    place = {"source": render.message.source, "app": app, "commit": render.message.commit}
    data = {"code": error.code, "hint": error.hint}
    tx.say("app-refused", **place, severity="error", message=error.message, data=data)


async def _fleet_part(tx: Transaction, render: Render) -> FleetPart | None:
    return render.fleet if render.fleet_source else (await registering.fleet(tx))[1]


def _plan(app: AppPart, own: FleetPart | None, fleet: FleetPart | None) -> dict[str, Any] | None:
    """Return how an app's revisions move: its own plan, one it names, the fleet's default; None: all at once."""
    part = own or fleet
    plan = app.own_rollout
    if plan is None and part is not None:
        plan = part.rollouts.get(app.rollout or part.default_rollout)
    timed = timed_plan(plan, app, fleet.windows if fleet else {})
    return timed.model_dump(mode="json") if timed else None


async def _want(tx: Transaction, render: Render) -> tuple[set[str], dict[str, Revision]]:
    """Write what the render wants; return the apps to step, and those that have a new revision to roll out."""
    message = render.message
    rows = await tx.rows(select(*_COLUMNS).where(targets.c.source == message.source))
    others = await _of_other_sources(tx, render)
    known = {(row.cluster, row.app): row for row in [*rows, *others]}
    wanted = _wanted(render)
    written = [row for place, row in wanted.items() if _differs(known.get(place), row)]
    new = [row for row in written if (row["cluster"], row["app"]) not in known]
    old = [row for row in written if (row["cluster"], row["app"]) in known]
    await tx.put(targets, [{**row, "runs_known": True} for row in new])
    await tx.put(targets, old)
    named = {(target.cluster, target.app) for target in render.listing.targets}
    absent = await _absent(tx, render, [row for row in rows if (row.cluster, row.app) not in named])
    changed = {row["app"] for row in written} | absent
    present = {place for place, row in known.items() if row.state == ReleaseState.PRESENT}
    revision = Revision(message.source, message.number, message.commit)
    anew = {row["app"]: revision for row in old if _moves(known[row["cluster"], row["app"]], row, present)}
    return changed, anew


async def _of_other_sources(tx: Transaction, render: Render) -> list[Any]:
    """Return targets of this source's apps that an earlier holder of the name left."""
    names = sorted(render.readable)
    found: list[Any] = []
    for start in range(0, len(names), NAMED):
        some = names[start : start + NAMED]
        other = targets.c.source != render.message.source
        found.extend(await tx.rows(select(*_COLUMNS).where(targets.c.app.in_(some), other)))
    return found


def _moves(before: Any, row: Mapping[str, Any], present: set[tuple[str, str]]) -> bool:
    return (before.cluster, before.app) in present and before.wanted != row["wanted"]


def _wanted(render: Render) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the rows that the render's good targets make; failed ones stay as they are."""
    message, ids, origins = render.message, {}, {}
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for target in render.listing.targets:
        app, bundle = render.readable.get(target.app), render.listing.bundles.get(target.bundle)
        if app is None or bundle is None:
            continue
        if (target.app, target.bundle) not in ids:
            ids[target.app, target.bundle] = content_id(bundle.digest, bundle.blob.digest, app.options)
        if target.provenance not in origins:
            origins[target.provenance] = _origin(message, target.provenance)
        found[target.cluster, target.app] = {
            "cluster": target.cluster,
            "app": target.app,
            "source": message.source,
            "wanted": ids[target.app, target.bundle],
            "bundle": bundle.digest,
            "options": dict(app.options),
            "origin": origins[target.provenance],
            "listed": True,
            "hold": "",
        }
    return found


def _origin(message: Rendered, indexes: Sequence[int]) -> dict[str, Any]:
    parts = [message.provenance[index] for index in indexes if 0 <= index < len(message.provenance)]
    return {
        "source": message.source,
        "number": message.number,
        "tools": dict(message.tools),
        "provenance": [part.model_dump(mode="json") for part in parts or message.provenance[:1]],
    }


def _differs(before: Any | None, row: Mapping[str, Any]) -> bool:
    if before is None:
        return True
    return any(getattr(before, name) != row[name] for name in ("source", "wanted", "listed", "hold"))


async def _absent(tx: Transaction, render: Render, rows: Iterable[Any]) -> set[str]:
    """Decide about targets that the render does not name; return the apps that lose some now."""
    versions, reading = await registering.versions(tx), render.reading
    removed: list[Any] = []
    orphaned: list[Any] = []
    for row in rows:
        found = fate(row.cluster, row.app, reading, versions)
        if found is Fate.KEPT:
            continue
        orphan = found is Fate.ORPHANED or row.hold.startswith(holding.ORPHANS)
        (orphaned if orphan and row.app in reading.apps else removed).append(row)
    await _unlist(tx, [row for row in [*removed, *orphaned] if row.state != ReleaseState.PRESENT], "")
    gone = [row for row in removed if row.state == ReleaseState.PRESENT]
    await _orphan(tx, render, [row for row in orphaned if row.state == ReleaseState.PRESENT])
    held = await _guarded(tx, render, gone)
    await _unlist(tx, gone, held)
    await _free_names(tx, render)
    return set() if held else {row.app for row in gone}


async def _guarded(tx: Transaction, render: Render, gone: Sequence[Any]) -> str:
    """Return the name of the hold that stops these tombstones, empty where nothing does."""
    message = render.message
    running = await tx.first(select(func.count()).where(targets.c.state == ReleaseState.PRESENT))
    places = {(row.cluster, row.app) for row in gone}
    why = guard.objection(places, running[0] if running else 0, fleet_gone=render.fleet_gone)
    if not why:
        if message.complete:
            await holding.let_go(tx, holding.TOMBSTONES, message.source)
        return ""
    body = {"targets": guard.lines_of(places), "count": len(places), "fleet_gone": render.fleet_gone}
    named = {"source": message.source, "commit": message.commit, "number": message.number}
    await holding.hold(
        tx, holding.TOMBSTONES, message.source, digest=guard.digest_of(places), message=why, body=body, **named
    )
    return holding.hold_id(holding.TOMBSTONES, message.source)


async def _orphan(tx: Transaction, render: Render, rows: Sequence[Any]) -> None:
    """Hold what clusters lost by a hub label or a claim, and dissolve what they have again."""
    message = render.message
    by_cluster: dict[str, list[Any]] = {}
    for row in rows:
        by_cluster.setdefault(row.cluster, []).append(row)
    for cluster, lost in by_cluster.items():
        places = {(row.cluster, row.app) for row in lost}
        await _unlist(tx, lost, holding.hold_id(holding.ORPHANS, cluster))
        names = ", ".join(sorted(row.app for row in lost)[:10])
        text = f"{cluster} no longer matches {names} by its hub labels or claims"
        body = {"targets": guard.lines_of(places), "count": len(places)}
        named = {"cluster": cluster, "source": message.source, "commit": message.commit, "number": message.number}
        await holding.hold(
            tx, holding.ORPHANS, cluster, digest=guard.digest_of(places), message=text, body=body, **named
        )
    still = select(targets.c.hold).where(targets.c.hold.startswith(holding.ORPHANS)).distinct()
    names_held = {row.hold for row in await tx.rows(still)}
    for row in await holding.all_of(tx, holding.ORPHANS):
        if row.hold not in names_held:
            await holding.let_go(tx, holding.ORPHANS, row.cluster)


async def _unlist(tx: Transaction, rows: Sequence[Any], hold: str) -> None:
    """Write that these targets are no longer wanted, and what stops their removal."""
    changed = [row for row in rows if row.listed or row.hold != hold]
    await tx.do(
        update(targets)
        .where(targets.c.cluster == bindparam("at_cluster"), targets.c.app == bindparam("at_app"))
        .values(listed=False, hold=hold),
        [{"at_cluster": row.cluster, "at_app": row.app} for row in changed],
    )


async def _free_names(tx: Transaction, render: Render) -> None:
    """Give up the names of apps that the source no longer has and that run nowhere by its word."""
    if not render.message.complete:
        return
    source = render.message.source
    kept = select(targets.c.app).where(targets.c.source == source, targets.c.hold != "").distinct()
    held = {row.app for row in await tx.rows(kept)}
    mine = await tx.rows(select(apps.c.app).where(apps.c.source == source))
    free = [row.app for row in mine if row.app not in render.present and row.app not in held]
    await tx.do(apps.delete().where(apps.c.app == bindparam("gone")), [{"gone": app} for app in free])
