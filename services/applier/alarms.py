"""Look out for what stands in the way of apps that failed for good, and have them tried again when it changes (E6).

One watch of metadata for each obstacle, whoever has it, from now on and without a listing; it ends with the failure.
What the agent may not watch is not watched: the app is tried again when its time comes.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from collections.abc import Set as AbstractSet

from services.applier.kube.mapper import Mapper, Resource
from services.applier.kube.session import METADATA, METADATA_LIST, Request, Session
from services.applier.obstacles import Obstacle
from shared.core.objects import ObjectKey
from shared.errors import TowlineError

PAUSE_S = 5.0
_CHANGES = frozenset({"ADDED", "MODIFIED", "DELETED"})


class Alarms:
    """The watches of one agent, and the apps that they are for."""

    def __init__(self, session: Session, mapper: Mapper) -> None:
        self._session, self._mapper = session, mapper
        self._tasks: asyncio.TaskGroup | None = None
        self._asked: dict[str, tuple[AbstractSet[Obstacle], Callable[[], None]]] = {}
        self._running: dict[Obstacle, asyncio.Task[None]] = {}

    def start(self, tasks: asyncio.TaskGroup) -> None:
        """Let watches run as tasks of this group."""
        self._tasks = tasks

    def look_out(self, app: str, obstacles: AbstractSet[Obstacle], ring: Callable[[], None]) -> None:
        """Ring when something changes of what is in an app's way now; nothing ends its watches."""
        self._asked[app] = (obstacles, ring)
        wanted = frozenset[Obstacle]().union(*(each for each, _ in self._asked.values()))
        for obstacle in self._running.keys() - wanted:
            self._running.pop(obstacle).cancel()
        for obstacle in sorted(wanted - self._running.keys()) if self._tasks else ():
            resource = self._mapper.find(ObjectKey(obstacle.group, obstacle.kind, "", ""))
            if resource is not None and resource.watchable and self._tasks is not None:
                watch = self._watch(obstacle, resource)
                self._running[obstacle] = self._tasks.create_task(watch, name=f"look out for {resource.plural}")

    @property
    def watched(self) -> AbstractSet[Obstacle]:
        """Return what is watched now."""
        return self._running.keys()

    def tasks(self) -> list[asyncio.Task[None]]:
        """Return the tasks that watch."""
        return list(self._running.values())

    def _ring(self, obstacle: Obstacle) -> None:
        for obstacles, ring in self._asked.values():
            if obstacle in obstacles:
                ring()

    async def _watch(self, obstacle: Obstacle, resource: Resource) -> None:
        """Ring at each change until cancelled, or until it may not be watched."""
        again = False
        while True:
            try:
                version = await self._version(obstacle, resource)
                if version is None:
                    return
                if again:
                    self._ring(obstacle)  # nobody saw what happened meanwhile
                if not await self._follow(obstacle, resource, version):
                    return
            except TowlineError:
                await asyncio.sleep(PAUSE_S)
            again = True
            await asyncio.sleep(random.uniform(0.0, PAUSE_S))  # noqa: S311 - spreads the load

    async def _version(self, obstacle: Obstacle, resource: Resource) -> str | None:
        """Return from where changes count, None when they may not be read."""
        path, query = resource.path(obstacle.namespace), {**_selected(obstacle), "limit": "1"}
        reply = await self._session.send(Request("GET", path, query, accept=METADATA_LIST))
        return str(reply.body["metadata"]["resourceVersion"]) if reply.ok and reply.body else None

    async def _follow(self, obstacle: Obstacle, resource: Resource, version: str) -> bool:
        """Ring at each change until the watch ends; return whether another may begin."""
        query = {**_selected(obstacle), "watch": "true", "allowWatchBookmarks": "true", "resourceVersion": version}
        path = resource.path(obstacle.namespace)
        async with self._session.stream(path, query, accept=METADATA) as (head, events):
            if not head.ok:
                return head.status != 403
            async for event in events:
                if event.get("type") in _CHANGES:
                    self._ring(obstacle)
        return True


def _selected(obstacle: Obstacle) -> dict[str, str]:
    return {"fieldSelector": f"metadata.name={obstacle.name}"} if obstacle.name else {}
