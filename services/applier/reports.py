"""Write what the agent tells the hub, byte for byte as `shared.messages.reports` would, without pydantic."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import datetime
from typing import Any

from shared.core.canonical import encode
from shared.core.status import Health, Result, Sync
from shared.core.times import time_text

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class ObjectFailure:
    """One object that could not be brought to its desired state."""

    key: str
    code: str
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Hold:
    """Deletions that wait for a person."""

    reason: str
    keys: tuple[str, ...] = ()
    count: int = 0
    approval: str = ""


@dataclass(frozen=True, slots=True)
class Counts:
    """How many objects, by what happened to them in this run."""

    objects: int = 0
    created: int = 0
    patched: int = 0
    recreated: int = 0
    unchanged: int = 0
    pruned: int = 0
    kept: int = 0
    failed: int = 0
    skipped: int = 0
    reowned: int = 0
    """Somebody had taken fields of these and left them as they were."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """An account of one run."""

    id: str
    session: str
    counter: int
    cluster: str
    app: str = ""
    trigger: str = "release"
    epoch: int = 0
    generation: int = 0
    bundle: str = ""
    commits: tuple[str, ...] = ()
    attempt: int = 1
    result: Result
    sync: Sync
    health: Health
    reason: str = ""
    message: str = ""
    counts: Counts = field(default_factory=Counts)
    failures: tuple[ObjectFailure, ...] = ()
    hold: Hold | None = None
    drift: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    settled: bool = False
    lasting: bool = False
    started_at: datetime
    finished_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The answer to an instruction."""

    id: str
    cluster: str
    ok: bool
    message: str = ""
    body: Mapping[str, Any] = field(default_factory=dict)
    at: datetime


@dataclass(frozen=True, slots=True)
class AppStatus:
    """One app on this cluster, now."""

    sync: Sync
    health: Health
    epoch: int = 0
    generation: int = 0
    bundle: str = ""
    reason: str = ""
    message: str = ""
    objects: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The agent's present state."""

    cluster: str
    session: str
    counter: int
    agent: str
    kubernetes: str = ""
    uid: str = ""
    epoch: int = 0
    generation: int = 0
    stale: bool = False
    standby: bool = False
    claims: Mapping[str, str] = field(default_factory=dict)
    apps: Mapping[str, AppStatus] = field(default_factory=dict)
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """A sign of life."""

    cluster: str
    session: str
    epoch: int = 0
    generation: int = 0
    at: datetime


def to_bytes(message: Report | Answer | Status | Heartbeat) -> bytes:
    """Return the message in canonical JSON."""
    return encode({"schema": SCHEMA, "crit": [], **_plain(message)})


def _plain(value: Any) -> Any:
    match value:
        case datetime():
            return time_text(value)
        case tuple() | list():
            return [_plain(item) for item in value]
        case Mapping():
            return {name: _plain(item) for name, item in value.items()}
        case _ if is_dataclass(value) and not isinstance(value, type):
            return {part.name: _plain(getattr(value, part.name)) for part in fields(value)}
        case _:
            return value
