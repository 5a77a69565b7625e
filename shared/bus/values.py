"""What goes in and out of the bus: credentials, messages, and how long things may take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

ACK_WAIT_S = 10.0
"""How long the server waits for a word about a message before it gives it out again: what a killed program costs."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who connects: a user JWT, the seed of its key, and the prefix of its inboxes without a trailing dot."""

    jwt: str = field(repr=False)
    seed: str = field(repr=False)
    inbox: str


@dataclass(frozen=True, slots=True)
class Stored:
    """A message as the bus holds it; `sequence` is 0 for one that no stream holds."""

    subject: str
    data: bytes
    sequence: int
    stored_at: datetime
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message for a consumer; `sequence` is the stream's, `delivered` is 1 at first."""

    subject: str
    data: bytes
    sequence: int
    delivered: int
    stored_at: datetime
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Pace:
    """How long things take, in seconds; tests that watch a retry make them short."""

    answer_s: float = 5.0
    pull_s: float = 5.0
    """How long the server holds a pull open; also what a pull may hang after a silent break."""
    progress_s: float = ACK_WAIT_S / 4
    """How often long work is announced: three announcements may get lost before the server gives up on us."""
    retry_s: tuple[float, ...] = (1.0, 5.0, 15.0, 60.0, 120.0)
    """Delay before the next delivery, by the number of deliveries so far."""
    pause_s: float = 1.0
    """Longest wait, jittered, while a consumer or stream is missing."""
    reconnect_s: float = 5.0
    """Longest wait, jittered, between attempts to connect."""
    refused_s: float = 5.0
    """The same while the server refuses the credentials: somebody must change something."""
    liveness_s: float = 10.0
    incarnation_s: float = 2.0


AGENT_PACE = Pace(reconnect_s=30.0, refused_s=60.0)
"""Thousands of agents come back at once: they spread."""
