"""The tables of the releaser: the registry of clusters, what runs where and why, and what is still to be said.

This database is precious: its counters are what makes a generation newer than another. Columns of JSON hold what is
only ever read whole.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
)

from shared.runtime.database import boolean, integer, text

metadata = MetaData()


def _json(name: str) -> Column[object]:
    return Column(name, JSON(none_as_null=True))


hub = Table("hub", metadata, text("name", key=True), _json("value"))
"""Single values: epoch, version of the index of clusters, the fleet part, whether the database was restored, ..."""

clusters = Table(
    "clusters",
    metadata,
    text("cluster", key=True),
    text("membership"),
    # what was said: git null where git does not declare the cluster
    *(_json(name) for name in ("git_labels", "git_values", "git_capabilities", "hub_labels", "claims", "approved")),
    # what counts of it
    *(_json(name) for name in ("labels", "origins", "pending")),
    *(text(name) for name in ("uid", "kubernetes", "public_key", "jwt_at", "updated_at", "heard_at")),
    # pruned first, then removed
    boolean("leaving"),
    *(integer(name) for name in ("changed_version", "asked_version")),
    # CLUSTERS says what stands here
    boolean("told"),
)

join_tokens = Table(
    "join_tokens",
    metadata,
    text("secret_hash", key=True),
    text("cluster"),
    text("expires_at"),
    # key of the agent that used it
    text("used_by"),
)

revocations = Table("revocations", metadata, text("public_key", key=True), text("cluster"), integer("at"))
"""Keys that are cut off, and the second from which on."""

sources = Table(
    "sources",
    metadata,
    text("source", key=True),
    integer("number"),
    integer("version"),
    # of the last render that read everything whole
    integer("whole_version"),
    *(text(name) for name in ("commit", "ref")),
)

apps = Table("apps", metadata, text("app", key=True), text("source"), _json("plan"), Index("apps_source", "source"))
"""Who holds an app's name, and how its revisions move; without a plan all at once."""

bundles = Table(
    "bundles",
    metadata,
    text("bundle", key=True),
    _json("reference"),
    # zstd of the keys, one a line; null where they are not known
    Column("key_list", LargeBinary),
    text("named_at"),
)

targets = Table(
    "targets",
    metadata,
    text("cluster", key=True),
    text("app", key=True),
    text("source"),
    # what the last render that could make it wants here; empty: nothing was rendered yet
    text("wanted"),
    text("bundle"),
    *(_json(name) for name in ("options", "origin")),
    boolean("listed"),
    # the hold that stops its removal
    text("hold"),
    # what is released: `content` as `wanted`; state is empty, present or removed
    integer("epoch"),
    integer("generation"),
    *(text(name) for name in ("state", "content", "released", "rollout", "suspended_until", "released_at")),
    _json("release"),
    # bundles that may have left something in the cluster
    _json("runs"),
    boolean("runs_known", default=True),
    # the row of `recipes` that it was made of
    text("recipe"),
    # what the cluster says of it
    integer("seen_epoch"),
    integer("seen_generation"),
    *(text(name) for name in ("sync", "health", "result", "seen_at", "hold_digest")),
    boolean("settled"),
    # nothing that failed mends by itself
    boolean("lasting"),
    Index("targets_app", "app"),
    Index("targets_source", "source"),
    Index("targets_bundle", "bundle"),
)

releases = Table(
    "releases",
    metadata,
    text("cluster", key=True),
    text("app", key=True),
    integer("epoch", key=True),
    integer("generation", key=True),
    text("bundle"),
    text("recipe"),
    # its cluster ran it whole, and well
    boolean("good"),
    Index("releases_bundle", "bundle"),
)
"""The last releases of each target: what it can go back to, and garbage is what none of them names."""

recipes = Table(
    "recipes",
    metadata,
    text("recipe", key=True),
    text("content"),
    text("bundle"),
    *(_json(name) for name in ("options", "origin")),
)
"""What releases were made of, once for all targets that are alike."""

rollbacks = Table(
    "rollbacks",
    metadata,
    text("cluster", key=True),
    text("app", key=True),
    # content that is not released here until git wants another one; empty: a person let it go
    text("aside"),
    # content that went back by itself once already
    text("tried"),
    _json("statement"),
)
"""Targets that run older content than git says."""

desired = Table(
    "desired",
    metadata,
    text("cluster", key=True),
    integer("epoch"),
    integer("generation"),
    text("roster"),
    Column("roster_bytes", LargeBinary, nullable=False),
    Column("envelope", LargeBinary, nullable=False),
)
"""What was signed, byte for byte: nothing is ever signed twice with the same counters."""

rosters = Table(
    "rosters", metadata, text("cluster", key=True), text("roster", key=True), integer("epoch"), integer("generation")
)
"""Roster blobs that may be on the bus."""

rollouts = Table(
    "rollouts",
    metadata,
    text("app", key=True),
    *(text(name) for name in ("rollout", "source", "commit", "state", "stage", "message", "digest")),
    integer("number"),
    *(_json(name) for name in ("approved", "needs")),
)
"""The last rollout of each app; state is running, paused or finished."""

holds = Table(
    "holds",
    metadata,
    text("hold", key=True),
    *(text(name) for name in ("kind", "source", "commit", "cluster", "app", "digest", "message", "held_at")),
    integer("number"),
    _json("body"),
)

suspensions = Table(
    "suspensions",
    metadata,
    text("cluster", key=True),
    text("app", key=True),
    *(text(name) for name in ("reason", "by", "until")),
)
"""An empty cluster means the app everywhere, an empty app the whole cluster."""

commands = Table(
    "commands", metadata, text("command", key=True), Column("fact", LargeBinary, nullable=False), text("at")
)
"""Answers to commands: one that is delivered again is answered alike, and does nothing."""

outbox = Table(
    "outbox",
    metadata,
    # SQLite gives only INTEGER primary keys its row id
    Column("position", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    text("id"),
    text("subject"),
    Column("body", LargeBinary, nullable=False),
)
"""Facts and commands that were decided and are not on the bus yet."""

garbage = Table("garbage", metadata, text("audience", key=True), text("blob", key=True))
"""Content that nothing names any more, to be purged from the bus."""
