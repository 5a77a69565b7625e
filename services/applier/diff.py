"""Find what others changed in an object: every field that we want and that is otherwise in the cluster, and by whom.

Only what the manifest says is compared: what controllers add is none of our business.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.applier.fields import MISSING, Ownership, Path, covers, difference, entries, human, is_apply_of, union
from services.applier.held import holder
from services.applier.ignoring import ignored_in, rules_for
from services.applier.options import Extras, IgnoreRule
from services.applier.predict import Place, dropped, found_at, place_of
from services.applier.redact import Redaction, shown
from services.applier.sameness import comparable, same
from services.applier.takeover import takes
from services.applier.tracking import MANAGER
from services.applier.writers import EXEMPT, is_writer
from shared.core.objects import Manifest, ObjectKey, key_of

LINES = 50
KEY_CHARACTERS = 640
"""A namespace, a name of 253 characters, a kind and its group."""
PATH_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Change:
    """One field that is not as it should be."""

    path: Path
    wanted: Any
    found: Any
    """`MISSING` when it is gone."""
    managers: tuple[str, ...] = ()
    """Who owns it now, besides us."""


def changes(wanted: Manifest, live: Manifest, rules: Iterable[IgnoreRule] = ()) -> tuple[Change, ...]:
    """Return how `live` differs from `wanted`, without what `rules` take out (I8) and what controllers hold (G4)."""
    place, before, after = place_of(wanted, live), comparable(wanted), comparable(live)
    ignored = ignored_in(rules_for(key_of(wanted), rules), (before, after), place)
    found = [Change(path, one, other, others_at(live, path)) for path, one, other in _walk(before, after, place)]
    owners = entries(live)
    return tuple(each for each in found if not (ignored.covers(each.path, each.managers) or holder(owners, each.path)))


def extras_in(wanted: Manifest, live: Manifest, extras: Extras) -> tuple[Change, ...]:
    """Return the live fields that nobody wants and that go with the next apply: what people and tools added (I11)."""
    owners = entries(live)
    going = [each for each in owners if _goes(each, extras)]
    others = union(*(each.fields for each in owners if each not in going))
    before = union(*(difference(each.fields, EXEMPT) for each in going))
    found = sorted(dropped(wanted, live, before, others))
    return tuple(Change(path, MISSING, found_at(live, path), others_at(live, path)) for path in found)


def _goes(entry: Ownership, extras: Extras) -> bool:
    return is_apply_of(entry, MANAGER) or (is_writer(entry, MANAGER) and takes(entry.manager, extras))


def lines(key: ObjectKey, found: Sequence[Change], redaction: Redaction) -> tuple[str, ...]:
    """Return the changes as lines for people, secrets masked; at most 50, the last says how many are left out (P4)."""
    told = [_line(key, change, redaction) for change in found[:LINES]]
    more = len(found) - LINES
    return (*told[: LINES - 1], f"{key}: {more + 1} more changes") if more > 0 else tuple(told)


def _line(key: ObjectKey, change: Change, redaction: Redaction) -> str:
    values = " -> ".join(shown(key, change.path, value, redaction) for value in (change.wanted, change.found))
    by = f" (by {', '.join(change.managers)})" if change.managers else ""
    # Keys of list items stand in paths, as long as somebody likes them.
    return f"{str(key)[:KEY_CHARACTERS]} {human(change.path)[:PATH_CHARACTERS]}: {values}{by[:PATH_CHARACTERS]}"


def _walk(wanted: Any, live: Any, place: Place) -> Iterator[tuple[Path, Any, Any]]:
    new, old = place.steps(wanted, live), place.steps(live, wanted)
    if new is not None and old is not None and isinstance(wanted, Mapping) == isinstance(live, Mapping):
        # What others added stays.
        for step, value in new.items():
            yield from _walk(value, old.get(step, MISSING), place.at(step))
    elif isinstance(wanted, list) and isinstance(live, list) and len(wanted) == len(live):
        for index, (before, after) in enumerate(zip(wanted, live, strict=True)):
            yield from _walk(before, after, place.at(f"i:{index}"))
    elif not same(wanted, live, place.path, builtin=place.builtin):
        yield place.path, wanted, live


def others_at(live: Manifest, path: Path) -> tuple[str, ...]:
    """Return who else owns what is at `path`."""
    owners = (entry.manager for entry in entries(live) if entry.manager != MANAGER and covers(entry.fields, path))
    return tuple(dict.fromkeys(owners))
