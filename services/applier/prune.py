"""Decide what becomes of objects that left the bundle: deleted only with proof, else kept, given up or Held.

Proof (I6): the inventory has it, the release expects it to go, the live object carries our annotation for this app
and this identity, and the deletion names its UID.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from services.applier.crds import CRD
from services.applier.documents import ReleaseDocument
from services.applier.going_back import keeps
from services.applier.guard import Held, guarded, is_own
from services.applier.options import DeletionPolicy, Options
from services.applier.order import place_of, staged
from services.applier.planned import Orphan, Prune, Skip, SkipReason, Stage, Step
from services.applier.policy import Leave
from services.applier.state import NOT_READ, Absent, Entry, Inventory, Live, Present, Unknown, Wanted, Why
from services.applier.tracking import is_ours
from services.applier.verify import bundle_of
from shared.core.objects import ObjectKey

_DATA = frozenset(
    {
        ("", "Namespace"),
        ("", "PersistentVolume"),
        ("", "PersistentVolumeClaim"),
        ("", "Secret"),
        CRD,
    },
)
_UNKNOWN = {Why.UNSERVED: SkipReason.UNKNOWN_KIND, Why.KIND_GONE: SkipReason.GONE}


@dataclass(frozen=True, slots=True)
class Leaving:
    """What is known when deletions are decided."""

    wanted: Mapping[ObjectKey, Wanted]
    live: Mapping[ObjectKey, Live]
    inventory: Inventory
    release: ReleaseDocument
    options: Options
    others: AbstractSet[ObjectKey]
    trouble: str
    """Why nothing may be deleted now, known before."""
    home: str
    """The agent's namespace."""


@dataclass(frozen=True, slots=True)
class Going:
    """What happens to the objects that left."""

    stages: tuple[Stage, ...]
    held: Held | None
    suppressed: str
    approved: Mapping[ObjectKey, str]
    """Deletions that a person released, and the approval that did: to be remembered before the first of them."""

    @property
    def begins(self) -> bool:
        """Tell whether any object goes now."""
        return any(not isinstance(step, Skip) for stage in self.stages for step in stage.steps)


def leaving(known: Leaving) -> Going:
    """Return the steps for every object of the inventory that is not wanted any more."""
    entries = {key: entry for key, entry in known.inventory.entries.items() if key not in known.wanted}
    uids = _uids(known)
    steps = {key: _step(entry, known, uids) for key, entry in entries.items()}
    suppressed = known.trouble or _unknown(steps.values())
    pruned = {key for key, step in steps.items() if isinstance(step, Prune) and not _is_going(known.live.get(key))}
    approved = _approved_before(pruned, known)
    held = None if _unknown(steps.values()) else _held(pruned - approved.keys(), known)
    if held is not None and _approves(known, held):
        approved |= dict.fromkeys(held.keys, held.approval)
        held = None
    waiting = frozenset(held.keys) if held else frozenset()
    final = [_final(step, waiting, suppressed, approved) for step in steps.values()]
    stages = staged(final, lambda step: (place_of(entries[step.key]), step.key))
    return Going(tuple(Stage(wave, rank, found) for wave, rank, found in reversed(stages)), held, suppressed, approved)


def _step(entry: Entry, known: Leaving, uids: AbstractSet[str]) -> Step:
    """Return what would happen to one object if nothing stood against deletions; `uids` are those of what is wanted."""
    key, live = entry.key, known.live.get(entry.key, NOT_READ)
    match live:
        case Absent():
            return Skip(key, SkipReason.GONE)
        case _ if key in known.others and not _is_anothers(live, key, known):
            return Skip(key, SkipReason.HANDED_OVER)
        case Unknown():
            return Skip(key, _UNKNOWN.get(live.why, SkipReason.UNKNOWN_STATE), live.detail or live.why.value)
        case Present() if live.uid in uids and not _is_anothers(live, key, known):
            return Skip(key, SkipReason.HANDED_OVER, "the same object is wanted under another group")
        case Present():
            return _present_step(entry, live, known)


def _present_step(entry: Entry, live: Present, known: Leaving) -> Step:
    key, removed = entry.key, known.release.removed
    ignored, inhabited = live.asks(compat=known.options.compat).ignore, _inhabited(key, known)
    for reason, applies, detail in (
        (SkipReason.NOT_OURS, not is_ours(live, known.release.app, key), f"owner: {live.owner or 'none'}"),
        (SkipReason.KEPT, keeps(known.release, key), "a rollback deletes nothing of this kind"),
        (SkipReason.IGNORED, not removed and ignored, ""),
        (SkipReason.KEPT, not (known.options.prune or removed), "prune is off for this app"),
        (SkipReason.KEPT, not removed and inhabited, "other objects of ours live in this namespace"),
    ):
        if applies:
            return Skip(key, reason, detail)
    if live.deleting:
        return Prune(key, entry.version, live.uid, removed=removed)  # whoever asked for it, its end is waited for (F7)
    # The end of its app is the end of what keeps an object in the inventory: it is given up, for the app has to go.
    kept = ignored or inhabited if removed else entry.hook
    if kept or Leave.KEEP in _asks(entry, live, known) or _stays(entry, known):
        return Orphan(key, entry.version, live.uid)
    propagation = live.asks(compat=known.options.compat).propagation or "Background"
    return Prune(key, entry.version, live.uid, propagation, live.resource_version, removed)


def _asks(entry: Entry, live: Live, known: Leaving) -> frozenset[str]:
    """Return what is asked for an object that leaves, by what was last applied and by what is live (F4)."""
    removed = known.release.removed
    now = {live.asks(compat=known.options.compat).leaves(removed=removed)} if isinstance(live, Present) else set()
    return frozenset({entry.leaves(removed=removed), *now})


def _stays(entry: Entry, known: Leaving) -> bool:
    """Tell whether the object is given up instead of deleted."""
    kind = (entry.key.group, entry.key.kind)
    if kind == ("", "Namespace") and (not entry.created or _is_system(entry.key.name, known.home)):
        return True
    if kind == CRD and not known.options.prune_crds:
        return True
    if not known.release.removed:
        return False
    policy = known.options.deletion_policy
    return policy is DeletionPolicy.ORPHAN or (policy is DeletionPolicy.KEEP_DATA and kind in _DATA)


def _is_anothers(live: Live, key: ObjectKey, known: Leaving) -> bool:
    """Tell whether an object is no longer ours: until another app took it, giving it up would orphan it."""
    return isinstance(live, Present) and not is_ours(live, known.release.app, key)


def _is_system(namespace: str, home: str) -> bool:
    return namespace in {"default", home} or namespace.startswith("kube-")


def _is_going(live: Live | None) -> bool:
    """Tell whether an object is being deleted: there is nothing left to guard."""
    return isinstance(live, Present) and bool(live.deleting)


def _uids(known: Leaving) -> frozenset[str]:
    """Return the UIDs of what is wanted and exists: one stored object can be seen under several groups (F1)."""
    found = (known.live.get(key) for key in known.wanted)
    return frozenset(live.uid for live in found if isinstance(live, Present) and live.uid)


def _inhabited(key: ObjectKey, known: Leaving) -> bool:
    """Tell whether something that we keep lives in the namespace `key` (F8)."""
    if (key.group, key.kind) != ("", "Namespace"):
        return False
    return any(kept.namespace == key.name for kept in (*known.wanted, *known.others))


def _unknown(steps: Iterable[Step]) -> str:
    """Return why the picture has holes, or empty."""
    reasons = {SkipReason.UNKNOWN_KIND, SkipReason.UNKNOWN_STATE}
    keys = sorted(step.key for step in steps if isinstance(step, Skip) and step.reason in reasons)
    return f"nobody can say whether {keys[0]} exists" if keys else ""


def _approved_before(pruned: AbstractSet[ObjectKey], known: Leaving) -> dict[ObjectKey, str]:
    """Return the deletions that were released in an earlier attempt at this very bundle."""
    if known.inventory.header.bundle != bundle_of(known.release):
        return {}
    marks = {key: known.inventory.entries[key].approved for key in pruned}
    return {key: mark for key, mark in marks.items() if mark}


def _held(going: AbstractSet[ObjectKey], known: Leaving) -> Held | None:
    # A hook may have a name that only this agent knows; that it goes with its app is what hooks are.
    hooks = {str(key) for key in going if known.inventory.entries[key].hook}
    return guarded(
        going,
        len(known.inventory.entries),
        replace(known.release, deletes=known.release.deletes | hooks) if hooks else known.release,
        emptied=not (known.wanted or known.release.removed or known.options.allow_empty),
        recovered=known.inventory.header.recovered,
        confirmed=frozenset(key for key in going if Leave.CONFIRM in _asked(key, known)),
        own=frozenset(key for key in going if is_own(key, known.home)),
    )


def _asked(key: ObjectKey, known: Leaving) -> frozenset[str]:
    return _asks(known.inventory.entries[key], known.live.get(key, NOT_READ), known)


def _approves(known: Leaving, held: Held) -> bool:
    """Tell whether the release carries an approval of exactly this, not used before."""
    approval = known.release.approval
    return approval == held.approval and known.inventory.header.approval_used != approval


def _final(
    step: Step,
    waiting: AbstractSet[ObjectKey],
    suppressed: str,
    approved: Mapping[ObjectKey, str],
) -> Step:
    """Return the step after guard and obstacles were heard."""
    if not isinstance(step, Prune | Orphan):
        return step
    if step.key in waiting:
        return Skip(step.key, SkipReason.HELD)
    if suppressed:
        return Skip(step.key, SkipReason.SUPPRESSED, suppressed)
    if isinstance(step, Prune) and step.key not in approved:
        # Only what a person approved must be unchanged since they saw it (F6).
        return replace(step, resource_version="")
    return step
