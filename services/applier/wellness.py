"""Sum up how an app does from how its objects do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from services.applier.observe import Observer
from services.applier.state import Inventory
from shared.core.objects import ObjectKey
from shared.core.status import Health

# The worst counts.
_ORDER = (Health.FAILED, Health.NOT_FOUND, Health.TERMINATING, Health.IN_PROGRESS, Health.UNKNOWN, Health.CURRENT)


@dataclass(frozen=True, slots=True)
class Wellness:
    """How an app does, and the object that decided it."""

    health: Health
    reason: str = ""
    message: str = ""


def wellness(inventory: Inventory, observer: Observer, *, late: bool) -> Wellness:
    """Return how an app does; what is still on its way when it is `late` has failed."""
    worst = Wellness(Health.CURRENT)
    for key, entry in inventory.entries.items():
        if not entry.desired or entry.hook or not entry.waits:
            continue
        found = _of(key, observer)
        if _ORDER.index(found.health) < _ORDER.index(worst.health):
            worst = found
    if late and worst.health is Health.IN_PROGRESS:
        return Wellness(Health.FAILED, "HealthTimeout", worst.message)
    return worst


def unwell(keys: Iterable[ObjectKey], observer: Observer) -> str:
    """Return the first object that does not do well, in words; empty when all do."""
    for key in keys:
        if _of(key, observer).health is not Health.CURRENT:
            return str(key)
    return ""


def _of(key: ObjectKey, observer: Observer) -> Wellness:
    live = observer.present(key)
    if live is None:
        known = observer.watched(key)
        return Wellness(Health.NOT_FOUND, "NotFound", f"{key} does not exist") if known else Wellness(Health.CURRENT)
    if live.deleting:
        return Wellness(Health.TERMINATING, "Terminating", f"{key} is being deleted")
    verdict = observer.health(key)
    if verdict is None:
        return Wellness(Health.CURRENT)
    return Wellness(verdict.health, verdict.reason, f"{key}: {verdict.message}" if verdict.message else "")
