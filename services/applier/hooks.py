"""Decide when objects are made anew that are run rather than kept: hooks, and what asks for it at each change (K3-K5).

Such an object carries the bundle that it was made for. One that this bundle already made is waited for and never
started twice, however often the agent was cut off in between.
"""

from __future__ import annotations

from collections.abc import Iterable

from services.applier.planned import Making, Patch, Recreate, Step
from services.applier.policy import Hook, HookEnd, Phase, Renew
from services.applier.state import Entry, Header, Present, Wanted
from services.applier.tracking import is_ours


def is_rescue(wanted: Wanted) -> bool:
    """Tell whether an object is only for a delivery that failed (K2)."""
    return wanted.policy.hook is not None and wanted.policy.hook.phase is Phase.RESCUE


def is_over(wanted: Wanted, entry: Entry | None, header: Header, bundle: str) -> bool:
    """Tell whether a hook has nothing to do: it ran for this bundle, or is for another time (K1, K5)."""
    hook = wanted.policy.hook
    if hook is None:
        return False
    ran = entry is not None and entry.desired == wanted.digest
    return ran or not _is_time(hook, header, bundle)


def _is_time(hook: Hook, header: Header, bundle: str) -> bool:
    """Tell apart the first delivery of an app and later ones; the first is over when it was applied whole."""
    if hook.first is None:
        return True
    return hook.first if header.settled_bundle in {"", bundle} else not hook.first


def run_step(wanted: Wanted, live: Present, entry: Entry | None, app: str, *, force: bool) -> Step | None:
    """Return how an object that exists is run; None: it is treated like any other."""
    hook = wanted.policy.hook
    if not is_ours(live, app, wanted.key) or (hook is None and wanted.policy.renew is Renew.NEVER):
        return None
    failed = has_failed(entry, live)
    if wanted.run and live.run == wanted.run and not failed:
        # The run before was cut off: it is still this one's (K3).
        return Patch(wanted, live.uid, force=force) if hook else None
    if hook is None:
        changed = entry is not None and entry.desired != wanted.digest
        return Recreate(wanted, live.uid) if changed else None
    if failed or HookEnd.BEFORE_CREATION in hook.ends:
        return Recreate(wanted, live.uid)
    return Patch(wanted, live.uid, force=force)


def has_failed(entry: Entry | None, live: Present) -> bool:
    """Tell whether the very object ran and did not succeed, as `settled` leaves it."""
    return entry is not None and entry.hook and not entry.desired and bool(entry.uid) and entry.uid == live.uid


def hooks_of(steps: Iterable[Step]) -> list[Making]:
    """Return the steps that start a hook."""
    return [step for step in steps if isinstance(step, Making) and step.wanted.policy.hook]


def ends(step: Making, *, failed: bool) -> bool:
    """Tell whether a hook's object is deleted now that its outcome is known (K4)."""
    hook = step.wanted.policy.hook
    return hook is not None and (HookEnd.FAILED if failed else HookEnd.SUCCEEDED) in hook.ends
