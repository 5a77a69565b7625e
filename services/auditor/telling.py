"""Tell the world: every event of the ledger on the stream EVENTS, in order, after it was committed.

What was told last is remembered in the same database. A crash in between tells some events again, with the same
message ids, which the bus drops.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from services.auditor.ledger import Entry, bus_subject, cloud_event
from services.auditor.store import Store
from shared.bus.connection import Bus
from shared.core.backoff import backoff_s
from shared.errors import TowlineError
from shared.runtime.lifecycle import Lifecycle
from shared.runtime.logs import get_logger

NAME = "events"
PAGE = 64
RETRY_S = 1.0
LONGEST_RETRY_S = 30.0


@dataclass(frozen=True, slots=True)
class Teller:
    """Publishes the ledger's events."""

    store: Store
    bus: Bus
    hub: Callable[[], str]

    async def run(self, life: Lifecycle) -> None:
        """Tell what is new until the program stops; it may be told at the next start."""
        failures = 0
        while not life.stopping.is_set():
            version = self.store.version
            try:
                told = await self.tell()
            except TowlineError as error:
                failures += 1
                if failures == 1:
                    get_logger().warning("telling_failed", code=error.code, reason=error.message)
                await life.pause(backoff_s(failures, RETRY_S, LONGEST_RETRY_S))
                continue
            failures = 0
            if not told:
                await self.store.changed(version)

    async def tell(self) -> int:
        """Tell a page of events, and return how many there were.

        Raises:
            TowlineError: some could not be told; those before are remembered as told.
        """
        position = await self.store.told(NAME)
        page = await self.store.entries(position, PAGE)
        told = position
        try:
            for entry in page:
                await self._publish(entry)
                told = entry.position
        finally:
            if told != position:
                await self.store.tell(NAME, told)
        return len(page)

    async def _publish(self, entry: Entry) -> None:
        # The hash beside the position: a ledger that was begun anew has the same positions.
        attempt = f"event-{entry.position}-{entry.hash.hex()[:16]}"
        event = cloud_event(entry, self.hub())
        await self.bus.publish(bus_subject(entry), event.to_bytes(), message_id=attempt)
