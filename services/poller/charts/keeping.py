"""Bring to the bus the archives that fleets need: from disk where they were had before, else from their repository.

An archive never changes, so each is fetched once. What cannot be had is tried again less and less often, and holds up
nothing but the apps that it is for.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from services.poller.charts.deciding import brought, lacking, missed
from services.poller.charts.fetching import Fetching
from services.poller.state import FollowedChart
from services.poller.watcher import Watcher
from shared.bus.blobs import pack_place
from shared.bus.connection import Bus
from shared.bus.storing import store_blob
from shared.core.backoff import backoff_s
from shared.core.seal import seal
from shared.errors import PermanentError, TowlineError
from shared.git.remote import SourceError
from shared.messages.blobs import BlobRef
from shared.runtime.files import replace_file
from shared.runtime.lifecycle import Lifecycle
from shared.runtime.logs import get_logger

AT_ONCE = 4
LONGEST_S = 300.0
BUS_RETRY_S = 2.0
KEPT_S = 30 * 86400.0
KEPT_BYTES = 2 << 30
"""So long, and within so much, archives stay on disk that no fleet needs: a commit may be taken back."""

Place = tuple[str, str]
"""A source, and the digest of an archive that it needs."""


@dataclass(slots=True)
class ChartKeeper:
    """Knows what is to be brought, and when it is to be tried again."""

    watchers: Mapping[str, Watcher]
    fetching: Fetching
    bus: Bus
    folder: Path
    interval_s: float
    secret: bytes = field(repr=False)
    _due: dict[Place, tuple[int, float]] = field(default_factory=dict)
    """Failures in a row, and when the next try is due."""
    _running: set[Place] = field(default_factory=set)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, life: Lifecycle) -> None:
        """Bring what is needed until the program stops."""
        turns = asyncio.Semaphore(AT_ONCE)
        begun: list[asyncio.Task[None]] = []
        async with asyncio.TaskGroup() as tasks:
            while not life.stopping.is_set():
                self._wake.clear()
                await asyncio.to_thread(self._tidy)
                for watcher, chart in self._due_now():
                    self._running.add((watcher.name, chart.digest))
                    begun.append(tasks.create_task(self._bring(watcher, chart, turns)))
                begun = [task for task in begun if not task.done()]
                await self._wait()
            for task in begun:
                task.cancel()

    def wake(self) -> None:
        """See at once what is to be brought."""
        self._wake.set()

    def urge(self, source: str) -> None:
        """Try at once what failed for a source: somebody asked."""
        self._due = {place: due for place, due in self._due.items() if place[0] != source}
        self.wake()

    def _wanted(self) -> Iterator[tuple[Watcher, FollowedChart]]:
        for watcher in self.watchers.values():
            for chart in lacking(watcher.state):
                if (watcher.name, chart.digest) not in self._running:
                    yield watcher, chart

    def _due_now(self) -> list[tuple[Watcher, FollowedChart]]:
        now = asyncio.get_running_loop().time()
        return [each for each in self._wanted() if self._due_at(each) <= now]

    def _due_at(self, each: tuple[Watcher, FollowedChart]) -> float:
        return self._due.get((each[0].name, each[1].digest), (0, 0.0))[1]

    async def _wait(self) -> None:
        now = asyncio.get_running_loop().time()
        next_at = min(map(self._due_at, self._wanted()), default=None)
        try:
            async with asyncio.timeout(None if next_at is None else max(0.0, next_at - now)):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _bring(self, watcher: Watcher, chart: FollowedChart, turns: asyncio.Semaphore) -> None:
        place = (watcher.name, chart.digest)
        log = get_logger().bind(source=watcher.name, chart=chart.url)
        name, digest = place
        try:
            async with turns:
                blob = await self._stored(name, chart)
            await watcher.change(lambda state, now: brought(state, name, digest, blob, now))
        except TowlineError as error:
            tries = self._due.get(place, (0, 0.0))[0] + 1
            its_own = isinstance(error, SourceError | PermanentError)
            if its_own and tries == 1:
                log.warning("chart_missed", code=error.code, reason=error.message)
            wait_s = backoff_s(tries, max(self.interval_s, 1.0), LONGEST_S) if its_own else BUS_RETRY_S
            self._due[place] = (tries, asyncio.get_running_loop().time() + wait_s)
            if its_own:
                await self._tell(watcher, digest, error)
        else:
            self._due.pop(place, None)
            log.info("chart_stored", digest=chart.digest, bytes=blob.bytes)
        finally:
            self._running.discard(place)
            self.wake()

    async def _tell(self, watcher: Watcher, digest: str, error: TowlineError) -> None:
        try:
            await watcher.change(lambda state, now: missed(state, watcher.name, digest, error, now))
        except TowlineError as failure:
            get_logger().warning("state_not_saved", reason=failure.message)

    async def _stored(self, source: str, chart: FollowedChart) -> BlobRef:
        """Return where the archive is on the bus, once it is there."""
        path = self.folder / f"{chart.digest}.tgz"
        content = await asyncio.to_thread(_known, path, chart.digest)
        if content is None:
            content = await self.fetching.archive(chart.url, chart.digest)
            try:
                await asyncio.to_thread(_keep, path, content)
            except OSError as error:
                # Its app needs no copy on disk, and nobody else is to stop for it.
                get_logger().warning("chart_not_kept", chart=chart.url, reason=str(error))
        sealed = await asyncio.to_thread(seal, content, self.secret)
        stored = await store_blob(self.bus, pack_place(source), sealed.data)
        return stored.model_copy(update={"key": sealed.key.hex()})

    def _tidy(self) -> None:
        """Drop archives that nobody needed for long."""
        needed = {f"{chart.digest}.tgz" for watcher in self.watchers.values() for chart in watcher.state.charts}
        left = [(path.stat(), path) for path in self.folder.glob("*.tgz") if path.name not in needed]
        oldest, taken = time.time() - KEPT_S, 0
        for found, path in sorted(left, key=lambda each: each[0].st_mtime, reverse=True):
            taken += found.st_size
            if found.st_mtime < oldest or taken > KEPT_BYTES:
                # What cannot be dropped is dropped when the disk takes it.
                with suppress(OSError):
                    path.unlink()


def _known(path: Path, digest: str) -> bytes | None:
    """Return what was kept, if it is whole."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    return content if hashlib.sha256(content).hexdigest() == digest else None


def _keep(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    replace_file(path, content)
