"""The ledger: what an event is, and the chain that makes an altered past visible.

Every event has a natural key, so that a message that is delivered twice is stored once. Every row holds the sha256 of
the row before it and of its own canonical body, so that nobody changes, removes or swaps a row unnoticed. The chain
cannot tell that its newest rows were cut off: compare its head with one that you noted earlier.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from shared import subjects
from shared.core.canonical import decode, encode
from shared.core.names import name_problem
from shared.core.times import time_text
from shared.messages.facts import CloudEvent

ORIGIN = bytes(32)
"""What the first row chains to."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, not yet in the ledger; `type` is `noun.past-participle`."""

    key: str
    type: str
    time: datetime
    source: str = ""
    cluster: str = ""
    app: str = ""
    commit: str = ""
    severity: str = "info"
    message: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of the ledger; `body` is canonical JSON and holds all the other columns but `hash` too."""

    position: int
    key: str
    type: str
    time: str
    source: str
    cluster: str
    app: str
    commit: str
    severity: str
    body: bytes
    hash: bytes


_COLUMNS = ("position", "key", "type", "time", "source", "cluster", "app", "commit", "severity")


def entry_of(event: Event, position: int, previous: bytes) -> Entry:
    """Return the row of `event` at `position`, chained to the hash of the row before."""
    columns: dict[str, Any] = {
        "position": position,
        "key": event.key,
        "type": event.type,
        "time": time_text(event.time),
        "source": event.source,
        "cluster": event.cluster,
        "app": event.app,
        "commit": event.commit,
        "severity": event.severity,
    }
    body = encode({**columns, "message": event.message, "data": dict(event.data)})
    return Entry(**columns, body=body, hash=linked(previous, body))


def linked(previous: bytes, body: bytes) -> bytes:
    """Return the hash of a row: sha256 over the hash of the row before and its own body."""
    return hashlib.sha256(previous + body).digest()


@dataclass(frozen=True, slots=True)
class Break:
    """The first row that is not what was written, and why."""

    position: int
    why: str


def first_break(entries: Iterable[Entry], previous: bytes = ORIGIN, position: int = 1) -> Break | None:
    """Return where the chain of `entries` breaks, or None.

    Args:
        entries: rows in the order of their positions.
        previous: the hash of the row before the first.
        position: the position that the first row must have.
    """
    for entry in entries:
        if entry.position != position:
            return Break(position, f"row {position} is missing, row {entry.position} follows")
        if linked(previous, entry.body) != entry.hash:
            return Break(position, f"row {position} or the one before it was altered")
        body = decode(entry.body)
        if any(body.get(name) != getattr(entry, name) for name in _COLUMNS):
            return Break(position, f"columns of row {position} differ from its body")
        previous, position = entry.hash, position + 1
    return None


def cloud_event(entry: Entry, hub: str) -> CloudEvent:
    """Return the public form of a row; its id is the position, the cursor to resume from."""
    body = decode(entry.body)
    facts = {name: body[name] for name in ("source", "cluster", "app", "commit", "severity", "message") if body[name]}
    return CloudEvent(
        id=str(entry.position),
        source=f"/towline/{hub or 'hub'}",
        type=f"dev.towline.{entry.type}.v1",
        subject=subject_of(entry),
        time=datetime.fromisoformat(entry.time),
        data={**facts, **body["data"]},
    )


def subject_of(entry: Entry) -> str:
    """Return what an event is about: `<cluster>/<app>`, `<app>`, `<cluster>`, `<source>@<commit>` or `hub`.

    People read it, so of a commit it has the 12 digits that are shown everywhere; all of it is in the event's data.
    """
    place = "/".join(part for part in (entry.cluster, entry.app) if part)
    commit = f"{entry.source}@{entry.commit[:12]}" if entry.commit else entry.source
    return place or commit or subjects.HUB


def bus_subject(entry: Entry) -> str:
    """Return the subject on which the bus tells of a row; a type is one token there, what is no name is left out."""
    cluster, app = ("" if name_problem(name) else name for name in (entry.cluster, entry.app))
    return subjects.event("", cluster, app, entry.type.replace(".", "-"))
