"""Say of single objects of an app how they stand, for whoever asks (rules R2, E11): a page at a time, or one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from services.applier.observe import Observer
from services.applier.reports import ObjectFailure
from services.applier.state import Entry, Inventory
from shared.core.canonical import encode

PAGE_BYTES = 48 << 10
"""An answer is one message."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of one app's objects."""

    inventory: Inventory
    observer: Observer
    failures: Iterable[ObjectFailure]
    """Of the last run."""
    strays: Callable[[Entry], bool]
    """Tells whether an object is not as it was left."""


def page(known: Known, *, after: str = "", key: str = "") -> dict[str, Any]:
    """Return `objects`, in the order of their keys, and in `next` after which key to ask for more; empty: that was all.

    Args:
        known: the app's objects.
        after: only what comes after this key.
        key: only the object with this key.
    """
    entries = {str(each.key): each for each in known.inventory.entries.values()}
    failures = {each.key: each for each in known.failures}
    rows: list[dict[str, Any]] = []
    size = 0
    for name in sorted(entries.keys() | failures.keys()):
        if name <= after or (key and name != key):
            continue
        row = _row(name, entries.get(name), failures.get(name), known)
        size += len(encode(row))
        if rows and size > PAGE_BYTES:
            return {"objects": rows, "next": rows[-1]["key"]}
        rows.append(row)
    return {"objects": rows, "next": ""}


def _row(name: str, entry: Entry | None, failure: ObjectFailure | None, known: Known) -> dict[str, Any]:
    """Return what is known of one object; what is not known is left out."""
    row: dict[str, Any] = {"key": name, "state": _state(entry, failure, known)}
    if failure:
        row["error"] = {"code": failure.code, "message": failure.message, "hint": failure.hint}
    if entry is None:
        return row
    row |= {"version": entry.version, "uid": entry.uid, "created": entry.created}
    if status := known.observer.healths.status(entry.key):
        row |= {"health": status.health.value, "reason": status.reason, "message": status.message}
    live = known.observer.present(entry.key)
    if live is not None and row["state"] == "drifted":
        row["managers"] = list(live.managers)
    return row


def _state(entry: Entry | None, failure: ObjectFailure | None, known: Known) -> str:
    """Return an object's state in one word."""
    if failure is not None:
        return "failed"
    if entry is None or not entry.desired:
        return "claimed"
    if known.observer.watched(entry.key) and known.observer.present(entry.key) is None and not entry.done:
        return "ran" if entry.hook else "missing"
    return "drifted" if known.strays(entry) else "applied"
