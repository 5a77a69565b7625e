"""The steps of a plan, and what can come of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from services.applier.errors import Failure
from services.applier.guard import Held
from services.applier.state import Inventory, Wanted
from shared.core.objects import ObjectKey


class SkipReason(StrEnum):
    """Why a step does nothing."""

    UNCHANGED = "Unchanged"
    IGNORED = "Ignored"
    """An annotation forbids any write."""
    DRIFT_REPORTED = "DriftReported"
    """It differs, and the app only wants to know."""
    CONFLICT = "Conflict"
    """Somebody else owns it."""
    UNKNOWN_STATE = "UnknownState"
    """Nobody can say whether it exists."""
    UNKNOWN_KIND = "UnknownKind"
    """The API server does not serve its kind."""
    TERMINATING = "Terminating"
    """It is being deleted; look again when it is gone."""
    AWAITED = "Awaited"
    """Somebody else makes it, and it does not exist yet."""
    SHARED = "Shared"
    """Another app has it, and wants the very same."""
    GONE = "Gone"
    """It left the bundle and does not exist any more."""
    NOT_OURS = "NotOurs"
    """It left the bundle, and the live object is not marked as ours."""
    HANDED_OVER = "HandedOver"
    """It left this bundle, and another app wants it; once that has it, it is not ours any more."""
    KEPT = "Kept"
    """It left the bundle, and pruning is off for it."""
    HELD = "Held"
    """Its deletion waits for a person."""
    SUPPRESSED = "Suppressed"
    """Its deletion waits until everything else is known and well."""

    @property
    def failed(self) -> bool:
        """Tell whether the object is not as it should be: nothing is pruned in this run."""
        return self in _FAILED

    @property
    def forgets(self) -> bool:
        """Tell whether the entry leaves the inventory."""
        return self in _FORGETS


_FAILED = {
    SkipReason.AWAITED,
    SkipReason.CONFLICT,
    SkipReason.UNKNOWN_STATE,
    SkipReason.UNKNOWN_KIND,
    SkipReason.TERMINATING,
}
_FORGETS = {SkipReason.GONE, SkipReason.NOT_OURS}


class Cause(StrEnum):
    """Why an object is patched."""

    RELEASE = "Release"
    """The bundle has another content than was last applied."""
    DRIFT = "Drift"
    """Somebody changed what we own."""
    OWNERSHIP = "Ownership"
    """Somebody took fields of ours and left them as they are: that is set right, and only counted (I4)."""
    ADOPTION = "Adoption"
    """It existed, and becomes ours."""


@dataclass(frozen=True, slots=True)
class Create:
    """Apply an object that does not exist."""

    wanted: Wanted
    cause: Cause = Cause.RELEASE
    force: bool = True

    @property
    def key(self) -> ObjectKey:
        """Return the object's identity."""
        return self.wanted.key


@dataclass(frozen=True, slots=True)
class Patch:
    """Apply an object that exists; `uid` goes into the payload, so that a stranger of that name is never changed (D8)."""

    wanted: Wanted
    uid: str
    cause: Cause = Cause.RELEASE
    force: bool = True
    takes_over: bool = False
    """What other tools and people set is united with our entry first (D10)."""

    @property
    def key(self) -> ObjectKey:
        """Return the object's identity."""
        return self.wanted.key


@dataclass(frozen=True, slots=True)
class Recreate:
    """Delete the object with this UID, wait until it is gone, then create it (rule H3)."""

    wanted: Wanted
    uid: str

    @property
    def key(self) -> ObjectKey:
        """Return the object's identity."""
        return self.wanted.key

    @property
    def propagation(self) -> str:
        """Return how what belongs to the object goes: as it asks, else a workload's pods before its successor's."""
        usual = "Foreground" if self.key.group in {"apps", "batch"} else "Background"
        return self.wanted.policy.propagation or usual


@dataclass(frozen=True, slots=True)
class Prune:
    """Delete an object that left the bundle, under the precondition that it still is the one with this UID."""

    key: ObjectKey
    version: str
    uid: str
    propagation: str = "Background"
    resource_version: str = ""
    """Set where a person approved what they saw: then the object must not have changed since (F6)."""
    removed: bool = False
    """Its whole app goes, not the object alone."""


@dataclass(frozen=True, slots=True)
class Orphan:
    """Leave an object in the cluster and take our marks off it by a JSON patch, never by an empty apply (F4)."""

    key: ObjectKey
    version: str
    uid: str
    why: SkipReason = SkipReason.KEPT


@dataclass(frozen=True, slots=True)
class Skip:
    """Do nothing."""

    key: ObjectKey
    reason: SkipReason
    detail: str = ""


Making = Create | Patch | Recreate
Step = Making | Prune | Orphan | Skip


@dataclass(frozen=True, slots=True)
class Stage:
    """Steps that may run at the same time; the next stage begins when all are done."""

    wave: int
    rank: int
    """The place of its kinds in the order (rule C2)."""
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be done to a cluster for one app."""

    claim: Inventory
    """Old entries united with the desired ones: written before the first step that writes."""
    applies: tuple[Stage, ...] = ()
    """In order; a failure blocks the later waves (E7)."""
    prunes: tuple[Stage, ...] = ()
    """After all applies, and only when `prune_obstacle` finds nothing."""
    rescues: tuple[Stage, ...] = ()
    """Hooks for when the applies fail; nothing else turns on them (K2)."""
    held: Held | None = None
    """Deletions that wait for a person."""
    suppressed: str = ""
    """Why nothing is pruned in this run, whatever else happens; empty: pruning is possible."""
    warnings: tuple[str, ...] = ()
    waiver: str = ""
    """Of a removal that turns on hooks: what an approval must name so that it goes on without them (F13)."""

    @property
    def writes(self) -> bool:
        """Tell whether any step changes the cluster."""
        return any(not isinstance(step, Skip) for step in self.steps())

    def steps(self) -> Iterator[Step]:
        """Yield every step, in order."""
        for stage in (*self.applies, *self.prunes):
            yield from stage.steps

    def with_applies(self, restated: Callable[[Step], Step]) -> Plan:
        """Return the plan with each step of its applies restated; it stays in its place."""
        stages = (replace(stage, steps=tuple(map(restated, stage.steps))) for stage in self.applies)
        return replace(self, applies=tuple(stages))


@dataclass(frozen=True, slots=True)
class Applied:
    """An object was created or patched, or found as it should be after all."""

    uid: str
    resource_version: str
    owned: str
    """Digest of our Apply entry's fields in the answer (`fields.owned_by`)."""
    owned_at: str = ""
    created: bool = False
    """Answer 201."""
    changed: bool = True


@dataclass(frozen=True, slots=True)
class Gone:
    """A deleted object was seen to be absent."""


@dataclass(frozen=True, slots=True)
class Released:
    """Our marks were taken off an object that stays, or it turned out not to be ours."""

    why: SkipReason = SkipReason.KEPT


@dataclass(frozen=True, slots=True)
class Failed:
    """A step failed; its entry stays as it was claimed."""

    failure: Failure
    uid: str = ""
    """Of a hook that was made and did not succeed."""


@dataclass(frozen=True, slots=True)
class Blocked:
    """A step was not tried."""

    by: str


@dataclass(frozen=True, slots=True)
class Deferred:
    """A deletion waits until no agent before this one can be writing (M4): the release is still on its way."""


Outcome = Applied | Gone | Released | Failed | Blocked | Deferred
