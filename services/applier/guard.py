"""Decide which deletions wait for a person: too many at once, kinds that hold data, or nothing that expects them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum

from services.applier.crds import CRD
from services.applier.documents import ReleaseDocument
from shared.core.canonical import digest
from shared.core.objects import ObjectKey

AGENT = "towline"
"""How everything of an agent is named, and its namespace where nobody says another."""
FRACTION_PERCENT = 30
COUNT = 10
PROTECTED = frozenset(
    {
        ("", "Namespace"),
        ("", "PersistentVolume"),
        ("", "PersistentVolumeClaim"),
        CRD,
        ("storage.k8s.io", "StorageClass"),
    },
)


class HoldReason(StrEnum):
    """Why deletions wait."""

    PRUNE_GUARD = "PruneGuard"
    """More than 30 % of the app's objects and more than 10, or a kind that holds data (F5)."""
    EMPTY_BUNDLE = "EmptyBundle"
    """The bundle became empty, and nothing says that this is meant (A11)."""
    UNEXPECTED = "Unexpected"
    """The release does not expect them to go."""
    HISTORY_LOST = "HistoryLost"
    """The hub lost what it needs to say which are expected."""
    CONFIRM = "Confirm"
    """The objects themselves ask for a person (F15)."""
    RECOVERED = "Recovered"
    """The inventory was lost and found again by our marks (M7)."""
    HOOKS_UNKNOWN = "HooksUnknown"
    """What has to run before an app is removed cannot be had (F13)."""
    HOOK_FAILED = "HookFailed"
    """It did not succeed."""


@dataclass(frozen=True, slots=True)
class Held:
    """Deletions that wait; an approval names `approval` and releases exactly these keys."""

    reason: HoldReason
    keys: tuple[ObjectKey, ...]
    """All of them, sorted."""
    approval: str


def approval_of(keys: Iterable[ObjectKey]) -> str:
    """Return what an approval of these deletions must name: sha256 of the sorted keys, one a line."""
    return digest("\n".join(sorted(str(key) for key in keys)).encode())


def guarded(
    going: Collection[ObjectKey],
    owned: int,
    release: ReleaseDocument,
    *,
    emptied: bool,
    recovered: bool,
    confirmed: Collection[ObjectKey] = (),
    own: Collection[ObjectKey] = (),
) -> Held | None:
    """Return which of the objects that are `going` must wait, or None.

    Args:
        going: what would be deleted now.
        owned: how many objects the inventory has.
        release: what expects them to go.
        emptied: the bundle is empty, without a tombstone and without `allowEmpty`.
        recovered: the inventory is not to be relied on.
        confirmed: objects of which a person has to say each time that they may go.
        own: objects without which the agent itself cannot live.
    """
    for reason, applies in (
        (HoldReason.EMPTY_BUNDLE, emptied),
        (HoldReason.RECOVERED, recovered),
        (HoldReason.HISTORY_LOST, not release.deletes_known),
        (HoldReason.PRUNE_GUARD, _too_much(going, owned, release)),
    ):
        if applies and going:
            return _held(reason, going)
    unexpected = {key for key in going if str(key) not in release.deletes}
    # A tombstone takes the app off; its data waits, the rest goes (faults.md 5).
    protected = {key for key in going if (release.removed and is_protected(key)) or key in own}
    waiting = {*unexpected, *protected, *(key for key in going if key in confirmed)}
    if not waiting:
        return None
    reason = HoldReason.UNEXPECTED if unexpected else HoldReason.PRUNE_GUARD if protected else HoldReason.CONFIRM
    return _held(reason, waiting)


def is_protected(key: ObjectKey) -> bool:
    """Tell whether deleting an object of this kind takes more with it than itself."""
    return (key.group, key.kind) in PROTECTED


def is_own(key: ObjectKey, home: str) -> bool:
    """Tell whether an object may be a part of the agent in the namespace `home`: its account, its rights, its kinds (F16)."""
    if key.namespace:
        return key.namespace == home
    return key.name == home or key.name.startswith(f"{AGENT}-") or key.name.endswith(f".{AGENT}.dev")


def _too_much(going: Collection[ObjectKey], owned: int, release: ReleaseDocument) -> bool:
    """Tell whether rule F5 trips; a tombstone is meant to take everything, so its share says nothing."""
    if release.removed:
        return False
    many = len(going) > COUNT and len(going) * 100 > owned * FRACTION_PERCENT
    return many or any(is_protected(key) for key in going)


def _held(reason: HoldReason, keys: Iterable[ObjectKey]) -> Held:
    ordered = tuple(sorted(keys))
    return Held(reason, ordered, approval_of(ordered))
