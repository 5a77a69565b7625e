"""Look at repositories when they are due; each look is a task of its own, so a slow one delays no other."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from datetime import datetime
from typing import Any

from services.poller.fetch import Look, Looker
from services.poller.observation import Key, answered, observed, verified
from services.poller.refs import Doubt
from services.poller.schedule import Host, Watch, after, due, due_at, host_after
from services.poller.state import Followed, SourceState
from services.poller.watcher import StateNotSavedError, Watcher
from shared.git.urls import UrlError
from shared.runtime import metrics
from shared.runtime.lifecycle import Lifecycle
from shared.runtime.logs import get_logger

Place = tuple[str, str]
"""A source, and the URL of one of the repositories that it follows."""


class Rounds:
    """Knows when every repository was looked at, and looks again in time."""

    def __init__(self, watchers: Sequence[Watcher], looker: Looker, interval_s: float) -> None:
        self._watchers = {watcher.name: watcher for watcher in watchers}
        self._looker = looker
        self._interval_s = interval_s
        self._watches: dict[Place, Watch] = {}
        self._hosts: dict[str, Host] = {}
        self._doubts: dict[str, dict[Key, Doubt]] = {}
        self._running: dict[Place, asyncio.Task[None]] = {}
        self._looked = asyncio.Condition()
        self._looks: dict[Place, int] = {}
        self._wake = asyncio.Event()

    async def run(self, life: Lifecycle) -> None:
        """Look until the program stops."""
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as tasks:
            while not life.stopping.is_set():
                self._wake.clear()
                self._watches = {place: self._watch(place) for place in self._places()}
                now = loop.time()
                by_watch = {id(watch): place for place, watch in self._watches.items()}
                for watch in due(self._watches.values(), self._hosts, now):
                    place = by_watch[id(watch)]
                    if place not in self._running:
                        self._watches[place] = replace(watch, urgent=False, hinted="")
                        self._running[place] = tasks.create_task(self._look(place, watch.hinted))
                await self._wait(self._next(now))
            # Nothing is lost: what a look found is on disk, or is found again.
            for task in self._running.values():
                task.cancel()

    def wake(self) -> None:
        """See at once what is due now: somebody asked, a fleet needs something else, or the program stops."""
        self._wake.set()

    def hint(self, place: Place, by: str) -> None:
        """Look at `place` without waiting for its interval: the webhook of `by` told of a push."""
        self._watches[place] = replace(self._watch(place), hinted=by)
        self.wake()

    def retry(self, codes: AbstractSet[str]) -> int:
        """Look at once at what failed for one of these reasons; return how many repositories that is."""
        failed = [place for place, watch in self._watches.items() if watch.code in codes]
        for place in failed:
            self._watches[place] = replace(self._watches[place], urgent=True)
        self.wake()
        return len(failed)

    async def look_now(self, source: str) -> None:
        """Look at everything that a source follows, from now on, and return when it was looked at."""
        awaited = {}
        for place in [place for place in self._places() if place[0] == source]:
            self._watches[place] = replace(self._watch(place), urgent=True)
            # A look that is under way may have asked before whoever asks us pushed.
            awaited[place] = self._looks.get(place, 0) + (2 if place in self._running else 1)
        self.wake()
        async with self._looked:
            await self._looked.wait_for(
                lambda: all(self._looks.get(place, 0) >= count for place, count in awaited.items())
            )

    def _places(self) -> Iterator[Place]:
        """Yield what is followed now."""
        for watcher in self._watchers.values():
            yield from dict.fromkeys((watcher.name, each.repository) for each in watcher.state.followed)

    def _watch(self, place: Place) -> Watch:
        if place in self._watches:
            return self._watches[place]
        repository = place[1]
        try:
            origin = self._looker.location(repository).origin
        except UrlError:
            origin = ""
        # Repositories on disk have no host that could rest.
        return Watch("\n".join(place), repository if origin.startswith("file:") else origin, self._interval_s)

    def _next(self, now: float) -> float | None:
        """Return the seconds until something is due, or None; what waits for a look that runs is not waited for."""
        times = [
            due_at(watch, self._hosts.get(watch.origin, Host()))
            for place, watch in self._watches.items()
            if place not in self._running
        ]
        return min((at - now for at in times if at > now), default=None)

    async def _wait(self, seconds: float | None) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _look(self, place: Place, hinted: str) -> None:
        source, repository = place
        watcher = self._watchers[source]
        code = ""
        try:
            followed = [each for each in watcher.state.followed if each.repository == repository]
            if followed:
                code = await self._learn(watcher, followed, hinted)
        finally:
            self._running.pop(place, None)
            now = asyncio.get_running_loop().time()
            watch = self._watch(place)
            doubtful = any(key[0] == repository for key in self._doubts.get(source, {}))
            self._watches[place] = after(watch, now, code, doubtful=doubtful)
            self._hosts[watch.origin] = host_after(self._hosts.get(watch.origin, Host()), now, code)
            self._looks[place] = self._looks.get(place, 0) + 1
            self.wake()
        async with self._looked:
            self._looked.notify_all()

    async def _learn(self, watcher: Watcher, followed: Sequence[Followed], hinted: str) -> str:
        """Look at one repository, take over what was found, and return the code of a failure."""
        log = get_logger().bind(source=watcher.name, repository=followed[0].repository)
        doubts = self._doubts.setdefault(watcher.name, {})
        look = await self._looker.look(watcher.name, followed, doubts)
        metrics.git_checks.labels(watcher.name, look.code or "ok").inc()
        for each in followed:
            doubts.pop(each.key, None)
        doubts.update(look.doubts)
        _log_changes(log, watcher.state.followed, look, hinted)
        try:
            await watcher.change(lambda state, now: _after_look(state, watcher.name, look, hinted, now))
        except StateNotSavedError as error:
            log.warning("state_not_saved", reason=error.message)
            return error.code
        return look.code


def _after_look(state: SourceState, source: str, look: Look, hinted: str, now: datetime) -> SourceState:
    """Return the state after a look; what is no longer followed meanwhile is left out."""
    keys = {each.key for each in state.followed}
    sightings = [sighting for sighting in look.sightings if sighting.key in keys]
    if sightings:
        state = observed(state, source, sightings, now, hinted_by=hinted)
    state = verified(state, {key: rules for key, rules in look.verified.items() if key in keys})
    return answered(state, source, {key: error for key, error in look.answers.items() if key in keys}, now)


def _log_changes(log: Any, followed: Iterable[Followed], look: Look, hinted: str) -> None:
    failing = {each.key: each.failing for each in followed}
    for sighting in look.sightings:
        log.info(
            "tip_observed",
            ref=sighting.chosen.ref,
            commit=sighting.commit.id,
            history=sighting.history,
            superseded=len(sighting.superseded),
            hinted_by=hinted,
        )
    for key, error in look.answers.items():
        known = failing.get(key)
        if error is not None and (known is None or known.code != error.code):
            log.warning("source_failed", ref=key[1], code=error.code, reason=error.message)
        if error is None and known is not None:
            log.info("source_recovered", ref=key[1], code=known.code)
