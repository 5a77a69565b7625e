"""Every subject, stream and durable of the bus: built and parsed here, nowhere else.

`bus.md` of the design is the contract; tokens are names after `shared.core.names`, `<ref>` is 16 hex digits.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

ROOT = "towline"

REVISIONS = "REVISIONS"
RENDER = "RENDER"
SOURCES = "SOURCES"
NEEDS = "NEEDS"
RENDERED = "RENDERED"
BLOBS = "BLOBS"
CLUSTERS = "CLUSTERS"
DESIRED = "DESIRED"
REPORTS = "REPORTS"
STATUS = "STATUS"
COMMANDS = "COMMANDS"
FACTS = "FACTS"
EVENTS = "EVENTS"
DLQ = "DLQ"

SHARED = "shared"
"""Audience of bundles: sealed, one copy for every cluster that runs them."""
HUB = "hub"
"""Audience of what only the hub's programs read."""


def ref_token(full_ref: str) -> str:
    """Return the token that stands for a full ref name."""
    return hashlib.sha256(full_ref.encode()).hexdigest()[:16]


def revision(source: str, full_ref: str) -> str:
    """Return the subject of observed tips of one ref."""
    return f"{ROOT}.revision.{source}.{ref_token(full_ref)}"


def render(source: str) -> str:
    """Return the subject of render requests of one source."""
    return f"{ROOT}.render.{source}"


def restore(source: str, commit: str) -> str:
    """Return the subject of requests for what only an older commit of a source brings."""
    return f"{ROOT}.render.{source}.{commit}"


def pack(source: str, digest: str, index: int) -> str:
    """Return the subject of one chunk of a pack."""
    return f"{ROOT}.source.{source}.{digest}.{index}"


def packs_of(source: str, digest: str = "*") -> str:
    """Return the filter of all chunks of a source's packs, or of one pack."""
    return f"{ROOT}.source.{source}.{digest}.*"


def need(source: str) -> str:
    """Return the subject of what a fleet lacks."""
    return f"{ROOT}.need.{source}"


def rendered(source: str) -> str:
    """Return the subject of finished renders of one source."""
    return f"{ROOT}.rendered.{source}"


def blob(audience: str, digest: str, index: int) -> str:
    """Return the subject of one chunk of a blob; agents use the same name."""
    return f"{ROOT}.blob.{audience}.{digest}.{index}"


def cluster(name: str) -> str:
    """Return the subject of a cluster's effective labels and state."""
    return f"{ROOT}.cluster.{name}"


def desired(cluster_name: str) -> str:
    """Return the subject of a cluster's signed desired state, as hub programs name it."""
    return f"{ROOT}.desired.{cluster_name}"


def get(cluster_name: str) -> str:
    """Return the subject by which an agent reads its own desired state."""
    return f"{ROOT}.get.{cluster_name}"


def notify(cluster_name: str) -> str:
    """Return the subject that hints at a new desired state."""
    return f"{ROOT}.notify.{cluster_name}"


def instruct(cluster_name: str) -> str:
    """Return the subject of signed instructions to an agent."""
    return f"{ROOT}.instruct.{cluster_name}"


def report(cluster_name: str, kind: str) -> str:
    """Return the subject of reports; `kind` is `result` or `answer`."""
    return f"{ROOT}.report.{cluster_name}.{kind}"


def status(cluster_name: str) -> str:
    """Return the subject of an agent's present state."""
    return f"{ROOT}.status.{cluster_name}"


def heartbeat(cluster_name: str) -> str:
    """Return the subject of an agent's signs of life."""
    return f"{ROOT}.heartbeat.{cluster_name}"


def command(program: str, command_id: str) -> str:
    """Return the subject of a command to `poller` or `releaser`."""
    return f"{ROOT}.command.{program}.{command_id}"


def fact(program: str, kind: str) -> str:
    """Return the subject of facts of one type."""
    return f"{ROOT}.fact.{program}.{kind}"


def event(project: str, cluster_name: str, app: str, kind: str) -> str:
    """Return the subject of a public event; `hub` and `-` stand where there is no project, cluster or app."""
    return f"{ROOT}.event.{project or HUB}.{cluster_name or '-'}.{app or '-'}.{kind}"


def token(subject: str, index: int) -> str:
    """Return the token after the root at `index`: `token("towline.report.c1.result", 1)` is `c1`.

    Raises:
        IndexError: the subject has fewer tokens.
    """
    return subject.split(".")[index + 1]


@dataclass(frozen=True, slots=True)
class Durable:
    """A pull consumer that the steward makes and one program binds."""

    stream: str
    name: str
    """The program that reads it."""
    filter: str = ""


DURABLES = (
    Durable(REVISIONS, "auditor"),
    Durable(RENDER, "renderer"),
    Durable(NEEDS, "poller"),
    Durable(RENDERED, "releaser"),
    Durable(RENDERED, "auditor"),
    Durable(CLUSTERS, "auditor"),
    Durable(REPORTS, "auditor"),
    Durable(REPORTS, "releaser"),
    Durable(STATUS, "auditor"),
    Durable(STATUS, "releaser"),
    Durable(COMMANDS, "poller", f"{ROOT}.command.poller.*"),
    Durable(COMMANDS, "releaser", f"{ROOT}.command.releaser.*"),
    Durable(FACTS, "auditor"),
    Durable(DLQ, "auditor"),
)
