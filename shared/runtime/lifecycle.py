"""Start, readiness and stop of a program, as its parts see them."""

from __future__ import annotations

import asyncio
from typing import Any


class Lifecycle:
    """What a program's parts tell about themselves, and how they learn that it stops.

    Attributes:
        stopping: set once, when no new work shall begin.
    """

    def __init__(self) -> None:
        self.stopping = asyncio.Event()
        self._parts: dict[str, tuple[bool, str]] = {}

    def stop(self) -> None:
        """Ask every part to finish what is in hand."""
        self.stopping.set()

    def set_ready(self, part: str, ready: bool, why: str = "") -> None:  # noqa: FBT001 - reads as a sentence
        """State whether a part does its work, and why not."""
        self._parts[part] = (ready, why)

    def readiness(self) -> dict[str, Any]:
        """Return `{"ready": bool, "parts": {name: {"ready": bool, "why": str}}}`; nothing is ready before it says so."""
        parts = {name: {"ready": ready, "why": why} for name, (ready, why) in sorted(self._parts.items())}
        ready = bool(parts) and all(part["ready"] for part in parts.values()) and not self.stopping.is_set()
        return {"ready": ready, "parts": parts}

    async def pause(self, seconds: float) -> bool:
        """Sleep; return early, with True, when the program stops."""
        try:
            async with asyncio.timeout(seconds):
                await self.stopping.wait()
        except TimeoutError:
            return False
        return True
