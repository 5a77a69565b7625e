"""Decide what to do to a cluster for one app; touch nothing.

The inventory is claimed before the first step, so that a crash at any point leaves no object that we created and
forgot. An entry leaves only once its object is known to be gone or given up. Prunes come last, and only after
everything else went well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace

from services.applier.adoption import Claimant, is_shared, objection
from services.applier.crds import defined_by
from services.applier.documents import ReleaseDocument
from services.applier.guard import AGENT, Held, HoldReason
from services.applier.hooks import hooks_of, in_order, is_over, is_rescue, predecessors, rerun, run_step
from services.applier.options import Conflicts, Drift, Options
from services.applier.order import place_of, staged
from services.applier.planned import (
    Applied,
    Blocked,
    Cause,
    Create,
    Failed,
    Gone,
    Orphan,
    Outcome,
    Patch,
    Plan,
    Prune,
    Recreate,
    Released,
    Skip,
    SkipReason,
    Stage,
    Step,
)
from services.applier.prune import Leaving, leaving
from services.applier.removal import NO_HOOKS, Farewell, begun, scope_of, waiver
from services.applier.settle import prune_obstacle, remembered, settled
from services.applier.state import NOT_READ, Absent, Entry, Inventory, Live, Present, Unknown, Wanted, Why
from services.applier.takeover import is_written_over
from services.applier.tracking import is_ours
from services.applier.verify import bundle_of
from shared.core.objects import ObjectKey

__all__ = [
    "Applied",
    "Blocked",
    "Cause",
    "Create",
    "Failed",
    "Gone",
    "Inventory",
    "Orphan",
    "Outcome",
    "Patch",
    "Plan",
    "Prune",
    "Recreate",
    "Released",
    "Skip",
    "SkipReason",
    "Stage",
    "Step",
    "plan",
    "prune_obstacle",
    "settled",
]


def plan(
    desired: Mapping[ObjectKey, Wanted],
    live: Mapping[ObjectKey, Live],
    inventory: Inventory,
    release: ReleaseDocument,
    options: Options,
    *,
    cluster: str = "",
    key: str = "",
    others: AbstractSet[ObjectKey] = frozenset(),
    apps: AbstractSet[str] = frozenset(),
    shared: Mapping[ObjectKey, str] | None = None,
    incomplete: str = "",
    home: str = AGENT,
    farewell: Farewell = NO_HOOKS,
    again: bool = False,
) -> Plan:
    """Return what to do so that the cluster holds `desired` and nothing else of this app.

    Whoever calls has found that neither the app nor the cluster is suspended.

    Args:
        desired: the bundle after `intake`; not looked at for a tombstone.
        live: the state of every key of `desired` and of the inventory; a key that is missing counts as unknown.
        inventory: what this app owned before; an empty one when the app is new.
        release: the verified permission.
        options: the app's options.
        cluster: this agent's name, the value of its label.
        key: id of the key that signed the permission.
        others: keys that other apps of this agent desire; they are handed over, never deleted.
        apps: the apps of this agent whose desires are known.
        shared: their content, where two apps may want the very same object.
        incomplete: why the picture of the cluster has holes (partial discovery); then nothing is pruned.
        home: the agent's namespace.
        farewell: the hooks of the app's removal.
        again: run hooks that ran for this bundle.
    """
    scope = scope_of(desired, farewell, inventory.entries, release)
    claimant = Claimant(release.app, cluster, options.adopt, others, apps, shared or {})
    steps, rescues = _applying(scope.wanted, live, inventory, claimant, options, again=again, bundle=bundle_of(release))
    cleared = predecessors(steps.values(), inventory.entries, live)
    first = {step.key for stage in cleared for step in stage.steps}
    going = leaving(
        Leaving(
            wanted={} if release.removed else scope.wanted,
            live=live,
            inventory=replace(
                inventory, entries={key: each for key, each in scope.leaving.items() if key not in first}
            ),
            release=release,
            options=options,
            others=others,
            trouble=_trouble(steps, farewell.unknown or incomplete),
            home=home,
        )
    )
    if release.removed and scope.leaving and not (going.begins or going.suppressed):
        steps, cleared = {}, ()  # all that would go waits for a person: hooks wait with it
    excused = waiver(inventory.header, release) if release.removed and (steps or farewell.unknown) else ""
    return Plan(
        claim=_claim({**steps, **rescues}, begun(inventory, scope, farewell, release), release, key, going.approved),
        applies=in_order((*cleared, *_stages(steps.values(), scope.wanted))),
        prunes=going.stages,
        rescues=_stages(rescues.values(), scope.wanted),
        held=Held(HoldReason.HOOKS_UNKNOWN, (), excused) if farewell.unknown else going.held,
        suppressed=going.suppressed,
        waiver=excused,
    )


def _applying(
    wanted: Mapping[ObjectKey, Wanted],
    live: Mapping[ObjectKey, Live],
    inventory: Inventory,
    claimant: Claimant,
    options: Options,
    *,
    again: bool,
    bundle: str,
) -> tuple[dict[ObjectKey, Step], dict[ObjectKey, Step]]:
    """Return the steps for what is wanted, and those for the hooks that are for failures only."""
    crds = defined_by(wanted.values())
    steps: dict[ObjectKey, Step] = {}
    rescues: dict[ObjectKey, Step] = {}
    for found in wanted.values():
        entry, state = inventory.entries.get(found.key), live.get(found.key, NOT_READ)
        if is_rescue(found):
            rescues[found.key] = _apply_step(found, state, entry, options, claimant)
        elif is_over(found, entry, inventory.header, bundle):
            ran, over = entry is not None and entry.desired == found.digest, Skip(found.key, SkipReason.UNCHANGED)
            steps[found.key] = rerun(over, found, live.get(found.key, NOT_READ)) if again and ran else over
        elif _arrives(found, live, crds):
            steps[found.key] = Create(found, force=_forces(options))
        else:
            steps[found.key] = _apply_step(found, state, entry, options, claimant)
    if hooks_of(steps.values()):
        rescues = {key: rerun(step, wanted[key], live.get(key, NOT_READ)) for key, step in rescues.items()}
    return steps, rescues


def _stages(steps: Iterable[Step], wanted: Mapping[ObjectKey, Wanted]) -> tuple[Stage, ...]:
    found = staged(steps, lambda step: (place_of(wanted[step.key]), step.key))
    return tuple(Stage(wave, rank, group) for wave, rank, group in found)


def _apply_step(wanted: Wanted, live: Live, entry: Entry | None, options: Options, claimant: Claimant) -> Step:
    """Return the step for one object of the bundle."""
    if wanted.policy.ignore or (isinstance(live, Present) and live.asks(compat=options.compat).ignore):
        return _ignored(wanted, live)
    match live:
        case Unknown(why=Why.UNSERVED | Why.KIND_GONE):
            why = live.detail or f"the cluster serves no {wanted.key.kind} in {wanted.api_version}"
            return Skip(wanted.key, SkipReason.UNKNOWN_KIND, why)
        case Unknown():
            return Skip(wanted.key, SkipReason.UNKNOWN_STATE, live.detail or live.why.value)
        case Absent():
            return _absent_step(wanted, entry, options)
        case Present():
            return _present_step(wanted, live, entry, options, claimant)


def _ignored(wanted: Wanted, live: Live) -> Step:
    if wanted.policy.exists and not isinstance(live, Present):
        return Skip(wanted.key, SkipReason.AWAITED, "it is made by somebody else, and does not exist yet")
    return Skip(wanted.key, SkipReason.IGNORED)


def _absent_step(wanted: Wanted, entry: Entry | None, options: Options) -> Step:
    """Return the step for one object of the bundle that does not exist."""
    same = _same_content(wanted, entry)
    if same and entry is not None and entry.done:
        return Skip(wanted.key, SkipReason.UNCHANGED)
    if same and _drift(wanted, options) is not Drift.CORRECT:
        return _reported(wanted, options)
    return Create(wanted, Cause.DRIFT if same else Cause.RELEASE, force=_forces(options))


def _present_step(wanted: Wanted, live: Present, entry: Entry | None, options: Options, claimant: Claimant) -> Step:
    """Return the step for one object of the bundle that exists."""
    known = entry is not None and bool(entry.uid) and entry.uid == live.uid
    if live.deleting:
        return _going_step(wanted, live, entry, known=known)
    if not wanted.tracked:
        return Skip(wanted.key, SkipReason.UNCHANGED)
    if is_shared(wanted, live, claimant):
        return Skip(wanted.key, SkipReason.SHARED)
    if trouble := objection(wanted, live, claimant, known=known):
        return Skip(wanted.key, SkipReason.CONFLICT, trouble)
    if wanted.policy.if_absent or (known and _as_left(wanted, live, entry, claimant, options)):
        return Skip(wanted.key, SkipReason.UNCHANGED)
    step = run_step(wanted, live, entry, claimant.app, force=_forces(options))
    return step or _changed_step(wanted, live, entry, options, known=known)


def _going_step(wanted: Wanted, live: Present, entry: Entry | None, *, known: bool) -> Step:
    """Return the step for what is being deleted: it would take the apply and die all the same (D6)."""
    if known and not _same_content(wanted, entry):
        return Recreate(wanted, live.uid)  # as an agent began it that was cut off (H3)
    return Skip(wanted.key, SkipReason.TERMINATING, ", ".join(live.finalizers))


def _changed_step(wanted: Wanted, live: Present, entry: Entry | None, options: Options, *, known: bool) -> Step:
    drifted = known and _same_content(wanted, entry)
    if drifted and _drift(wanted, options) is not Drift.CORRECT:
        return _reported(wanted, options)
    cause = Cause.DRIFT if drifted else Cause.RELEASE if known else Cause.ADOPTION
    takes_over = is_written_over(wanted, live, options)
    return Patch(wanted, live.uid, cause, force=_forces(options), takes_over=takes_over)


def _as_left(wanted: Wanted, live: Present, entry: Entry | None, claimant: Claimant, options: Options) -> bool:
    """Tell whether the object is as our last write left it, and that is what is wanted (D2)."""
    return (
        entry is not None
        and entry.desired == wanted.digest
        and (entry.owned, entry.owned_at) == (live.owned, live.owned_at)
        and is_ours(live, claimant.app, wanted.key)
        and live.agent == claimant.cluster
        and not is_written_over(wanted, live, options)
    )


def _same_content(wanted: Wanted, entry: Entry | None) -> bool:
    """Tell whether the very content was applied before: a difference in the cluster is somebody else's doing."""
    return entry is not None and bool(entry.uid) and entry.desired == wanted.digest


def _reported(wanted: Wanted, options: Options) -> Skip:
    reason = SkipReason.DRIFT_REPORTED if _drift(wanted, options) is Drift.REPORT else SkipReason.UNCHANGED
    return Skip(wanted.key, reason)


def _drift(wanted: Wanted, options: Options) -> Drift:
    """Return what is done about changes by others: what the object says, else the app (I6)."""
    return wanted.policy.drift or options.drift


def _forces(options: Options) -> bool:
    return options.conflicts is Conflicts.FORCE


def _arrives(wanted: Wanted, live: Mapping[ObjectKey, Live], crds: Mapping[tuple[str, str], ObjectKey]) -> bool:
    """Tell whether an object's kind comes with this bundle: then it is known not to exist."""
    crd = crds.get((wanted.key.group, wanted.key.kind))
    state = live.get(wanted.key, NOT_READ)
    absent = crd is not None and isinstance(live.get(crd, NOT_READ), Absent)
    unserved = isinstance(state, Unknown) and state.why in {Why.UNSERVED, Why.KIND_GONE}
    return absent and unserved and not wanted.policy.ignore


def _trouble(steps: Mapping[ObjectKey, Step], incomplete: str) -> str:
    """Return why nothing may be pruned before the first step is done (F2, A07)."""
    if incomplete:
        return incomplete
    troubled = sorted(key for key, step in steps.items() if isinstance(step, Skip) and step.reason.failed)
    if not troubled:
        return ""
    more = f" and {len(troubled) - 1} more" if len(troubled) > 1 else ""
    return f"{troubled[0]}{more} cannot be brought to the desired state"


def _claim(
    steps: Mapping[ObjectKey, Step],
    inventory: Inventory,
    release: ReleaseDocument,
    key: str,
    approved: Mapping[ObjectKey, str],
) -> Inventory:
    """Return the inventory to write before the first step: what was owned, united with what will be."""
    before, bundle = inventory.header, bundle_of(release)
    again = (before.epoch, before.generation) == (release.epoch, release.generation)
    entries = {
        known: replace(entry, approved=approved.get(known, entry.approved if before.bundle == bundle else ""))
        for known, entry in inventory.entries.items()
    }
    for step in steps.values():
        if isinstance(step, Create | Patch | Recreate) and step.wanted.tracked and step.key not in entries:
            entries[step.key] = Entry(step.key, step.wanted.version, **remembered(step.wanted))
    used = release.approval if approved else before.approval_used
    header = replace(
        before,
        app=release.app,
        epoch=release.epoch,
        generation=release.generation,
        key=key,
        bundle=bundle,
        attempt=before.attempt + 1 if again else 1,
        settled=False,
        approval_used=used,
    )
    return Inventory(header, entries)
