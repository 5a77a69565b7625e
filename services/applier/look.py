"""See what is live: from what is watched where that is enough, else by the fewest reads that answer.

A namespace that does not exist holds nothing, and a kind whose definition comes with the bundle has no objects yet:
both answer for all their objects at once. What could not be read is unknown, never absent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from services.applier.errors import ErrorClass, Failure
from services.applier.inventory import NAMESPACES
from services.applier.kube.mapper import Mapper, Resource
from services.applier.kube.reflector import ListError, pages
from services.applier.kube.session import METADATA, ClusterUnreachableError, Request, Sender
from services.applier.observe import Observer
from services.applier.remains import NAMESPACE
from services.applier.state import Absent, Live, Unknown, Why
from services.applier.tracking import present_of
from shared.core.objects import ObjectKey, key_of

LIST_FROM = 4
"""So many unknown objects of one kind in one namespace are listed together instead of read one by one."""
READERS = 8


@dataclass(frozen=True, slots=True)
class Looker:
    """Reads the live state of objects."""

    session: Sender
    """As whom objects are read."""
    own: Sender
    """The agent itself asks whether a namespace exists: few apps may read namespaces."""
    mapper: Mapper
    observer: Observer

    async def live(
        self, keys: Iterable[ObjectKey], *, coming: AbstractSet[tuple[str, str]] = frozenset()
    ) -> dict[ObjectKey, Live]:
        """Return the state of every key; `coming` are kinds that the bundle itself defines."""
        found: dict[ObjectKey, Live] = {}
        unread: dict[tuple[Resource, str], list[ObjectKey]] = {}
        for key in keys:
            resource = self.mapper.find(key)
            watched = self.observer.present(key) if self.observer.watched(key) else None
            if watched is not None:
                found[key] = watched
            elif resource is not None:
                unread.setdefault((resource, key.namespace), []).append(key)
            elif (key.group, key.kind) in coming and not self.mapper.unsure:
                found[key] = Absent()
            else:
                found[key] = Unknown(Why.KIND_GONE if self.mapper.gone(key) else Why.UNSERVED)
        missing = await self._missing_namespaces({namespace for _, namespace in unread if namespace})
        work = [(resource, namespace, group) for (resource, namespace), group in unread.items()]
        for _, namespace, group in work:
            if namespace in missing:
                found |= dict.fromkeys(group, Absent())
        await self._read_all([each for each in work if each[1] not in missing], found)
        return found

    async def one(self, key: ObjectKey, resource: Resource) -> Live:
        """Read one object's metadata."""
        try:
            sender = self.own if (key.group, key.kind) == NAMESPACE else self.session
            reply = await sender.send(Request("GET", resource.path(key.namespace, key.name), accept=METADATA))
        except ClusterUnreachableError as error:
            return Unknown(Why.FAILED, error.message)
        if reply.ok and reply.body is not None:
            return present_of(reply.body)
        return state_of(reply.failure(key))

    async def _missing_namespaces(self, namespaces: Iterable[str]) -> set[str]:
        missing: set[str] = set()

        async def check(namespace: str) -> None:
            key = ObjectKey("", "Namespace", "", namespace)
            if self.observer.present(key) is None and isinstance(await self.one(key, NAMESPACES), Absent):
                missing.add(namespace)

        async with asyncio.TaskGroup() as tasks:
            for namespace in namespaces:
                tasks.create_task(check(namespace))
        return missing

    async def _read_all(self, work: list[tuple[Resource, str, list[ObjectKey]]], found: dict[ObjectKey, Live]) -> None:
        places = asyncio.Semaphore(READERS)

        async def read(resource: Resource, namespace: str, keys: list[ObjectKey]) -> None:
            async with places:
                left = await self._listed(resource, namespace, keys, found) if len(keys) >= LIST_FROM else keys
                for key in left:
                    found[key] = await self.one(key, resource)

        async with asyncio.TaskGroup() as tasks:
            for resource, namespace, keys in work:
                tasks.create_task(read(resource, namespace, keys))

    async def _listed(
        self, resource: Resource, namespace: str, keys: list[ObjectKey], found: dict[ObjectKey, Live]
    ) -> list[ObjectKey]:
        """Fill in what the first page of a listing tells; return the keys that it does not answer for."""
        wanted = set(keys)
        try:
            async for page in pages(self.session, resource, {}, namespace=namespace):
                for item in page.get("items") or ():
                    key = key_of(item)._replace(group=resource.group, kind=resource.kind)
                    if key in wanted:
                        found[key] = present_of(item)
                        wanted.discard(key)
                if (page.get("metadata") or {}).get("continue"):
                    return sorted(wanted)  # a crowded place: reading the rest of it would cost more
        except (ListError, ClusterUnreachableError):
            return sorted(wanted)
        found.update(dict.fromkeys(wanted, Absent()))
        return []


def state_of(failure: Failure) -> Live:
    """Return what a refused read says about the object."""
    match failure.error:
        case ErrorClass.GONE:
            return Absent()
        case ErrorClass.UNKNOWN_KIND:
            return Unknown(Why.UNSERVED, failure.message)
        case ErrorClass.FORBIDDEN | ErrorClass.IMPERSONATION_FORBIDDEN:
            return Unknown(Why.FORBIDDEN, failure.message)
        case _:
            return Unknown(Why.FAILED, failure.message)
