"""Keep `metadata.managedFields`: who owns which fields of an object, through which kind of write."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from services.kubesim.fields import NONE, Difference, Fields, decode, encode

UPDATES_KEPT = 10
OLDEST = "ancient-changes"
BEFORE = "before-first-apply"
# Fields nobody owns: identity, and what the server alone writes.
UNOWNED: frozenset[tuple[str, ...]] = frozenset(
    [("f:apiVersion",), ("f:kind",), ("f:metadata",)]
    + [
        ("f:metadata", f"f:{name}")
        for name in (
            "name",
            "namespace",
            "creationTimestamp",
            "selfLink",
            "uid",
            "resourceVersion",
            "generation",
            "managedFields",
            "clusterName",
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
        )
    ]
)


class Manager(NamedTuple):
    """Who writes: one entry of managedFields each."""

    name: str
    operation: str
    api_version: str
    subresource: str = ""


@dataclass(frozen=True, slots=True)
class Owned:
    """What a manager owns, and when that last came with a change of the object; empty = never."""

    fields: Fields
    time: str = ""


Managers = dict[Manager, Owned]


def read_managers(entries: Any) -> Managers:
    """Return the entries of `metadata.managedFields`; entries without a manager count for nothing."""
    managers: Managers = {}
    for entry in entries or ():
        if isinstance(entry, Mapping) and entry.get("operation"):
            who = Manager(
                entry.get("manager", ""),
                entry["operation"],
                entry.get("apiVersion", ""),
                entry.get("subresource", ""),
            )
            managers[who] = Owned(decode(entry.get("fieldsV1") or {}), entry.get("time") or "")
    return managers


def write_managers(managers: Managers) -> list[dict[str, Any]]:
    """Return the entries as the server sorts them: applies first, then by time, manager and subresource."""
    entries = []
    for who, owned in sorted(managers.items(), key=lambda pair: (pair[0].operation, pair[1].time, pair[0])):
        entry: dict[str, Any] = {"manager": who.name, "operation": who.operation, "apiVersion": who.api_version}
        if owned.time:
            entry["time"] = owned.time
        entry |= {"fieldsType": "FieldsV1", "fieldsV1": encode(owned.fields)}
        if who.subresource:
            entry["subresource"] = who.subresource
        entries.append(entry)
    return entries


def after_update(managers: Managers, who: Manager, difference: Difference, now: str) -> Managers:
    """Return the managers after a write that is not an apply: what it changed is its own."""
    changed = difference.changed - UNOWNED
    removed = difference.removed
    touched = changed | removed
    if not touched:
        return managers
    result: Managers = {}
    for other, owned in managers.items():
        left = owned.fields - (removed if other == who else touched)
        if left:
            result[other] = owned if left == owned.fields else Owned(left, owned.time)
    if changed:
        before = result[who].fields if who in result else NONE
        result[who] = Owned(before | changed, now)
    return _cap_updates(result)


def _cap_updates(managers: Managers) -> Managers:
    updates = sorted(
        (who for who in managers if who.operation == "Update" and not who.subresource),
        key=lambda who: (managers[who].time, who.name),
    )
    if len(updates) <= UPDATES_KEPT:
        return managers
    result = dict(managers)
    for who in updates[: len(updates) - UPDATES_KEPT + 1]:
        folded = result.pop(who)
        bucket = Manager(OLDEST, "Update", who.api_version)
        before = result[bucket].fields if bucket in result else NONE
        result[bucket] = Owned(before | folded.fields, folded.time)
    return result


def union(managers: Managers) -> Fields:
    """Return the fields that any of `managers` owns."""
    return frozenset[tuple[str, ...]]().union(*(owned.fields for owned in managers.values()))
