"""Follow the objects of one kind that carry our label: list them, watch them, list again when the server forgot.

Ends and 410 are routine: a watch ends every few minutes, with every change of a CRD, and with every restart of the API
server. Silence for longer than bookmarks come is a dead connection.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from services.applier.errors import ErrorClass, Failure
from services.applier.kube.mapper import Resource
from services.applier.kube.session import (
    JSON,
    LIST_TIMEOUT_S,
    METADATA,
    METADATA_LIST,
    ClusterUnreachableError,
    Request,
    Sender,
    Session,
)
from shared.core.objects import ObjectKey, key_of
from shared.errors import TowlineError

PAGE = "100"
FIRST_PAUSE_S = 0.8
LONGEST_PAUSE_S = 30.0
FORBIDDEN_PAUSE_S = 60.0


@dataclass(frozen=True, slots=True)
class Seen:
    """An object exists in this form."""

    key: ObjectKey
    manifest: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Lost:
    """An object was deleted, or no longer carries our label."""

    key: ObjectKey
    uid: str


@dataclass(frozen=True, slots=True)
class Listed:
    """A listing ended: what is not in it does not carry our label now."""

    resource: Resource
    keys: frozenset[ObjectKey]


@dataclass(frozen=True, slots=True)
class Blind:
    """The kind cannot be followed now."""

    resource: Resource
    failure: Failure | None


Event = Seen | Lost | Listed | Blind


class ListError(TowlineError):
    """A listing was refused."""

    code = "kube.list"

    def __init__(self, resource: Resource, failure: Failure) -> None:
        super().__init__(f"cannot list {resource.plural}: {failure.message}")
        self.failure = failure


@dataclass(frozen=True, slots=True)
class Reflector:
    """One kind that is followed."""

    session: Session
    resource: Resource
    selector: str
    metadata_only: bool
    emit: Callable[[Event], None]

    async def run(self) -> None:
        """Follow until cancelled, through everything that passes."""
        failures = 0
        while True:
            try:
                version = await self._list()
                failures = 0
                while version:
                    version = await self._watch(version)
                continue
            except ListError as error:
                self.emit(Blind(self.resource, error.failure))
                forbidden = error.failure.error is ErrorClass.FORBIDDEN
                pause_s = FORBIDDEN_PAUSE_S if forbidden else _pause_s(failures)
            except TowlineError:
                self.emit(Blind(self.resource, None))
                pause_s = _pause_s(failures)
            failures += 1
            await asyncio.sleep(pause_s)

    async def _list(self) -> str:
        """Emit all objects, page by page, and return the resource version they stand for."""
        keys: set[ObjectKey] = set()
        version = ""
        async for page in pages(
            self.session, self.resource, {"labelSelector": self.selector}, metadata_only=self.metadata_only
        ):
            for item in page.get("items") or ():
                self.emit(Seen(self._key(item), item))
                keys.add(self._key(item))
            version = str((page.get("metadata") or {}).get("resourceVersion") or "")
        self.emit(Listed(self.resource, frozenset(keys)))
        return version

    async def _watch(self, version: str) -> str:
        """Follow changes after `version`; return where to go on, or an empty string: list again."""
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "labelSelector": self.selector,
            "resourceVersion": version,
            "timeoutSeconds": str(random.randint(300, 600)),  # noqa: S311 - spreads the ends of watches
        }
        accept = METADATA if self.metadata_only else JSON
        try:
            async with self.session.stream(self.resource.path(), query, accept=accept) as (head, events):
                if not head.ok:
                    return await self._refused(head.failure(), version)
                async for event in events:
                    version = self._take(event, version)
                    if not version:
                        return ""
        except ClusterUnreachableError:
            await asyncio.sleep(_pause_s(0))
        return version

    async def _refused(self, failure: Failure, version: str) -> str:
        if failure.error in {ErrorClass.FORBIDDEN, ErrorClass.UNKNOWN_KIND}:
            raise ListError(self.resource, failure)
        await asyncio.sleep(max(_pause_s(0), failure.retry_after_s or 0.0))
        return version if failure.error is ErrorClass.INITIALIZING else ""

    def _take(self, event: Mapping[str, Any], version: str) -> str:
        """Emit what a watch event says and return the version it stands for; empty after an error."""
        manifest = event.get("object") or {}
        metadata = manifest.get("metadata") or {}
        match event.get("type"):
            case "ADDED" | "MODIFIED":
                self.emit(Seen(self._key(manifest), manifest))
            case "DELETED":
                self.emit(Lost(self._key(manifest), str(metadata.get("uid") or "")))
            case "ERROR":
                return ""
        return str(metadata.get("resourceVersion") or version)

    def _key(self, manifest: Mapping[str, Any]) -> ObjectKey:
        """Return the key under the kind that is followed: metadata-only answers and items of lists name another."""
        key = key_of(manifest)
        return key._replace(group=self.resource.group, kind=self.resource.kind)


async def pages(
    session: Sender, resource: Resource, query: Mapping[str, str], *, metadata_only: bool = True, namespace: str = ""
) -> AsyncIterator[Mapping[str, Any]]:
    """Yield a listing page by page; only one is held at a time.

    Raises:
        ListError: the server refused a page, an expired token included: start again.
        ClusterUnreachableError: no answer.
    """
    following = ""
    while True:
        asked = {**query, "limit": PAGE, **({"continue": following} if following else {})}
        accept = METADATA_LIST if metadata_only else JSON
        reply = await session.send(
            Request("GET", resource.path(namespace), asked, accept=accept, timeout_s=LIST_TIMEOUT_S)
        )
        if not reply.ok or reply.body is None:
            raise ListError(resource, reply.failure())
        yield reply.body
        following = str((reply.body.get("metadata") or {}).get("continue") or "")
        if not following:
            return


def _pause_s(failures: int) -> float:
    ceiling = min(FIRST_PAUSE_S * 2**failures, LONGEST_PAUSE_S)
    return random.uniform(FIRST_PAUSE_S / 4, ceiling)  # noqa: S311 - spreads the load
