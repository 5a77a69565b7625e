"""Changes of the read model: rows that a message brings, each group of columns guarded by its own version.

A change is written only where its version is higher than the stored one. So the order and the number of deliveries do
not matter, and what a render, a release and a report say of one target never overwrite each other.
Times are RFC 3339 text in UTC: they sort as they read.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar

from services.auditor.ledger import Event


@dataclass(frozen=True, slots=True)
class Change:
    """One row, or some columns of it; the fields are named as the columns of `TABLE`."""

    TABLE: ClassVar[str]
    VERSION: ClassVar[tuple[str, ...] | None]
    """Columns that, compared in this order, must rise; empty: an existing row stays as it is; None: always written."""

    def row(self) -> dict[str, Any]:
        """Return the columns and their values."""
        return {each.name: getattr(self, each.name) for each in fields(self)}


@dataclass(frozen=True, slots=True)
class ClusterRegistered(Change):
    """A cluster as the releaser knows it."""

    TABLE: ClassVar[str] = "clusters"
    VERSION: ClassVar[tuple[str, ...] | None] = ("updated_at",)

    cluster: str
    membership: str
    labels: dict[str, str]
    origins: dict[str, str]
    pending_claims: dict[str, str]
    in_git: bool
    uid: str
    kubernetes: str
    updated_at: str


@dataclass(frozen=True, slots=True)
class AgentSaid(Change):
    """An agent about itself."""

    TABLE: ClassVar[str] = "agents"
    VERSION: ClassVar[tuple[str, ...] | None] = ("said_at",)

    cluster: str
    said_at: str
    session: str
    agent: str
    kubernetes: str
    stale: bool
    standby: bool
    epoch: int
    generation: int
    claims: dict[str, str]


@dataclass(frozen=True, slots=True)
class RevisionObserved(Change):
    """A tip that the poller saw."""

    TABLE: ClassVar[str] = "revisions"
    VERSION: ClassVar[tuple[str, ...] | None] = ()

    source: str
    number: int
    repository: str
    ref: str
    commit: str
    subject: str
    author: str
    history: str
    committed_at: str
    observed_at: str


@dataclass(frozen=True, slots=True)
class CommitSeen(Change):
    """A commit that a tip brought: the tip itself, or one that was passed over on the way to it."""

    TABLE: ClassVar[str] = "commits"
    VERSION: ClassVar[tuple[str, ...] | None] = ()

    source: str
    commit: str
    number: int


@dataclass(frozen=True, slots=True)
class RenderFinished(Change):
    """A source was rendered at a number."""

    TABLE: ClassVar[str] = "renders"
    VERSION: ClassVar[tuple[str, ...] | None] = ("finished_at",)

    source: str
    number: int
    ref: str
    commit: str
    complete: bool
    targets_ok: int
    targets_failed: int
    problems: list[dict[str, Any]]
    tools: dict[str, str]
    started_at: str
    finished_at: str


@dataclass(frozen=True, slots=True)
class CommitRendered(Change):
    """A commit that a render was made of."""

    TABLE: ClassVar[str] = "render_commits"
    VERSION: ClassVar[tuple[str, ...] | None] = ()

    render_source: str
    render_number: int
    repository: str
    commit: str


@dataclass(frozen=True, slots=True)
class TargetRendered(Change):
    """The bundle that a render made for a target, or why there is none."""

    TABLE: ClassVar[str] = "targets"
    VERSION: ClassVar[tuple[str, ...] | None] = ("render_number", "render_at")

    cluster: str
    app: str
    render_source: str
    render_number: int
    render_at: str
    render_bundle: str
    render_failed: bool
    render_problems: list[dict[str, Any]]
    repositories: str
    """URLs of the repositories of its content, each between line feeds."""


@dataclass(frozen=True, slots=True)
class _Released(Change):
    """A release of a target."""

    cluster: str
    app: str
    epoch: int
    generation: int
    bundle: str
    state: str
    source: str
    number: int
    ref: str
    commit: str
    rollout: str
    stage: str
    released_at: str


@dataclass(frozen=True, slots=True)
class TargetReleased(_Released):
    """What a target shall run."""

    TABLE: ClassVar[str] = "targets"
    VERSION: ClassVar[tuple[str, ...] | None] = ("epoch", "generation")


@dataclass(frozen=True, slots=True)
class ReleaseMade(_Released):
    """One release, kept for its history."""

    TABLE: ClassVar[str] = "releases"
    VERSION: ClassVar[tuple[str, ...] | None] = ("released_at",)

    rollback: str
    """Why it takes its target back; empty: it does not."""


@dataclass(frozen=True, slots=True)
class ReleaseReported(Change):
    """How a release ended, so far."""

    TABLE: ClassVar[str] = "releases"
    VERSION: ClassVar[tuple[str, ...] | None] = ("reported_at",)

    cluster: str
    app: str
    epoch: int
    generation: int
    result: str
    reported_at: str


@dataclass(frozen=True, slots=True)
class TargetSeen(Change):
    """How a target does, by a report or a status, whichever is newer."""

    TABLE: ClassVar[str] = "targets"
    VERSION: ClassVar[tuple[str, ...] | None] = ("seen_epoch", "seen_generation", "seen_at")

    cluster: str
    app: str
    seen_epoch: int
    seen_generation: int
    seen_at: str
    seen_bundle: str
    sync: str
    health: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class TargetReported(Change):
    """The last run of a target, in full."""

    TABLE: ClassVar[str] = "targets"
    VERSION: ClassVar[tuple[str, ...] | None] = ("report_epoch", "report_generation", "report_at")

    cluster: str
    app: str
    report_epoch: int
    report_generation: int
    report_at: str
    trigger: str
    result: str
    attempt: int
    counts: dict[str, int]
    failures: list[dict[str, Any]]
    hold: dict[str, Any] | None
    drift: list[str]
    warnings: list[str]
    settled: bool


@dataclass(frozen=True, slots=True)
class TargetApplied(Change):
    """The last time that a run brought a target to what was released."""

    TABLE: ClassVar[str] = "targets"
    VERSION: ClassVar[tuple[str, ...] | None] = ("applied_epoch", "applied_generation", "applied_at")

    cluster: str
    app: str
    applied_epoch: int
    applied_generation: int
    applied_at: str


@dataclass(frozen=True, slots=True)
class TargetTakenBack(Change):
    """A target runs something older than git says, or follows git again."""

    TABLE: ClassVar[str] = "targets"
    VERSION: ClassVar[tuple[str, ...] | None] = ("rollback_at",)

    cluster: str
    app: str
    rollback: dict[str, Any] | None
    aside: str
    rollback_at: str


@dataclass(frozen=True, slots=True)
class RolloutMoved(Change):
    """Where a rollout stands."""

    TABLE: ClassVar[str] = "rollouts"
    VERSION: ClassVar[tuple[str, ...] | None] = ("updated_at",)

    rollout: str
    app: str
    source: str
    commit: str
    state: str
    stage: str
    message: str
    body: dict[str, Any]
    updated_at: str


@dataclass(frozen=True, slots=True)
class HoldChanged(Change):
    """Something of the releaser waits for a person, or waits no more."""

    TABLE: ClassVar[str] = "holds"
    VERSION: ClassVar[tuple[str, ...] | None] = ("changed_at",)

    hold: str
    cluster: str
    app: str
    source: str
    commit: str
    held: bool
    message: str
    body: dict[str, Any]
    changed_at: str


@dataclass(frozen=True, slots=True)
class CommandGiven(Change):
    """Somebody asked for something."""

    TABLE: ClassVar[str] = "commands"
    VERSION: ClassVar[tuple[str, ...] | None] = ("given_at",)

    command: str
    program: str
    verb: str
    arguments: dict[str, Any]
    actor: str
    reason: str
    given_at: str


@dataclass(frozen=True, slots=True)
class CommandDone(Change):
    """A command was answered."""

    TABLE: ClassVar[str] = "commands"
    VERSION: ClassVar[tuple[str, ...] | None] = ("done_at",)

    command: str
    ok: bool
    code: str
    message: str
    result: dict[str, Any]
    done_at: str


@dataclass(frozen=True, slots=True)
class Presence(Change):
    """Whether an agent's signs of life arrive."""

    TABLE: ClassVar[str] = "presences"
    VERSION: ClassVar[tuple[str, ...] | None] = None  # the auditor's own knowledge, made in one place and in order

    cluster: str
    present: bool
    session: str
    last_seen: str


@dataclass(frozen=True, slots=True)
class DeadLetter(Change):
    """A message that a program gave up, or that could not be read, kept for people."""

    TABLE: ClassVar[str] = "dead_letters"
    VERSION: ClassVar[tuple[str, ...] | None] = ()

    key: str
    stream: str
    sequence: int
    consumer: str
    subject: str
    reason: str
    content: bytes
    dead_at: str


@dataclass(frozen=True, slots=True)
class Folded:
    """What a message means: events, and changes that are made only if the first event is new, or there is none."""

    events: tuple[Event, ...] = ()
    changes: tuple[Change, ...] = ()
