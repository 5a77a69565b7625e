"""Listen to the agents' signs of life, and note who came, who went and who was last seen when.

Signs of life arrive by the dozen a second; comings and goings are written at once, the times of the others together
every few seconds. While the hub itself is cut off from the bus, nobody is counted as gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from sqlalchemy import select

from services.auditor.changes import Folded, Presence
from services.auditor.presence import Attendance, Transition, of_transition
from services.auditor.store import Store
from services.auditor.tables import presences
from shared import subjects
from shared.bus.connection import Bus, Stored
from shared.bus.senders import check_sender
from shared.core.times import time_text
from shared.errors import PermanentError, TowlineError
from shared.messages.reports import Heartbeat
from shared.runtime.lifecycle import Lifecycle
from shared.runtime.logs import get_logger

WRITE_S = 5.0


@dataclass(slots=True)
class Attendant:
    """Keeps the presence of every cluster."""

    store: Store
    bus: Bus
    clock: Callable[[], float]
    """Seconds that never jump."""
    attendance: Attendance = field(default_factory=Attendance)
    write_s: float = WRITE_S
    _last: dict[str, Presence] = field(default_factory=dict)
    """The last sign of life of each cluster that is present."""
    _unwritten: set[str] = field(default_factory=set)
    _transitions: list[Transition] = field(default_factory=list)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _cut_off: bool = False

    async def run(self, life: Lifecycle) -> None:
        """Attend until the program stops."""
        await self.remember()
        async with asyncio.TaskGroup() as tasks:
            listening = tasks.create_task(self._listen())
            tasks.create_task(self._write_along(life))
            await life.stopping.wait()
            listening.cancel()
            self._wake.set()

    async def remember(self) -> None:
        """Take those as present who were when the last auditor looked."""
        async with self.store.reading() as connection:
            rows = (await connection.execute(select(presences).where(presences.c.present))).all()
        self._last = {row.cluster: Presence(row.cluster, True, row.session, row.last_seen) for row in rows}
        self.attendance.assume(self._last, self.clock())

    async def _listen(self) -> None:
        async with self.bus.subscribe(subjects.heartbeat("*")) as signs:
            async for sign in signs:
                self.take(sign)

    def take(self, sign: Stored) -> None:
        """Take one sign of life; what is none, or another's, is dropped."""
        try:
            heartbeat = Heartbeat.from_bytes(sign.data)
            check_sender(sign.subject, heartbeat.cluster)
        except PermanentError as error:
            get_logger().warning("heartbeat_refused", subject=sign.subject, code=error.code, reason=error.message)
            return
        cluster = heartbeat.cluster
        self._last[cluster] = Presence(cluster, True, heartbeat.session, time_text(datetime.now(UTC)))
        self._unwritten.add(cluster)
        if came := self.attendance.heard(cluster, self.clock()):
            self._transitions.append(came)
            self._wake.set()

    async def _write_along(self, life: Lifecycle) -> None:
        while not life.stopping.is_set():
            try:
                async with asyncio.timeout(self.write_s):
                    await self._wake.wait()
            except TimeoutError:
                self.look_round()
            self._wake.clear()
            try:
                await self.write()
            except TowlineError as error:
                get_logger().warning("presence_not_written", code=error.code, reason=error.message)

    def look_round(self) -> None:
        """Note who is gone."""
        if not self.bus.connected:
            self._cut_off = True
            return
        if self._cut_off:
            # Everybody has the full time again: we were not there to hear them.
            self._cut_off = False
            for cluster in self.attendance.present:
                self.attendance.heard(cluster, self.clock())
        for gone in self.attendance.gone(self.clock()):
            self._last[gone.cluster] = replace(self._last[gone.cluster], present=False)
            self._transitions.append(gone)

    async def write(self) -> None:
        """Write what is not written yet.

        Raises:
            TransientError: the database does not take it now; it is kept.
        """
        transitions, unwritten = tuple(self._transitions), frozenset(self._unwritten)
        moved = [of_transition(each, self._last[each.cluster], datetime.now(UTC)) for each in transitions]
        rows = tuple(self._last[cluster] for cluster in sorted(unwritten))
        if not moved and not rows:
            return
        await self.store.write([*moved, Folded((), rows)])
        del self._transitions[: len(transitions)]
        self._unwritten -= unwritten
        for cluster in {each.cluster for each in transitions} - self.attendance.present:
            self._last.pop(cluster, None)
