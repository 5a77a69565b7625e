"""What an agent tells the hub. The applier writes these bytes without pydantic; a contract test holds both equal."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from shared.core.status import Health, Result, Sync
from shared.messages.base import Message, Part, Timestamp


class ObjectFailure(Part):
    """One object that could not be brought to its desired state; the message is redacted and at most 1 KiB."""

    key: str
    code: str
    """The class of the error: Schema, Invalid, Immutable, Conflict, Forbidden, ..."""
    message: str
    hint: str = ""


class Hold(Part):
    """Deletions that wait for a person."""

    reason: str
    """PruneGuard, EmptyBundle, Unexpected, ..."""
    keys: tuple[str, ...] = ()
    """The first 50."""
    count: int = 0
    approval: str = ""
    """sha256 of all the sorted keys, one a line: what an approval must name."""


class Counts(Part):
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


class Report(Message):
    """An applier's account of one run (stream REPORTS, kind `result`)."""

    id: str
    """UUID; the ledger stores it once."""
    session: str
    counter: int
    """Rises by one a report of this session: a gap is visible."""
    cluster: str
    app: str = ""
    """Empty: about the whole cluster, as a refused desired document is."""
    trigger: str = "release"
    """`release`, `drift`, `health`, `verify`, `resume`."""
    epoch: int = 0
    generation: int = 0
    bundle: str = ""
    commits: tuple[str, ...] = ()
    attempt: int = 1
    result: Result
    sync: Sync
    health: Health
    reason: str = ""
    """CamelCase, closed list; for a refusal its code."""
    message: str = ""
    counts: Counts = Field(default_factory=Counts)
    failures: tuple[ObjectFailure, ...] = ()
    """The first 50."""
    hold: Hold | None = None
    drift: tuple[str, ...] = ()
    """Lines for people: what was changed by whom, the first 50."""
    warnings: tuple[str, ...] = ()
    settled: bool = False
    """The inventory equals the bundle: nothing else of this app is in the cluster."""
    lasting: bool = False
    """Nothing of what failed mends by itself: something must be released, or changed in the cluster."""
    started_at: Timestamp
    finished_at: Timestamp


class Answer(Message):
    """The answer to an instruction (stream REPORTS, kind `answer`)."""

    id: str
    """The instruction's id."""
    cluster: str
    ok: bool
    message: str = ""
    body: dict[str, Any] = Field(default_factory=dict)
    at: Timestamp


class AppStatus(Part):
    """One app on this cluster, now."""

    epoch: int = 0
    generation: int = 0
    bundle: str = ""
    sync: Sync
    health: Health
    reason: str = ""
    message: str = ""
    objects: int = 0


class Status(Message):
    """An agent's present state (stream STATUS, last value)."""

    cluster: str
    session: str
    counter: int
    agent: str
    """Version of the applier."""
    kubernetes: str = ""
    uid: str = ""
    epoch: int = 0
    generation: int = 0
    """The highest pair accepted."""
    stale: bool = False
    """Nothing could be read from the bus for 5 minutes."""
    standby: bool = False
    claims: dict[str, str] = Field(default_factory=dict)
    apps: dict[str, AppStatus] = Field(default_factory=dict)
    at: Timestamp


class Heartbeat(Message):
    """A sign of life (core message, never stored)."""

    cluster: str
    session: str
    epoch: int = 0
    generation: int = 0
    at: Timestamp
