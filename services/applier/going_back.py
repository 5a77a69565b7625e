"""Decide what is different about a release that takes an app back (rules L1 to L4).

It is a release like any other: newer than all before it, verified, guarded and healed alike. But an automatic one runs no
hook that does not ask for it, and none deletes what holds data or undoes a definition: what came in the meantime may
be all that is left of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from services.applier.crds import CRD
from services.applier.documents import ReleaseDocument
from services.applier.policy import OnRollback
from services.applier.state import Header, Inventory, Wanted
from shared.core.objects import ObjectKey
from shared.core.status import ROLLED_BACK, Sync, way_back

KEPT = 5
"""So many bundles that were applied whole are kept of each app."""
_STAYING = frozenset({("", "Namespace"), ("", "PersistentVolume"), ("", "PersistentVolumeClaim"), CRD})


def with_past(inventory: Inventory, release: ReleaseDocument) -> Inventory:
    """Return the inventory after a run, which knows the bundles to keep: those applied whole (L1)."""
    header, bundle = inventory.header, release.bundle
    if bundle is None or header.settled_bundle != bundle.digest:
        return inventory
    kept = dict.fromkeys([bundle.blob.digest, *past_of(header)])
    return replace(inventory, header=replace(header, past=" ".join(list(kept)[:KEPT])))


def past_of(header: Header) -> list[str]:
    """Return the digests of the blobs that an app may go back to."""
    return header.past.split()


def with_due_hooks(wanted: Mapping[ObjectKey, Wanted], release: ReleaseDocument) -> Mapping[ObjectKey, Wanted]:
    """Return a bundle whose hooks are left as they are where it is not the time for them (L2)."""
    back = release.rollback
    idle = OnRollback.ONLY if back is None else OnRollback.USUAL if back.automatic else None
    return {
        key: _idle(each) if each.policy.hook and each.policy.on_rollback is idle else each
        for key, each in wanted.items()
    }


def _idle(wanted: Wanted) -> Wanted:
    return replace(wanted, policy=replace(wanted.policy, hook=None, ignore=True))


def keeps(release: ReleaseDocument, key: ObjectKey) -> bool:
    """Tell whether an object stays that the release does not bring any more (L3)."""
    return release.rollback is not None and (key.group, key.kind) in _STAYING


def told(release: ReleaseDocument | None, sync: Sync, reason: str, message: str) -> tuple[Sync, str, str]:
    """Return how an app stands, in the words of its hub: what was taken back runs whole and is behind git (L4)."""
    if release is None or release.rollback is None or sync is not Sync.SYNCED:
        return sync, reason, message
    back = release.rollback
    to = release.provenance[0].commit if release.provenance else back.to
    text = f"{back.actor or 'somebody'} took it back {way_back(back.commit, to, back.reason)}"
    return Sync.OUT_OF_SYNC, ROLLED_BACK, f"{text}; {message}" if reason else text
