"""Decide how every stream and durable of the bus is configured.

Streams that hold the last word on something refuse new messages when they are full: nobody's last word may be pushed
out by somebody else's. Streams that hold a history forget the oldest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared import subjects
from shared.bus.values import ACK_WAIT_S
from shared.subjects import ROOT, Durable

INCARNATION = "towline-incarnation"
LIMIT_BYTES = 8 << 30
"""What all streams may hold together, when nothing else is said."""

_NS = 10**9
_DAY = 86400
_SHARES = 64
_ADVISORY = "$JS.EVENT.ADVISORY.CONSUMER"


@dataclass(frozen=True, slots=True)
class StreamPlan:
    """One stream, as `bus.md` of the design describes it; -1 is no limit."""

    name: str
    subjects: tuple[str, ...]
    share: int
    """How many 64ths of the file limit it may fill."""
    max_age_s: int = 0
    per_subject: int = -1
    message_bytes: int = -1
    work_queue: bool = False
    direct: bool = False
    keeps_old: bool = True
    """Refuse new messages when full, instead of dropping the oldest."""
    deny_delete: bool = False
    republished_to: str = ""


STREAMS = (
    StreamPlan(subjects.REVISIONS, (f"{ROOT}.revision.*.*",), 1, max_age_s=7 * _DAY, per_subject=100, keeps_old=False),
    StreamPlan(subjects.RENDER, (f"{ROOT}.render.*", f"{ROOT}.render.*.*"), 1, per_subject=1, work_queue=True),
    # One message a subject: a chunk that is written again replaces itself.
    StreamPlan(subjects.SOURCES, (f"{ROOT}.source.*.*.*",), 16, per_subject=1, direct=True),
    StreamPlan(subjects.NEEDS, (f"{ROOT}.need.*",), 1, per_subject=1),
    StreamPlan(subjects.RENDERED, (f"{ROOT}.rendered.*",), 2, max_age_s=7 * _DAY, keeps_old=False),
    StreamPlan(subjects.BLOBS, (f"{ROOT}.blob.*.*.*",), 24, per_subject=1, direct=True),
    StreamPlan(subjects.CLUSTERS, (f"{ROOT}.cluster.*",), 1, per_subject=1, direct=True),
    StreamPlan(
        subjects.DESIRED,
        (f"{ROOT}.desired.*",),
        2,
        per_subject=10,
        message_bytes=64 << 10,
        direct=True,
        deny_delete=True,
        republished_to=f"{ROOT}.notify." + "{{wildcard(1)}}",
    ),
    StreamPlan(
        subjects.REPORTS,
        (f"{ROOT}.report.*.result", f"{ROOT}.report.*.answer"),
        4,
        max_age_s=3 * _DAY,
        per_subject=100,
        message_bytes=64 << 10,
        keeps_old=False,
    ),
    StreamPlan(subjects.STATUS, (f"{ROOT}.status.*",), 2, per_subject=1, message_bytes=64 << 10, direct=True),
    StreamPlan(
        subjects.COMMANDS,
        (f"{ROOT}.command.poller.*", f"{ROOT}.command.releaser.*"),
        1,
        max_age_s=3600,
        work_queue=True,
    ),
    StreamPlan(subjects.FACTS, (f"{ROOT}.fact.*.*",), 2, max_age_s=7 * _DAY, keeps_old=False),
    StreamPlan(subjects.EVENTS, (f"{ROOT}.event.*.*.*.*",), 4, max_age_s=7 * _DAY, keeps_old=False),
    StreamPlan(
        subjects.DLQ,
        (f"{_ADVISORY}.MAX_DELIVERIES.*.*", f"{_ADVISORY}.MSG_TERMINATED.*.*"),
        1,
        max_age_s=30 * _DAY,
        keeps_old=False,
    ),
)


def stream_config(plan: StreamPlan, *, limit_bytes: int, replicas: int, incarnation: str) -> dict[str, Any]:
    """Return the configuration as the server's API wants it."""
    config: dict[str, Any] = {
        "name": plan.name,
        "subjects": list(plan.subjects),
        "retention": "workqueue" if plan.work_queue else "limits",
        "storage": "file",
        "num_replicas": replicas,
        "discard": "new" if plan.keeps_old else "old",
        "max_age": plan.max_age_s * _NS,
        "max_bytes": limit_bytes * plan.share // _SHARES,
        "max_msgs_per_subject": plan.per_subject,
        "max_msg_size": plan.message_bytes,
        "duplicate_window": 120 * _NS,
        "allow_direct": plan.direct,
        "deny_delete": plan.deny_delete,
        "metadata": {INCARNATION: incarnation},
    }
    if plan.republished_to:
        config["republish"] = {"src": plan.subjects[0], "dest": plan.republished_to, "headers_only": True}
    return config


def consumer_config(durable: Durable) -> dict[str, Any]:
    """Return the configuration of a durable as the server's API wants it.

    No `backoff`: with it, the server ignores the delay of a negative answer.
    """
    config: dict[str, Any] = {
        "durable_name": durable.name,
        "name": durable.name,
        "deliver_policy": "all",
        "ack_policy": "explicit",
        "ack_wait": int(ACK_WAIT_S * _NS),
        "max_deliver": 6,
        "max_ack_pending": 64,
        "replay_policy": "instant",
    }
    if durable.filter:
        config["filter_subject"] = durable.filter
    return config


def differs(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    """Return whether what the server has is not what we want; it leaves out what is false or zero, and adds its own."""
    for key, value in wanted.items():
        there = found.get(key)
        if isinstance(value, Mapping):
            if differs(value, there or {}):
                return True
        elif (there or 0) != (value or 0):
            return True
    return False
