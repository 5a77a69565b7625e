"""The tables of the releaser: the registry of clusters, what runs where and why, and what is still to be said.

This database is precious: its counters are what makes a generation newer than another. Columns of JSON hold what is
only ever read whole.
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


def _bool(name: str, *, default: bool = False) -> Column[bool]:
    return Column(name, Boolean, nullable=False, server_default=true() if default else false())


def _json(name: str) -> Column[object]:
    return Column(name, JSON(none_as_null=True))


hub = Table("hub", metadata, _text("name", key=True), _json("value"))
"""Single values: epoch, version of the index of clusters, the fleet part, whether the database was restored, ..."""

clusters = Table(
    "clusters",
    metadata,
    _text("cluster", key=True),
    _text("membership"),
    # what was said: git null where git does not declare the cluster
    *(_json(name) for name in ("git_labels", "git_values", "hub_labels", "claims", "approved")),
    # what counts of it
    *(_json(name) for name in ("labels", "origins", "pending")),
    *(_text(name) for name in ("uid", "kubernetes", "public_key", "jwt_at", "updated_at", "heard_at")),
    # pruned first, then removed
    _bool("leaving"),
    *(_int(name) for name in ("changed_version", "asked_version")),
    # CLUSTERS says what stands here
    _bool("told"),
)

join_tokens = Table(
    "join_tokens",
    metadata,
    _text("secret_hash", key=True),
    _text("cluster"),
    _text("expires_at"),
    # key of the agent that used it
    _text("used_by"),
)

revocations = Table("revocations", metadata, _text("public_key", key=True), _text("cluster"), _int("at"))
"""Keys that are cut off, and the second from which on."""

sources = Table(
    "sources",
    metadata,
    _text("source", key=True),
    _int("number"),
    _int("version"),
    # of the last render that read everything whole
    _int("whole_version"),
    *(_text(name) for name in ("commit", "ref")),
)

apps = Table("apps", metadata, _text("app", key=True), _text("source"), _json("plan"), Index("apps_source", "source"))
"""Who holds an app's name, and how its revisions move; without a plan all at once."""

bundles = Table(
    "bundles",
    metadata,
    _text("bundle", key=True),
    _json("reference"),
    # zstd of the keys, one a line; null where they are not known
    Column("key_list", LargeBinary),
    _text("named_at"),
)

targets = Table(
    "targets",
    metadata,
    _text("cluster", key=True),
    _text("app", key=True),
    _text("source"),
    # what the last render that could make it wants here; empty: nothing was rendered yet
    _text("wanted"),
    _text("bundle"),
    *(_json(name) for name in ("options", "origin")),
    _bool("listed"),
    # the hold that stops its removal
    _text("hold"),
    # what is released: `content` as `wanted`; state is empty, present or removed
    _int("epoch"),
    _int("generation"),
    *(_text(name) for name in ("state", "content", "released", "rollout", "suspended_until", "released_at")),
    _json("release"),
    # bundles that may have left something in the cluster
    _json("runs"),
    _bool("runs_known", default=True),
    # what the cluster says of it
    _int("seen_epoch"),
    _int("seen_generation"),
    *(_text(name) for name in ("sync", "health", "result", "seen_at", "hold_digest")),
    _bool("settled"),
    Index("targets_app", "app"),
    Index("targets_source", "source"),
    Index("targets_bundle", "bundle"),
)

releases = Table(
    "releases",
    metadata,
    _text("cluster", key=True),
    _text("app", key=True),
    _int("epoch", key=True),
    _int("generation", key=True),
    _text("bundle"),
    Index("releases_bundle", "bundle"),
)
"""The last releases of each target: garbage is what none of them names."""

desired = Table(
    "desired",
    metadata,
    _text("cluster", key=True),
    _int("epoch"),
    _int("generation"),
    _text("roster"),
    Column("roster_bytes", LargeBinary, nullable=False),
    Column("envelope", LargeBinary, nullable=False),
)
"""What was signed, byte for byte: nothing is ever signed twice with the same counters."""

rosters = Table(
    "rosters", metadata, _text("cluster", key=True), _text("roster", key=True), _int("epoch"), _int("generation")
)
"""Roster blobs that may be on the bus."""

rollouts = Table(
    "rollouts",
    metadata,
    _text("app", key=True),
    *(_text(name) for name in ("rollout", "source", "commit", "state", "stage", "message", "digest")),
    _int("number"),
    *(_json(name) for name in ("approved", "needs")),
)
"""The last rollout of each app; state is running, paused or finished."""

holds = Table(
    "holds",
    metadata,
    _text("hold", key=True),
    *(_text(name) for name in ("kind", "source", "commit", "cluster", "app", "digest", "message", "held_at")),
    _int("number"),
    _json("body"),
)

suspensions = Table(
    "suspensions",
    metadata,
    _text("cluster", key=True),
    _text("app", key=True),
    *(_text(name) for name in ("reason", "by", "until")),
)
"""An empty cluster means the app everywhere, an empty app the whole cluster."""

commands = Table(
    "commands", metadata, _text("command", key=True), Column("fact", LargeBinary, nullable=False), _text("at")
)
"""Answers to commands: one that is delivered again is answered alike, and does nothing."""

outbox = Table(
    "outbox",
    metadata,
    # SQLite gives only INTEGER primary keys its row id
    Column("position", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    _text("id"),
    _text("subject"),
    Column("body", LargeBinary, nullable=False),
)
"""Facts and commands that were decided and are not on the bus yet."""

garbage = Table("garbage", metadata, _text("audience", key=True), _text("blob", key=True))
"""Content that nothing names any more, to be purged from the bus."""
