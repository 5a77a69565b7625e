"""Let a few apps be at work at once; who only waits gives its turn to others, for theirs may be what is waited for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

AT_ONCE = 4


@dataclass(slots=True)
class Turns:
    """The turns of one agent."""

    _free: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[Turn]:
        """Wait for a turn, and have it for the block."""
        async with self._free:
            yield Turn(self._free)


@dataclass(slots=True)
class Turn:
    """The turn of one app."""

    _free: asyncio.Semaphore
    _waiting: int = 0

    @asynccontextmanager
    async def aside(self) -> AsyncIterator[None]:
        """Give the turn away for the block; several parts of the app's work may do so at the same time."""
        if not self._waiting:
            self._free.release()
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1
            if not self._waiting:
                await self._free.acquire()
