"""The tables: the ledger, what is still to be told, and the read model.

Columns of a read model's version are never null, so that a first value is always higher than none.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    true,
)

from shared.runtime.database import boolean, integer, text

metadata = MetaData()


ledger = Table(
    "ledger",
    metadata,
    # SQLite gives only INTEGER primary keys its row id, which keeps the newest rows together.
    Column("position", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("key", Text, nullable=False, unique=True),
    *(text(name) for name in ("type", "time", "source", "cluster", "app", "commit", "severity")),
    Column("body", LargeBinary, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Index("ledger_cluster", "cluster", "position"),
    Index("ledger_app", "app", "position"),
)

outbox = Table("outbox", metadata, text("name", key=True), integer("position"))
"""The last position that was told on the bus."""

clusters = Table(
    "clusters",
    metadata,
    text("cluster", key=True),
    text("membership"),
    *(Column(name, JSON) for name in ("labels", "origins", "pending_claims")),
    boolean("in_git"),
    text("uid"),
    text("kubernetes"),
    text("updated_at"),
)

agents = Table(
    "agents",
    metadata,
    text("cluster", key=True),
    *(text(name) for name in ("said_at", "session", "agent", "kubernetes")),
    boolean("stale"),
    boolean("standby"),
    integer("epoch"),
    integer("generation"),
    Column("claims", JSON),
)

presences = Table(
    "presences", metadata, text("cluster", key=True), boolean("present"), text("session"), text("last_seen")
)

revisions = Table(
    "revisions",
    metadata,
    text("source", key=True),
    integer("number", key=True),
    *(text(name) for name in ("repository", "ref", "commit", "subject", "author", "history")),
    *(text(f"{stage}_at") for stage in ("committed", "observed", "rendered", "released", "applied", "healthy")),
    *(integer(name) for name in ("targets", "failed", "released", "applied", "healthy")),
    # False once every target is healthy, or a newer tip of the same ref was seen
    Column("open", Boolean, nullable=False, server_default=true()),
    Index("revisions_ref", "source", "ref", "number"),
    Index("revisions_open", "open"),
)

commits = Table(
    "commits",
    metadata,
    text("source", key=True),
    text("commit", key=True),
    integer("number", key=True),
    Index("commits_commit", "commit"),
)

renders = Table(
    "renders",
    metadata,
    text("source", key=True),
    integer("number", key=True),
    text("ref"),
    text("commit"),
    boolean("complete"),
    integer("targets_ok"),
    integer("targets_failed"),
    Column("problems", JSON),
    Column("tools", JSON),
    text("started_at"),
    text("finished_at"),
)

render_commits = Table(
    "render_commits",
    metadata,
    text("render_source", key=True),
    integer("render_number", key=True),
    text("repository", key=True),
    text("commit", key=True),
    Index("render_commits_commit", "commit"),
)

_RELEASE = ("bundle", "state", "source", "ref", "commit", "rollout", "stage", "released_at")

targets = Table(
    "targets",
    metadata,
    text("cluster", key=True),
    text("app", key=True),
    # what the renderer made of it
    text("render_source"),
    integer("render_number"),
    text("render_at"),
    text("render_bundle"),
    boolean("render_failed"),
    Column("render_problems", JSON),
    text("repositories"),
    # what the releaser allows
    integer("epoch"),
    integer("generation"),
    integer("number"),
    *(text(name) for name in _RELEASE),
    # how the cluster does
    integer("seen_epoch"),
    integer("seen_generation"),
    *(text(f"seen_{name}") for name in ("at", "bundle")),
    *(text(name) for name in ("sync", "health", "reason", "message")),
    # the last run, in full
    integer("report_epoch"),
    integer("report_generation"),
    *(text(name) for name in ("report_at", "trigger", "result")),
    integer("attempt"),
    *(Column(name, JSON(none_as_null=True)) for name in ("counts", "failures", "hold", "drift", "warnings")),
    boolean("settled"),
    integer("applied_epoch"),
    integer("applied_generation"),
    text("applied_at"),
    # why it runs something older than git says, and the bundle that is set aside
    Column("rollback", JSON(none_as_null=True)),
    *(text(name) for name in ("aside", "rollback_at")),
    Index("targets_app", "app"),
    Index("targets_render", "render_source"),
)

releases = Table(
    "releases",
    metadata,
    text("cluster", key=True),
    text("app", key=True),
    integer("epoch", key=True),
    integer("generation", key=True),
    integer("number"),
    *(text(name) for name in _RELEASE),
    text("rollback"),
    text("result"),
    text("reported_at"),
)

followed = Table(
    "followed",
    metadata,
    text("source", key=True),
    text("repository", key=True),
    text("asked_ref", key=True),
    boolean("failed"),
    text("code"),
    text("message"),
    text("hint"),
    text("checked_at"),
    text("ref"),
    text("commit"),
    text("history"),
    text("observed_at"),
    text("dropped_at"),
)

rollouts = Table(
    "rollouts",
    metadata,
    text("rollout", key=True),
    *(text(name) for name in ("app", "source", "commit", "state", "stage", "message")),
    Column("body", JSON),
    text("updated_at"),
)

holds = Table(
    "holds",
    metadata,
    text("hold", key=True),
    *(text(name) for name in ("cluster", "app", "source", "commit", "message")),
    boolean("held"),
    Column("body", JSON),
    text("changed_at"),
)

commands = Table(
    "commands",
    metadata,
    text("command", key=True),
    *(text(name) for name in ("program", "verb", "actor", "reason", "given_at")),
    Column("arguments", JSON),
    boolean("ok"),
    *(text(name) for name in ("code", "message", "done_at")),
    Column("result", JSON),
)

dead_letters = Table(
    "dead_letters",
    metadata,
    text("key", key=True),
    text("stream"),
    integer("sequence"),
    *(text(name) for name in ("consumer", "subject", "reason", "dead_at")),
    Column("content", LargeBinary, nullable=False),
)
