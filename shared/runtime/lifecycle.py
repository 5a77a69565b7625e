"""From start to end of a program: is it ready, and shall it stop."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class _Part:
    ready: bool
    why: str


class Lifecycle:
    """What a program tells its surroundings, and what they tell it."""

    def __init__(self) -> None:
        self.stopping = asyncio.Event()
        """Set on SIGTERM or SIGINT: take nothing new, finish what is in hand, return."""
        self._parts: dict[str, _Part] = {}

    def set_ready(self, part: str, ready: bool, why: str = "") -> None:  # noqa: FBT001 - it is the whole message
        """Say whether a part works; `why` names the reason while it does not."""
        self._parts[part] = _Part(ready, why)

    def readiness(self) -> dict[str, Any]:
        """Return whether all parts are ready, and each one's state; a program without parts is not ready yet."""
        parts = {
            name: {"ready": part.ready, "why": part.why} if part.why else {"ready": part.ready}
            for name, part in sorted(self._parts.items())
        }
        ready = bool(parts) and all(part.ready for part in self._parts.values()) and not self.stopping.is_set()
        return {"ready": ready, "parts": parts}

    async def pause(self, seconds: float) -> bool:
        """Sleep; return early with True when the program shall stop."""
        try:
            async with asyncio.timeout(seconds):
                await self.stopping.wait()
        except TimeoutError:
            return False
        return True
