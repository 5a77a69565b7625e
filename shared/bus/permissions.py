"""Decide what every program and every agent may publish and subscribe to: the table of `bus.md`, row by row.

Two accounts. HUB has the streams; AGENTS has none and sees what HUB exports to it, because NATS checks a publisher's
subject but never its reply subject: in one account an agent could have the server write into another's state. A
direct get is granted with its subject, never by body, which could name any subject or sequence.
"""

from __future__ import annotations

from dataclasses import dataclass

from shared import subjects
from shared.subjects import DURABLES, ROOT

PROGRAMS = ("poller", "renderer", "releaser", "auditor", "steward")
SYSTEM = "system"
CLUSTER_TAG = "{{tag(cluster)}}"
"""What the server puts the agent's cluster in for: from the tag of its user JWT."""
WORK_QUEUES = (subjects.RENDER, subjects.COMMANDS)

_API = "$JS.API"
_WRITES = {
    "poller": (subjects.REVISIONS, subjects.RENDER, subjects.SOURCES, subjects.FACTS),
    "renderer": (subjects.NEEDS, subjects.RENDERED, subjects.BLOBS, subjects.FACTS),
    "releaser": (subjects.BLOBS, subjects.CLUSTERS, subjects.DESIRED, subjects.COMMANDS, subjects.FACTS),
    "auditor": (subjects.COMMANDS, subjects.EVENTS),
}
_PUBLISHES = {
    "poller": (
        f"{ROOT}.revision.*.*",
        f"{ROOT}.render.*",
        f"{ROOT}.render.*.*",
        f"{ROOT}.source.*.*.*",
        f"{ROOT}.fact.poller.*",
    ),
    "renderer": (
        f"{ROOT}.need.*",
        f"{ROOT}.rendered.*",
        f"{ROOT}.blob.shared.*.*",
        f"{ROOT}.blob.hub.*.*",
        f"{ROOT}.fact.renderer.*",
    ),
    "releaser": (
        f"{ROOT}.blob.*.*.*",
        f"{ROOT}.cluster.*",
        f"{ROOT}.desired.*",
        f"{ROOT}.command.poller.*",
        f"{ROOT}.instruct.*",
        f"{ROOT}.fact.releaser.*",
    ),
    "auditor": (f"{ROOT}.command.poller.*", f"{ROOT}.command.releaser.*", f"{ROOT}.event.*.*.*.*"),
}
_GETS = {
    "poller": (f"{subjects.SOURCES}.{ROOT}.source.*.*.*",),
    "renderer": (
        f"{subjects.SOURCES}.{ROOT}.source.*.*.*",
        f"{subjects.CLUSTERS}.{ROOT}.cluster.*",
        f"{subjects.BLOBS}.{ROOT}.blob.hub.*.*",
        f"{subjects.BLOBS}.{ROOT}.blob.shared.*.*",
    ),
    "releaser": (f"{subjects.DESIRED}.{ROOT}.desired.*", f"{subjects.BLOBS}.{ROOT}.blob.hub.*.*"),
    "auditor": (
        f"{subjects.CLUSTERS}.{ROOT}.cluster.*",
        f"{subjects.STATUS}.{ROOT}.status.*",
        f"{subjects.BLOBS}.{ROOT}.blob.hub.*.*",
    ),
}
# Who writes content by digest also forgets it: without this a full stream would stay full.
_PURGES = {"poller": (subjects.SOURCES,), "releaser": (subjects.BLOBS,)}


@dataclass(frozen=True, slots=True)
class Permissions:
    """What one user may do; everything else is refused."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Export:
    """What HUB lets AGENTS use, and under which name they know it."""

    subject: str
    kind: str
    """`service` (agents publish) or `stream` (agents subscribe)."""
    known_as: str = ""


EXPORTS = (
    Export(f"{_API}.DIRECT.GET.{subjects.DESIRED}.{ROOT}.desired.*", "service", f"{ROOT}.get.*"),
    Export(f"{_API}.DIRECT.GET.{subjects.BLOBS}.{ROOT}.blob.*.*.*", "service", f"{ROOT}.blob.*.*.*"),
    Export(f"{ROOT}.report.*.*", "service"),
    Export(f"{ROOT}.status.*", "service"),
    Export(f"{ROOT}.heartbeat.*", "service"),
    Export(f"{ROOT}.notify.*", "stream"),
    Export(f"{ROOT}.instruct.*", "stream"),
)


def inbox(owner: str) -> str:
    """Return the prefix of the answers to `owner` (a program or a cluster); nobody else may listen there."""
    return f"_INBOX_{owner}"


def witness(owner: str) -> str:
    """Return the stream by which `owner` sees the bus's incarnation: one that it may ask about."""
    return subjects.EVENTS if owner == "auditor" else subjects.FACTS


def agent_permissions(cluster: str = CLUSTER_TAG) -> Permissions:
    """Return what the agent of `cluster` may do; without a name, the template of the scoped signing key."""
    return Permissions(
        publish=(
            f"{ROOT}.get.{cluster}",
            f"{ROOT}.blob.{cluster}.*.*",
            f"{ROOT}.blob.shared.*.*",
            f"{ROOT}.report.{cluster}.result",
            f"{ROOT}.report.{cluster}.answer",
            f"{ROOT}.status.{cluster}",
            f"{ROOT}.heartbeat.{cluster}",
        ),
        subscribe=(f"{inbox(cluster)}.>", f"{ROOT}.notify.{cluster}", f"{ROOT}.instruct.{cluster}"),
    )


def program_permissions(program: str) -> Permissions:
    """Return what a program of the hub, or the holder of the system credential, may do."""
    listens: tuple[str, ...] = (f"{inbox(program)}.>",)
    if program == SYSTEM:
        return Permissions(("$SYS.REQ.CLAIMS.UPDATE",), listens)
    if program == "steward":
        return Permissions((f"{_API}.>",), listens)
    publish = [
        *_PUBLISHES[program],
        *(f"{_API}.STREAM.INFO.{stream}" for stream in _WRITES[program]),
        *(f"{_API}.DIRECT.GET.{place}" for place in _GETS[program]),
        *(f"{_API}.STREAM.PURGE.{stream}" for stream in _PURGES.get(program, ())),
    ]
    for durable in DURABLES:
        if durable.name == program:
            publish += _consumer_subjects(durable.stream, program)
    if program == "auditor":
        publish += [f"{_API}.STREAM.MSG.GET.{stream}" for stream in consumed_streams()]
        publish += [f"{_API}.STREAM.MSG.DELETE.{stream}" for stream in WORK_QUEUES]
        listens = (*listens, f"{ROOT}.heartbeat.*")
    return Permissions(tuple(publish), listens)


def consumed_streams() -> tuple[str, ...]:
    """Return the streams whose messages an advisory in the dead-letter stream may name."""
    return tuple(dict.fromkeys(durable.stream for durable in DURABLES))


def _consumer_subjects(stream: str, name: str) -> tuple[str, ...]:
    """Return what binding a durable takes; acks have two forms, and a later server may switch to the second."""
    return (
        f"{_API}.CONSUMER.MSG.NEXT.{stream}.{name}",
        f"{_API}.CONSUMER.INFO.{stream}.{name}",
        f"$JS.ACK.{stream}.{name}.>",
        f"$JS.ACK.*.*.{stream}.{name}.>",
    )
