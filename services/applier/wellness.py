"""Sum up how an app does from how its objects do, and say when waiting for them is over."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from services.applier.finished import is_done
from services.applier.health import Doubt, Status
from services.applier.observe import Observer
from services.applier.state import Entry, Inventory, Present
from shared.core.objects import ObjectKey
from shared.core.status import Health

SILENCE_S = 10.0
"""So long an object may say nothing before it is taken to be well."""
# The worst counts.
_ORDER = (Health.FAILED, Health.NOT_FOUND, Health.TERMINATING, Health.IN_PROGRESS, Health.UNKNOWN, Health.CURRENT)


@dataclass(frozen=True, slots=True)
class Wellness:
    """How an app does, and the object that decided it."""

    health: Health
    reason: str = ""
    message: str = ""


WELL = Wellness(Health.CURRENT)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long objects may take to do well."""

    now: float
    """Monotonic seconds, like `since`."""
    since: float
    """When the waiting began; an object that was well until later has its time from then."""
    timeout_s: float
    """For an object that asks for no other time (J4)."""
    fail_fast: bool = False
    """The first failure ends the waiting, whatever else is on its way (J5)."""


def wellness(inventory: Inventory, observer: Observer, patience: Patience) -> Wellness:
    """Return how an app does; hooks, and what asks not to be waited for, do not count (J9)."""
    counting = [each for each in inventory.entries.values() if each.desired and each.waits and not each.hook]
    return summed((_of(each.key, observer, patience, each) for each in counting), fail_fast=patience.fail_fast)


def waited(keys: Iterable[ObjectKey], observer: Observer, patience: Patience) -> tuple[bool, str]:
    """Return whether waiting for objects is over, and the first that does not do well: empty when all do."""
    found = {key: _of(key, observer, patience) for key in keys}
    bad = [key for key, each in found.items() if each.health is not Health.CURRENT]
    total = summed(found.values(), fail_fast=patience.fail_fast)
    late = all(patience.now - patience.since > _limit_s(observer.present(key), patience) for key in bad)
    return late or total.health is Health.FAILED, str(bad[0]) if bad else ""


def summed(found: Iterable[Wellness], *, fail_fast: bool) -> Wellness:
    """Return the worst; while anything is in progress a failure is only told, and decides nothing yet (J5)."""
    each = [one for one in found if one is not WELL]
    worst = min(each, key=lambda one: _ORDER.index(one.health), default=WELL)
    if worst.health is Health.FAILED and not fail_fast and any(one.health is Health.IN_PROGRESS for one in each):
        return Wellness(Health.IN_PROGRESS, worst.reason, worst.message)
    return worst


def _of(key: ObjectKey, observer: Observer, patience: Patience, entry: Entry | None = None) -> Wellness:
    live = observer.present(key)
    if live is None:
        if not observer.watched(key) or (entry is not None and is_done(entry, observer)):
            return WELL
        return Wellness(Health.NOT_FOUND, "NotFound", f"{key} does not exist")
    if live.deleting:
        return Wellness(Health.TERMINATING, "Terminating", f"{key} is being deleted")
    if entry is not None and entry.uid and entry.uid != live.uid:
        # Somebody made it anew: what it says is not about what was applied (J3).
        return Wellness(Health.IN_PROGRESS, "Replaced", f"{key} is not the object that was applied")
    status = observer.healths.status(key)
    if status is None or status.health is Health.CURRENT:
        return WELL
    return _timed(key, status, patience, observer.healths.unwell_since(key), _limit_s(live, patience))


def _limit_s(live: Present | None, patience: Patience) -> float:
    asked = live.policy.health_timeout_s if live else None
    return patience.timeout_s if asked is None else asked


def _timed(key: ObjectKey, status: Status, patience: Patience, unwell_since: float, limit_s: float) -> Wellness:
    """Return what a verdict means now: a failure that may pass waits for the release's time, progress for its own."""
    message = f"{key}: {status.message}" if status.message else ""
    age_s = patience.now - max(patience.since, unwell_since)
    new = patience.now - patience.since <= limit_s
    if status.doubt is Doubt.SILENT and age_s >= SILENCE_S:
        return WELL
    if status.doubt is Doubt.PASSING and new and not patience.fail_fast:
        return Wellness(Health.IN_PROGRESS, status.reason, message)
    if status.health is Health.IN_PROGRESS and age_s > limit_s:
        return Wellness(Health.FAILED, "HealthTimeout", message)
    return Wellness(status.health, status.reason, message)
