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
    false,
    true,
)

metadata = MetaData()


def _text(name: str, *, key: bool = False) -> Column[str]:
    return Column(name, Text, primary_key=key, nullable=False, server_default=None if key else "")


def _int(name: str, *, key: bool = False) -> Column[int]:
    return Column(name, BigInteger, primary_key=key, nullable=False, server_default=None if key else "0")


def _bool(name: str) -> Column[bool]:
    return Column(name, Boolean, nullable=False, server_default=false())


ledger = Table(
    "ledger",
    metadata,
    # SQLite gives only INTEGER primary keys its row id, which keeps the newest rows together.
    Column("position", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("key", Text, nullable=False, unique=True),
    *(_text(name) for name in ("type", "time", "source", "cluster", "app", "commit", "severity")),
    Column("body", LargeBinary, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Index("ledger_cluster", "cluster", "position"),
    Index("ledger_app", "app", "position"),
)

outbox = Table("outbox", metadata, _text("name", key=True), _int("position"))
"""The last position that was told on the bus."""

clusters = Table(
    "clusters",
    metadata,
    _text("cluster", key=True),
    _text("membership"),
    *(Column(name, JSON) for name in ("labels", "origins", "pending_claims")),
    _bool("in_git"),
    _text("uid"),
    _text("kubernetes"),
    _text("updated_at"),
)

agents = Table(
    "agents",
    metadata,
    _text("cluster", key=True),
    *(_text(name) for name in ("said_at", "session", "agent", "kubernetes")),
    _bool("stale"),
    _bool("standby"),
    _int("epoch"),
    _int("generation"),
    Column("claims", JSON),
)

presences = Table(
    "presences", metadata, _text("cluster", key=True), _bool("present"), _text("session"), _text("last_seen")
)

revisions = Table(
    "revisions",
    metadata,
    _text("source", key=True),
    _int("number", key=True),
    *(_text(name) for name in ("repository", "ref", "commit", "subject", "author", "history")),
    *(_text(f"{stage}_at") for stage in ("committed", "observed", "rendered", "released", "applied", "healthy")),
    *(_int(name) for name in ("targets", "failed", "released", "applied", "healthy")),
    # False once every target is healthy, or a newer tip of the same ref was seen
    Column("open", Boolean, nullable=False, server_default=true()),
    Index("revisions_ref", "source", "ref", "number"),
    Index("revisions_open", "open"),
)

commits = Table(
    "commits",
    metadata,
    _text("source", key=True),
    _text("commit", key=True),
    _int("number", key=True),
    Index("commits_commit", "commit"),
)

renders = Table(
    "renders",
    metadata,
    _text("source", key=True),
    _int("number", key=True),
    _text("ref"),
    _text("commit"),
    _bool("complete"),
    _int("targets_ok"),
    _int("targets_failed"),
    Column("problems", JSON),
    Column("tools", JSON),
    _text("started_at"),
    _text("finished_at"),
)

render_commits = Table(
    "render_commits",
    metadata,
    _text("render_source", key=True),
    _int("render_number", key=True),
    _text("repository", key=True),
    _text("commit", key=True),
    Index("render_commits_commit", "commit"),
)

_RELEASE = ("bundle", "state", "source", "ref", "commit", "rollout", "stage", "released_at")

targets = Table(
    "targets",
    metadata,
    _text("cluster", key=True),
    _text("app", key=True),
    # what the renderer made of it
    _text("render_source"),
    _int("render_number"),
    _text("render_at"),
    _text("render_bundle"),
    _bool("render_failed"),
    Column("render_problems", JSON),
    _text("repositories"),
    # what the releaser allows
    _int("epoch"),
    _int("generation"),
    _int("number"),
    *(_text(name) for name in _RELEASE),
    # how the cluster does
    _int("seen_epoch"),
    _int("seen_generation"),
    *(_text(f"seen_{name}") for name in ("at", "bundle")),
    *(_text(name) for name in ("sync", "health", "reason", "message")),
    # the last run, in full
    _int("report_epoch"),
    _int("report_generation"),
    *(_text(name) for name in ("report_at", "trigger", "result")),
    _int("attempt"),
    *(Column(name, JSON(none_as_null=True)) for name in ("counts", "failures", "hold", "drift", "warnings")),
    _bool("settled"),
    _int("applied_epoch"),
    _int("applied_generation"),
    _text("applied_at"),
    Index("targets_app", "app"),
    Index("targets_render", "render_source"),
)

releases = Table(
    "releases",
    metadata,
    _text("cluster", key=True),
    _text("app", key=True),
    _int("epoch", key=True),
    _int("generation", key=True),
    _int("number"),
    *(_text(name) for name in _RELEASE),
    _text("result"),
    _text("reported_at"),
)

sources = Table(
    "sources",
    metadata,
    _text("source", key=True),
    _bool("failed"),
    _text("code"),
    _text("message"),
    _text("checked_at"),
)

rollouts = Table(
    "rollouts",
    metadata,
    _text("rollout", key=True),
    *(_text(name) for name in ("app", "source", "commit", "state", "stage", "message")),
    Column("body", JSON),
    _text("updated_at"),
)

holds = Table(
    "holds",
    metadata,
    _text("hold", key=True),
    *(_text(name) for name in ("cluster", "app", "source", "commit", "message")),
    _bool("held"),
    Column("body", JSON),
    _text("changed_at"),
)

commands = Table(
    "commands",
    metadata,
    _text("command", key=True),
    *(_text(name) for name in ("program", "verb", "actor", "reason", "given_at")),
    Column("arguments", JSON),
    _bool("ok"),
    *(_text(name) for name in ("code", "message", "done_at")),
    Column("result", JSON),
)

dead_letters = Table(
    "dead_letters",
    metadata,
    _text("key", key=True),
    _text("stream"),
    _int("sequence"),
    *(_text(name) for name in ("consumer", "subject", "reason", "dead_at")),
    Column("content", LargeBinary, nullable=False),
)
