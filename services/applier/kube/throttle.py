"""How many requests are in flight: halved when the API server says it has too many, raised again slowly.

Only its own overload answer counts (429 in plain text); a 429 in JSON is about one kind and slows nothing else down.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

MAX_IN_FLIGHT = 16
RAISE_EVERY_S = 10.0
HALVE_EVERY_S = 1.0
"""Answers to requests that were sent before the last halving say nothing new."""


class Throttle:
    """A semaphore whose size moves."""

    def __init__(self, most: int = MAX_IN_FLIGHT, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit = most
        self.throttled_s = 0.0
        self._most = most
        self._clock = clock
        self._busy = 0
        self._moved_at = clock()
        self._waiting: deque[asyncio.Future[None]] = deque()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a free place and hold it."""
        await self._take()
        try:
            yield
        finally:
            self._busy -= 1
            self._wake()

    def overloaded(self) -> None:
        """Halve the limit; the server refused a request for its load."""
        now = self._clock()
        if now - self._moved_at >= HALVE_EVERY_S or self.limit == self._most:
            self.limit = max(1, self.limit // 2)
            self._moved_at = now

    def succeeded(self) -> None:
        """Raise the limit by one for every ten seconds without a refusal."""
        now = self._clock()
        if self.limit < self._most and now - self._moved_at >= RAISE_EVERY_S:
            self.limit += 1
            self._moved_at = now
            self._wake()

    async def _take(self) -> None:
        if self._busy < self.limit and not self._waiting:
            self._busy += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._busy -= 1  # the place was handed over in the very moment of the cancellation
                self._wake()
            raise

    def _wake(self) -> None:
        while self._waiting and self._busy < self.limit:
            turn = self._waiting.popleft()
            if not turn.done():
                self._busy += 1
                turn.set_result(None)
