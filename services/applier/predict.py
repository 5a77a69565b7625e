"""Say what an apply would make of a live object: what it changes, and what it takes away because we no longer want it.

The API server knows best, and a dry run of the apply asks it; `after_dry_run` then leaves out what webhooks put in.
Where nobody asks, the same follows from who owns what.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from services.applier.fields import MISSING, Fields, Path, below, covers, entries, fields_of, members, reaches, union
from services.applier.lists import form_of, is_builtin, item_key_of
from services.applier.redact import LAST_APPLIED
from services.applier.sameness import comparable, same
from services.applier.tracking import MANAGER
from shared.core.canonical import NotJSONError, decode, encode
from shared.core.objects import Manifest

Tree = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Prediction:
    """A live object and what becomes of it, both without what only servers write."""

    live: Tree
    after: Tree

    @property
    def modified(self) -> bool:
        """Tell whether the apply would change anything."""
        return self.live != self.after


@dataclass(frozen=True, slots=True)
class Place:
    """Where a walk through values of one object stands."""

    path: Path
    known: Fields | None
    """What anybody owns here, which tells how lists are merged."""
    builtin: bool

    def at(self, step: str) -> Place:
        """Return the place one step further."""
        return Place((*self.path, step), below(self.known, step), self.builtin)

    def steps(self, value: Any, *others: Any) -> dict[str, Any] | None:
        """Return the members of `value` by the step that leads to them, None where it counts as a whole."""
        if isinstance(value, Mapping):
            return {f"f:{name}": member for name, member in value.items()}
        if isinstance(value, list):
            lists = [value, *(each for each in others if isinstance(each, list))]
            form = form_of(self.path, lists, self.known, builtin=self.builtin)
            return None if form.is_whole else {form.step(item, 0): item for item in value}
        return None


def place_of(manifest: Manifest, live: Manifest) -> Place:
    """Return the root of an object whose live form has managedFields."""
    return Place((), known_in(live), is_builtin(str(manifest.get("apiVersion") or "")))


def known_in(live: Manifest) -> Fields:
    """Return everything that anybody owns of the main resource."""
    return union(*(entry.fields for entry in entries(live) if not entry.subresource))


def after_apply(wanted: Manifest, live: Manifest, manager: str = MANAGER) -> Prediction:
    """Return what a server-side apply of `wanted` by `manager` makes of `live`, with force."""
    mine = [each.fields for each in entries(live) if _is_apply(each, manager) and not each.subresource]
    others = [each.fields for each in entries(live) if not _is_apply(each, manager)]
    return _predicted(wanted, live, union(*mine), union(*others))


def after_merge(wanted: Manifest, live: Manifest) -> Prediction:
    """Return what `kubectl apply` on the client's side makes of `live`: what it applied last it takes away."""
    last = last_applied(live)
    before = fields_of(applied_paths(comparable(last), place_of(last, live))) if last else {}
    return _predicted(wanted, live, before, {})


def after_dry_run(answer: Manifest, live: Manifest, manager: str = MANAGER) -> Prediction:
    """Return what the dry run of an apply says, without what webhooks put into fields that we do not own.

    Webhooks write at every apply; only a field of ours can tell that something is not as we want it.
    """
    asked = union(*(each.fields for each in entries(answer) if each.manager == manager))
    had = union(*(each.fields for each in entries(live) if each.manager == manager))
    compared = _plain(live)
    after = _without_webhooks(_plain(answer), compared, place_of(answer, live), (asked, had))
    return Prediction(compared, after if after is not MISSING else {})


def as_answered(answer: Manifest, live: Manifest) -> Prediction:
    """Return what the dry run of an apply says, webhooks' output included."""
    return Prediction(_plain(live), _plain(answer))


def dropped(wanted: Manifest, live: Manifest, before: Fields, others: Fields) -> frozenset[Path]:
    """Return the topmost live fields that were applied `before`, are no longer wanted, and that nobody else owns."""
    kept = fields_of(applied_paths(comparable(wanted), place_of(wanted, live)))
    gone = {path for path in members(before) if not reaches(kept, path) and not reaches(others, path)}
    there = {path for path in gone if path not in _IDENTITY and found_at(live, path) is not MISSING}
    return frozenset(path for path in there if not any(path[:length] in there for length in range(1, len(path))))


def applied_paths(value: Any, place: Place) -> Iterator[Path]:
    """Yield the fields that an apply of `value` owns: leaves, list items, and what is empty."""
    steps = place.steps(value)
    if not steps:
        yield place.path
        return
    for step, member in steps.items():
        if step[0] != "f":
            yield (*place.path, step)
        if step[0] != "v":
            yield from applied_paths(member, place.at(step))


def without(value: Any, place: Place, gone: AbstractSet[Path]) -> Any:
    """Return `value` without what is at these paths; what holds nothing any more goes with them."""
    found = _pruned(value, place, gone) if gone else value
    return {} if found is MISSING else found


def found_at(value: Any, path: Path) -> Any:
    """Return what is at `path`, or MISSING."""
    for step in path:
        value = _member(value, step)
    return value


def last_applied(live: Manifest) -> Manifest | None:
    """Return what kubectl remembers of its last apply, None when there is nothing that can be read."""
    text = ((live.get("metadata") or {}).get("annotations") or {}).get(LAST_APPLIED)
    try:
        found = decode(text.encode()) if isinstance(text, str) else None
    except NotJSONError:
        return None
    return found if isinstance(found, Mapping) else None


_IDENTITY = frozenset({("f:apiVersion",), ("f:kind",), ("f:metadata", "f:name"), ("f:metadata", "f:namespace")})


def _is_apply(entry: Any, manager: str) -> bool:
    return bool(entry.manager == manager and entry.operation == "Apply")


def _plain(manifest: Manifest) -> Tree:
    """Return what is compared of an object that came from a server: not what kubectl wrote down about it either."""
    found = comparable(manifest)
    notes = {
        name: value for name, value in (found["metadata"].get("annotations") or {}).items() if name != LAST_APPLIED
    }
    rest = {name: value for name, value in found["metadata"].items() if name != "annotations"}
    return {**found, "metadata": {**rest, **({"annotations": notes} if notes else {})}}


def _predicted(wanted: Manifest, live: Manifest, before: Fields, others: Fields) -> Prediction:
    compared, place = _plain(live), place_of(wanted, live)
    gone = dropped(wanted, {**compared}, before, others)
    merged = _merged(comparable(wanted), compared, place)
    return Prediction(compared, without(merged, place, gone))


def _merged(wanted: Any, live: Any, place: Place) -> Any:
    """Return `live` with `wanted` put over it; what means the same stays as it is written."""
    if live is MISSING or live is None:
        return live if same(wanted, live, place.path, builtin=place.builtin) else wanted
    new, old = place.steps(wanted, live), place.steps(live, wanted)
    if new is None or old is None or isinstance(wanted, list) != isinstance(live, list):
        return live if _equal(wanted, live, place) else wanted
    both = {**old, **{step: _merged(member, old.get(step, MISSING), place.at(step)) for step, member in new.items()}}
    return _rebuilt(both, wanted)


def _equal(wanted: Any, live: Any, place: Place) -> bool:
    """Tell whether two values that count as a whole mean the same."""
    if isinstance(wanted, list) and isinstance(live, list) and len(wanted) == len(live):
        pairs = zip(wanted, live, strict=True)
        return all(_merged(one, other, place.at(f"i:{number}")) == other for number, (one, other) in enumerate(pairs))
    return same(wanted, live, place.path, builtin=place.builtin)


def _pruned(value: Any, place: Place, gone: AbstractSet[Path]) -> Any:
    steps = place.steps(value)
    if steps is None and isinstance(value, list):
        steps = {f"i:{index}": item for index, item in enumerate(value)}
    if not steps:
        return value
    left = {step: place.at(step) for step in steps}
    after = {step: _pruned(steps[step], each, gone) for step, each in left.items() if each.path not in gone}
    after = {step: member for step, member in after.items() if member is not MISSING}
    return _rebuilt(after, value) if after else MISSING


def _without_webhooks(answer: Any, live: Any, place: Place, owned: tuple[Fields, Fields]) -> Any:
    """Return what becomes of one value; `owned` is what we own by the answer and by the live object."""
    asked, had = owned
    ours = not place.path or covers(asked, place.path)
    if answer is MISSING:
        # An apply takes away only what is ours; metadata is where others add, and the answer may not repeat it.
        stays = place.path[0] == "f:metadata" and not covers(had, place.path)
        return live if stays else MISSING
    new, old = place.steps(answer, live), place.steps(live, answer) if live is not MISSING else {}
    if new is None or old is None:
        return answer if ours else live
    if live is MISSING and not ours:
        return MISSING
    after = {
        step: _without_webhooks(new.get(step, MISSING), old.get(step, MISSING), place.at(step), owned)
        for step in {**old, **new}
    }
    return _rebuilt({step: member for step, member in after.items() if member is not MISSING}, answer)


def _rebuilt(steps: Mapping[str, Any], like: Any) -> Any:
    if isinstance(like, Mapping):
        return {step[2:]: member for step, member in steps.items() if member is not MISSING}
    return list(steps.values())


def _member(value: Any, step: str) -> Any:
    kind, _, rest = step.partition(":")
    if kind == "f":
        return value.get(rest, MISSING) if isinstance(value, Mapping) else MISSING
    if not isinstance(value, list):
        return MISSING
    if kind == "i":
        return value[int(rest)] if int(rest) < len(value) else MISSING
    for item in value:
        if kind == "v" and encode(item).decode() == rest:
            return item
        if kind == "k" and isinstance(item, Mapping) and item_key_of(item, decode(rest.encode())) == rest:
            return item
    return MISSING
