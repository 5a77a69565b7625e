"""Decide in which order an app is removed: hooks before, its objects, hooks after, what the hooks left (rule F13).

Each part is a run of its own, and which one is due follows from the inventory alone: an agent that was cut off anywhere
goes on where it was. What the hooks are is in the bundle that ran last. Where nobody can say, and while one does not
succeed, nothing is deleted; a person may let the removal go on without hooks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from services.applier.documents import ReleaseDocument
from services.applier.settle import remembered
from services.applier.state import Entry, Header, Inventory, Wanted
from shared.core.canonical import digest
from shared.core.objects import ObjectKey

Entries = Mapping[ObjectKey, Entry]
Objects = Mapping[ObjectKey, Wanted]


@dataclass(frozen=True, slots=True)
class Farewell:
    """The hooks of an app's removal."""

    before: Objects = field(default_factory=dict)
    after: Objects = field(default_factory=dict)
    unknown: str = ""
    """Why nobody can say which there are; then nothing is removed."""
    brought: bool = False
    """Of a bundle that is delivered: it has some."""

    def beside(self, wanted: Objects) -> Objects:
        """Return the hooks together with what else is wanted."""
        return {**wanted, **self.before, **self.after}


NO_HOOKS = Farewell()


class Part(Enum):
    """What a run of a removal is about."""

    OBJECTS = "objects"
    """Hooks before, then all that the app has."""
    AFTER = "after"
    """All of that is gone: hooks after."""
    REST = "rest"
    """What the hooks left, and the namespaces that they needed."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What a run brings, and what may leave in it."""

    wanted: Objects
    leaving: Entries
    later: Objects = field(default_factory=dict)
    """Claimed already: until they have run the inventory is not empty, and the removal not over."""


def scope_of(desired: Objects, farewell: Farewell, entries: Entries, release: ReleaseDocument) -> Scope:
    """Return what a run of a release is about."""
    if not release.removed:
        return Scope(desired, entries)
    match part(farewell, entries):
        case Part.OBJECTS:
            later = {key: each for key, each in farewell.after.items() if each.tracked}
            return Scope(farewell.before, _others(farewell, entries), later)
        case Part.AFTER:
            return Scope(farewell.after, {})
        case Part.REST:
            return Scope({}, entries)


def part(farewell: Farewell, entries: Entries) -> Part:
    """Return which part of a removal is due."""
    if _others(farewell, entries) or _due(farewell.before, entries):
        return Part.OBJECTS
    return Part.AFTER if _due(farewell.after, entries) else Part.REST


def goes_on(farewell: Farewell, before: Entries, after: Entries) -> bool:
    """Tell whether a run ended one part of a removal, and the next is due at once."""
    return bool(after) and part(farewell, before) is not part(farewell, after)


def begun(inventory: Inventory, scope: Scope, farewell: Farewell, release: ReleaseDocument) -> Inventory:
    """Return the inventory with what a claim remembers for a removal, of one that is to come or under way."""
    header = inventory.header
    if not release.removed:
        return replace(inventory, header=replace(header, removal="", hookless=False, farewell=farewell.brought))
    marked = replace(header, removal=number(header, release), hookless=is_waived(header, release))
    later = {key: Entry(key, each.version, **remembered(each)) for key, each in scope.later.items()}
    return Inventory(marked, {**later, **inventory.entries})


def number(header: Header, release: ReleaseDocument) -> str:
    """Return the number of the tombstone that began the removal: what people approve meanwhile begins no other."""
    return header.removal or f"{release.epoch}.{release.generation}"


def waiver(header: Header, release: ReleaseDocument) -> str:
    """Return what an approval must name so that this removal goes on without its hooks."""
    return digest(f"{release.app}: removal {number(header, release)} without hooks".encode())


def is_waived(header: Header, release: ReleaseDocument) -> bool:
    """Tell whether a person let this removal go on without its hooks."""
    return header.hookless or release.approval == waiver(header, release)


def expects(inventory: Inventory, release: ReleaseDocument) -> bool:
    """Tell whether hooks are to be looked for: not where nothing of the app is here, or its bundle is known to have none."""
    header = inventory.header
    return bool(inventory.entries) and header.farewell is not False and not is_waived(header, release)


def _others(farewell: Farewell, entries: Entries) -> Entries:
    """Return all entries but those of hooks, and of the namespaces in which some of them are still to run."""
    hooks = _tracked(farewell.before).keys() | _tracked(farewell.after).keys()
    homes = {ObjectKey("", "Namespace", "", key.namespace) for key in _tracked(farewell.after)}
    return {key: entry for key, entry in entries.items() if key not in hooks | homes}


def _due(hooks: Objects, entries: Entries) -> bool:
    """Tell whether the inventory has a hook that did not run for this removal."""
    return any(key in entries and entries[key].desired != each.digest for key, each in _tracked(hooks).items())


def _tracked(hooks: Objects) -> Objects:
    return {key: each for key, each in hooks.items() if each.tracked}
