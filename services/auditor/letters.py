"""Keep what a program gave up: the dead-letter stream says which message, its content is stored before it can go.

Only work queues are cleaned: there the server keeps a message that was delivered too often, and would hand it out again
to a consumer that is made anew; one that was refused is gone there at once, and its reason names the subject. A last value that a newer one replaced was not given up. Keys of sealed content are left out of what is stored.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from services.auditor import fold
from services.auditor.changes import DeadLetter
from services.auditor.facts import REDACTED, redacted
from services.auditor.store import Store
from shared.bus.connection import Bus, Delivery, Stored
from shared.bus.permissions import WORK_QUEUES
from shared.bus.streams import STREAMS
from shared.core.canonical import NotJSONError, decode, encode
from shared.core.times import time_text
from shared.messages.base import MessageError
from shared.runtime.logs import get_logger

CONTENT_BYTES = 256 * 1024
REASON_CHARACTERS = 1000
# What the server says of a message that somebody had in hand when a newer one took its place.
_REPLACED = "Unacknowledged message was deleted"
_LAST_VALUES = frozenset(plan.name for plan in STREAMS if plan.per_subject == 1)
_SUBJECT = re.compile(r"\[([^][\s]+)\]$")
_GAVE_UP = "it was delivered as often as it may be, and never handled"


@dataclass(frozen=True, slots=True)
class Letters:
    """Handles the dead-letter stream."""

    store: Store
    bus: Bus

    async def take(self, messages: Sequence[Delivery]) -> None:
        """Store the messages that advisories name, then delete those that a work queue still holds."""
        folded, finished = [], []
        for message in messages:
            advisory = _advisory(message.data)
            if advisory.stream in _LAST_VALUES and advisory.reason == _REPLACED:
                continue
            stored = await self.bus.stored_at_sequence(advisory.stream, advisory.sequence)
            letter = dead_letter(advisory, stored)
            folded.append(fold.of_dead(letter, message.stored_at))
            finished.append(advisory)
            get_logger().error("message_dropped", stream=letter.stream, consumer=letter.consumer, reason=letter.reason)
        await self.store.write(folded)
        for advisory in finished:
            if advisory.stream in WORK_QUEUES:
                await self.bus.delete_message(advisory.stream, advisory.sequence)


@dataclass(frozen=True, slots=True)
class Advisory:
    """What the server says of a message that a consumer gave up."""

    id: str
    stream: str
    consumer: str
    sequence: int
    reason: str
    at: datetime


def _advisory(data: bytes) -> Advisory:
    try:
        body = json.loads(data)
        return Advisory(
            id=str(body["id"]),
            stream=str(body["stream"]),
            consumer=str(body["consumer"]),
            sequence=int(body["stream_seq"]),
            reason=str(body.get("reason") or _GAVE_UP)[:REASON_CHARACTERS],
            at=datetime.fromisoformat(body["timestamp"]).astimezone(UTC),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise MessageError("an advisory of the server has another shape than is known here") from error


def dead_letter(advisory: Advisory, stored: Stored | None) -> DeadLetter:
    """Return what is kept of a message; the stream may have dropped it already."""
    return DeadLetter(
        key=f"dead/{advisory.id}",
        stream=advisory.stream,
        sequence=advisory.sequence,
        consumer=advisory.consumer,
        subject=stored.subject if stored is not None else _subject_in(advisory.reason),
        reason=advisory.reason,
        content=kept(stored.data)[:CONTENT_BYTES] if stored is not None else b"",
        dead_at=time_text(advisory.at),
    )


def _subject_in(reason: str) -> str:
    """Return the subject that our own refusals end with."""
    found = _SUBJECT.search(reason)
    return found[1] if found else ""


def kept(content: bytes) -> bytes:
    """Return a message without what could open something; what is no JSON is kept as it is."""
    try:
        return encode(_keyless(redacted(decode(content))))
    except NotJSONError:
        return content


def _keyless(value: Any) -> Any:
    if isinstance(value, dict):
        sealed = "digest" in value and value.get("key")
        return {name: REDACTED if sealed and name == "key" else _keyless(inner) for name, inner in value.items()}
    return [_keyless(inner) for inner in value] if isinstance(value, list) else value
