"""Keep reports until the bus has them: in order, bounded, on disk where there is a data folder.

When too many wait, the oldest go; the counter in each report makes that gap visible to the hub.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from services.applier.identity import FolderError, write_whole
from shared.core.canonical import NotJSONError, decode, encode
from shared.errors import PermanentError, TransientError

MOST = 200
RETRY_S = 5.0

log = structlog.get_logger("services.applier")

Publish = Callable[[str, bytes, str], Awaitable[object]]
"""Subject, message, and the id under which the bus tells a repetition."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """One message on its way."""

    subject: str
    data: bytes
    message_id: str


@dataclass(slots=True)
class Outbox:
    """Messages that the bus must have."""

    folder: Path | None
    _waiting: deque[Waiting] = field(default_factory=deque)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _number: int = 0

    async def load(self) -> None:
        """Take up what an earlier run could not send."""
        if self.folder is not None:
            self._waiting.extend(await asyncio.to_thread(_read_all, self.folder))
            self._changed.set()

    async def put(self, message: Waiting) -> None:
        """Keep a message until it is sent."""
        self._waiting.append(message)
        while len(self._waiting) > MOST:
            await self._drop(self._waiting.popleft())
        if self.folder is not None:
            # Named by time of arrival: a start reads them in this order.
            self._number += 1
            try:
                await asyncio.to_thread(write_whole, self.folder / message.message_id, _bytes(message, self._number))
            except FolderError as error:
                log.warning("report_not_kept", error=error.message)
        self._changed.set()

    async def run(self, publish: Publish, pause: Callable[[float], Awaitable[object]]) -> None:
        """Send what waits, the oldest first, until cancelled; what the bus refuses for good is dropped."""
        while True:
            self._changed.clear()
            while self._waiting:
                first = self._waiting[0]
                try:
                    await publish(first.subject, first.data, first.message_id)
                except TransientError:
                    await pause(RETRY_S)
                    continue
                except PermanentError:
                    pass
                if self._waiting and self._waiting[0] is first:
                    self._waiting.popleft()
                await self._drop(first)
            await self._changed.wait()

    def __len__(self) -> int:
        return len(self._waiting)

    async def _drop(self, message: Waiting) -> None:
        if self.folder is not None:
            await asyncio.to_thread((self.folder / message.message_id).unlink, missing_ok=True)


def _bytes(message: Waiting, number: int) -> bytes:
    return encode({"number": number, "subject": message.subject, "message": message.data.decode()})


def _read_all(folder: Path) -> list[Waiting]:
    found: list[tuple[float, int, Waiting]] = []
    for file in folder.iterdir() if folder.is_dir() else ():
        try:
            told = decode(file.read_bytes())
            message = Waiting(str(told["subject"]), str(told["message"]).encode(), file.name)
            found.append((file.stat().st_mtime, int(told["number"]), message))
        except (OSError, NotJSONError, KeyError, TypeError, ValueError):
            file.unlink(missing_ok=True)
    return [message for _, _, message in sorted(found, key=lambda each: each[:2])]
