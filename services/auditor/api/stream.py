"""The live stream of events: every reader has a cursor of its own in the ledger.

Nothing is queued for anybody. The newest events are kept once, encoded, for all readers; who lags further behind reads
pages from the database, and who does not take what is sent for ten seconds is let go: a reader comes back with
`Last-Event-ID` and misses nothing.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from aiohttp import web
from pydantic import ValidationError

from services.auditor.api.layer import BadRequestError
from services.auditor.filters import StreamFilter, listed
from services.auditor.ledger import Entry, cloud_event
from services.auditor.store import Store
from shared.errors import TransientError

RECENT = 1024
MAX_READERS = 1024
SEND_TIMEOUT_S = 10.0
KEEP_ALIVE_S = 15.0


class TooManyStreamsError(TransientError):
    """More readers than the hub serves."""

    code = "api.too-many-streams"


@dataclass(frozen=True, slots=True)
class _Line:
    """An event as it is sent."""

    entry: Entry
    data: bytes


@dataclass(slots=True)
class Feed:
    """The newest events, encoded once."""

    store: Store
    hub: str
    stopping: asyncio.Event
    _recent: deque[_Line] = field(default_factory=lambda: deque(maxlen=RECENT))
    _readers: int = 0

    async def after(self, position: int) -> list[_Line]:
        """Return events beyond `position`, in order: all the kept ones, or a page from the database."""
        await self._catch_up()
        if self._recent and self._recent[0].entry.position <= position + 1:
            return [line for line in self._recent if line.entry.position > position]
        return list(self._lines(await self.store.entries(position)))

    async def _catch_up(self) -> None:
        newest = self._recent[-1].entry.position if self._recent else max(0, self.store.position - RECENT)
        while newest < self.store.position:
            page = await self.store.entries(newest)
            if not page:
                return
            # Another reader may have done the same while the database was read.
            kept = self._recent[-1].entry.position if self._recent else newest
            self._recent.extend(self._lines(entry for entry in page if entry.position > kept))
            newest = page[-1].position

    def _lines(self, entries: Iterable[Entry]) -> Iterable[_Line]:
        for entry in entries:
            data = cloud_event(entry, self.hub).to_bytes()
            yield _Line(entry, b"id: %d\ndata: %s\n\n" % (entry.position, data))

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Send events until the reader leaves."""
        start, passes = _start(request)
        if self._readers >= MAX_READERS:
            raise TooManyStreamsError("too many streams are open", hint="close one, or try again later")
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        response.headers["X-Accel-Buffering"] = "no"
        await response.prepare(request)
        self._readers += 1
        try:
            newest = self.store.position
            # A position that was never given out is one of a ledger that is gone.
            await self._send(response, newest if start is None else min(start, newest), passes)
        except (ConnectionResetError, TimeoutError):
            return response
        finally:
            self._readers -= 1
        return response

    async def _send(self, response: web.StreamResponse, position: int, passes: Callable[[Entry], bool]) -> None:
        await _write(response, b": connected\nretry: 2000\n\n")
        while not self.stopping.is_set():
            version = self.store.version
            lines = await self.after(position)
            for line in lines:
                if passes(line.entry):
                    await _write(response, line.data)
                position = line.entry.position
            if not lines:
                await self._wait(response, version)

    async def _wait(self, response: web.StreamResponse, version: int) -> None:
        try:
            async with asyncio.timeout(KEEP_ALIVE_S):
                await self.store.changed(version)
        except TimeoutError:
            await _write(response, b": still here\n\n")


async def _write(response: web.StreamResponse, data: bytes) -> None:
    async with asyncio.timeout(SEND_TIMEOUT_S):
        await response.write(data)


def _start(request: web.Request) -> tuple[int | None, Callable[[Entry], bool]]:
    """Return the position to begin after, and which events are wanted."""
    try:
        asked = StreamFilter.model_validate(dict(request.query))
    except ValidationError as error:
        raise BadRequestError("a stream takes after, cluster, app and types") from error
    last = request.headers.get("Last-Event-ID", "")
    if last and not (last.isdecimal() and last.isascii() and len(last) < 19):
        raise BadRequestError(f"Last-Event-ID {last!r} is no position in the ledger")
    kinds = listed(asked.types)

    def passes(entry: Entry) -> bool:
        return (
            asked.cluster in {"", entry.cluster}
            and asked.app in {"", entry.app}
            and (not kinds or any(entry.type == kind or entry.type.startswith(f"{kind}.") for kind in kinds))
        )

    return (int(last) if last else asked.after), passes
