"""Decide what differs between two states of a fleet; an equal change of an app is one, on however many clusters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from services.applier.fields import MISSING
from services.applier.masking import before_and_after
from services.cli.offline_render import Made
from services.renderer.listing import app_part, fleet_part
from services.renderer.targets import Plan, Target
from shared.core.canonical import encode
from shared.core.objects import Manifest, ObjectKey, key_of
from shared.fleet.model import App, Fleet

Pair = tuple[Target | None, Target | None]
Leaf = tuple[str, Any, Any]
"""Where something stands, and what stands there before and after; `MISSING` for nothing."""


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of one object; the values of Secrets are hidden."""

    app: str
    clusters: tuple[str, ...]
    key: ObjectKey
    kind: Literal["added", "changed", "removed"]
    before: Manifest | None
    after: Manifest | None


@dataclass(frozen=True, slots=True)
class Setting:
    """What changes in how an app, or the fleet, is delivered."""

    owner: str
    """An app's name; empty for the fleet."""
    path: str
    before: Any
    after: Any


def differing(before: Plan | None, after: Plan) -> list[Pair]:
    """Return the targets that may differ: their inputs do, so only these need to be rendered.

    What cannot be read stays as it is, so it is no difference.
    """
    old = {(each.app, each.cluster): each for each in before.targets} if before else {}
    new = {(each.app, each.cluster): each for each in after.targets}
    names = sorted({*old, *new})
    kept = _unreadable(after)
    return [
        (old.get(name), new.get(name))
        for name in names
        if not _equal(old.get(name), new.get(name)) and not (name not in new and (kept & {*name} or not after.complete))
    ]


def changes(pairs: Iterable[tuple[Made | None, Made | None]]) -> list[Change]:
    """Return what differs between targets before and after, equal changes of an app once."""
    found: dict[bytes, list[tuple[str, Change]]] = {}
    for before, after in pairs:
        either = after or before
        if either is None:
            continue
        for change in _of_target(either.app, _by_key(before), _by_key(after)):
            found.setdefault(_likeness(change), []).append((either.cluster, change))
    merged = [_merged(each) for each in found.values()]
    return sorted(merged, key=lambda each: (each.app, -len(each.clusters), each.clusters, each.key))


def settings(before: Fleet | None, after: Fleet) -> list[Setting]:
    """Return what changes beside objects: options of apps that are there before and after, and the fleet's own word."""
    if before is None or not (before.readable and after.readable):
        return []
    old = {app.name: app for app in before.apps}
    both = [(old[app.name], app) for app in after.apps if app.name in old]
    found = [Setting(new.name, *leaf) for was, new in both for leaf in leaves(_said(was), _said(new))]
    return [*(Setting("", *leaf) for leaf in leaves(_fleet_said(before), _fleet_said(after))), *found]


def leaves(before: Any, after: Any, path: str = "") -> Iterator[Leaf]:
    """Yield where two values differ, as deep as both have the same form; named members of lists stand for themselves."""
    if before == after and encode(before) == encode(after):
        return
    old, new = _members(before), _members(after)
    if old is None or new is None or isinstance(before, Mapping) is not isinstance(after, Mapping):
        yield path, before, after
        return
    for name in dict.fromkeys([*old, *new]):
        one, other = old.get(name, MISSING), new.get(name, MISSING)
        place = f"{path}.{name}" if path else name
        if one is MISSING or other is MISSING:
            yield place, one, other
        else:
            yield from leaves(one, other, place)


def _members(value: Any) -> Mapping[str, Any] | None:
    if isinstance(value, Mapping):
        return value
    if not isinstance(value, list) or not all(isinstance(each, Mapping) for each in value):
        return None
    names = [each.get("name") for each in value]
    return dict(zip(names, value, strict=True)) if len({*names}) == len(names) and all(names) else None


def _unreadable(plan: Plan) -> frozenset[str]:
    return frozenset({*plan.fleet.unreadable_apps, *plan.fleet.unreadable_clusters})


def _equal(before: Target | None, after: Target | None) -> bool:
    """Tell whether two targets surely come to the same: the same inputs, or the same reason for none."""
    if before is None or after is None:
        return False
    if before.inputs is None or after.inputs is None:
        reasons = [{(each.code, each.message) for each in target.findings} for target in (before, after)]
        return before.inputs is after.inputs and reasons[0] == reasons[1]
    return before.inputs.key == after.inputs.key


def _by_key(made: Made | None) -> dict[ObjectKey, Manifest]:
    return {key_of(each): each for each in made.objects} if made else {}


def _of_target(app: str, before: Mapping[ObjectKey, Manifest], after: Mapping[ObjectKey, Manifest]) -> Iterator[Change]:
    for key in sorted({*before, *after}):
        old, new = before.get(key), after.get(key)
        if old is None or new is None or encode(old) != encode(new):
            yield Change(app, (), key, "added" if old is None else "removed" if new is None else "changed", old, new)


def _likeness(change: Change) -> bytes:
    """Return what equal changes have in common: what else the objects hold may differ from cluster to cluster."""
    found: Any = change.before or change.after
    if change.kind == "changed":
        found = [[path, *map(_known, values)] for path, *values in leaves(change.before, change.after)]
    return encode([change.app, *change.key, change.kind, found])


def _known(value: Any) -> Any:
    return [] if value is MISSING else [value]


def _merged(alike: Sequence[tuple[str, Change]]) -> Change:
    first = alike[0][1]
    clusters = tuple(sorted(cluster for cluster, _ in alike))
    before, after = _masked(first.key, first.before, first.after)
    return Change(first.app, clusters, first.key, first.kind, before, after)


def _masked(key: ObjectKey, before: Manifest | None, after: Manifest | None) -> tuple[Manifest | None, Manifest | None]:
    """Return the forms of an object that may be shown (P1)."""
    if (key.group, key.kind) != ("", "Secret"):
        return before, after
    old, new = before_and_after(*((each or {}).get("data", MISSING) for each in (before, after)))
    return _with_data(before, old), _with_data(after, new)


def _with_data(secret: Manifest | None, data: Any) -> Manifest | None:
    return secret if secret is None or data is MISSING else {**secret, "data": data}


def _said(app: App) -> dict[str, Any]:
    part = app_part(app).model_dump(mode="json", exclude={"name", "readable", "options"})
    options = app.written.sync.model_dump(mode="json", by_alias=True)
    return {**part, "targets": [dict(each) for each in app.written.targets], "sync": options}


def _fleet_said(fleet: Fleet) -> dict[str, Any]:
    part = fleet_part(fleet).model_dump(mode="json", exclude={"unreadable_clusters"})
    return {**part, "clusters": {each.pop("name"): each for each in part["clusters"]}}
