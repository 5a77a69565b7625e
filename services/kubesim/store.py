"""Hold one cluster's objects and the history that watches read; every change gets the next resourceVersion.

Objects are kept as encoded JSON: small, impossible to change by accident, ready to be sent.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import orjson

from services.kubesim.answers import RefusedError
from shared.core.canonical import compact

HISTORY = 1024
OBJECT_LIMIT = 1_572_864


class Name(NamedTuple):
    """An object's place inside its resource; cluster-scoped objects have no namespace."""

    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Stored:
    """One object as stored."""

    raw: bytes
    version: int
    labels: Mapping[str, str] | None

    def decode(self) -> dict[str, Any]:
        """Return a fresh copy of the object."""
        value: dict[str, Any] = orjson.loads(self.raw)
        return value


@dataclass(frozen=True, slots=True)
class Change:
    """One event of a resource's history; `before` lets selectors see objects that stop matching."""

    version: int
    kind: Literal["ADDED", "MODIFIED", "DELETED"]
    name: Name
    after: Stored
    before: Stored | None


@dataclass(slots=True)
class Shelf:
    """The objects and the history of one resource."""

    objects: dict[Name, Stored] = field(default_factory=dict)
    history: deque[Change] = field(default_factory=deque)
    floor: int = 0
    """The version below which the history is gone."""
    epoch: int = 0
    """Raised to end all watches of the resource."""
    waiting: set[asyncio.Future[None]] = field(default_factory=set)


class Store:
    """All objects of one cluster."""

    def __init__(self, history: int = HISTORY) -> None:
        self.version = 1
        self._history = history
        self._shelves: dict[str, Shelf] = {}
        self.on_change: list[Callable[[str, Change], None]] = []

    def shelf(self, storage: str) -> Shelf:
        """Return the shelf of a resource, made on first use."""
        shelf = self._shelves.get(storage)
        if shelf is None:
            shelf = self._shelves[storage] = Shelf(history=deque(maxlen=self._history))
        return shelf

    def get(self, storage: str, name: Name) -> Stored | None:
        """Return an object, None when there is none."""
        shelf = self._shelves.get(storage)
        return shelf.objects.get(name) if shelf else None

    def select(self, storage: str, namespace: str = "") -> list[tuple[Name, Stored]]:
        """Return the objects of a resource in the order of their names; an empty namespace means all."""
        shelf = self._shelves.get(storage)
        if shelf is None:
            return []
        return sorted(pair for pair in shelf.objects.items() if not namespace or pair[0].namespace == namespace)

    def everything(self) -> Iterator[tuple[str, Name, Stored]]:
        """Yield all objects; the store may change meanwhile."""
        for storage, shelf in list(self._shelves.items()):
            for name, stored in list(shelf.objects.items()):
                yield storage, name, stored

    def put(self, storage: str, value: dict[str, Any]) -> dict[str, Any]:
        """Store an object under a new resourceVersion and return it with that.

        Raises:
            RefusedError: 500, the object is larger than a store of a real cluster takes.
        """
        metadata = value["metadata"]
        name = Name(metadata.get("namespace") or "", metadata["name"])
        shelf = self.shelf(storage)
        before = shelf.objects.get(name)
        metadata["resourceVersion"] = str(self.version + 1)
        # In this order a list can leave out apiVersion and kind without decoding.
        first = {"apiVersion": value.get("apiVersion"), "kind": value.get("kind")}
        raw = compact(orjson.dumps(first | value))
        if len(raw) > OBJECT_LIMIT:
            raise RefusedError(500, "etcdserver: request is too large", reason="")
        self.version += 1
        after = Stored(raw, self.version, metadata.get("labels"))
        shelf.objects[name] = after
        self._record(storage, Change(self.version, "MODIFIED" if before else "ADDED", name, after, before))
        return value

    def remove(self, storage: str, name: Name) -> dict[str, Any] | None:
        """Remove an object and return its last state, which carries the version of the removal."""
        shelf = self.shelf(storage)
        before = shelf.objects.pop(name, None)
        if before is None:
            return None
        self.version += 1
        value = before.decode()
        value["metadata"]["resourceVersion"] = str(self.version)
        after = Stored(compact(orjson.dumps(value)), self.version, before.labels)
        self._record(storage, Change(self.version, "DELETED", name, after, before))
        return value

    def _record(self, storage: str, change: Change) -> None:
        shelf = self.shelf(storage)
        if len(shelf.history) == shelf.history.maxlen:
            shelf.floor = shelf.history[0].version
        shelf.history.append(change)
        self._wake(shelf)
        for listener in self.on_change:
            listener(storage, change)

    def compact(self, storage: str | None = None) -> None:
        """Forget the history of one resource or of all: watches from an older version get a 410."""
        for shelf in [self.shelf(storage)] if storage else list(self._shelves.values()):
            shelf.history.clear()
            shelf.floor = self.version

    def end_watches(self, storage: str) -> None:
        """End the open watches of a resource and forget its history, as a change of a CRD does."""
        shelf = self.shelf(storage)
        shelf.epoch += 1
        self.compact(storage)
        self._wake(shelf)

    @staticmethod
    def _wake(shelf: Shelf) -> None:
        for waiter in shelf.waiting:
            if not waiter.done():
                waiter.set_result(None)
        shelf.waiting.clear()

    async def changed(self, storage: str, deadline: float) -> None:
        """Wait for a change of a resource, at most until the loop time `deadline`."""
        shelf = self.shelf(storage)
        waiter = asyncio.get_running_loop().create_future()
        shelf.waiting.add(waiter)
        try:
            async with asyncio.timeout_at(deadline):
                await waiter
        except TimeoutError:
            return
        finally:
            shelf.waiting.discard(waiter)

    @staticmethod
    def since(shelf: Shelf, version: int) -> list[Change]:
        """Return the changes after `version`, oldest first."""
        found: list[Change] = []
        for change in reversed(shelf.history):
            if change.version <= version:
                break
            found.append(change)
        found.reverse()
        return found
