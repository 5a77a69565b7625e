"""Keep what the agent must not forget in its own cluster: one inventory an app, in Secrets of its namespace.

An app's first Secret holds its header and the highest desired document accepted; entries are spread over Secrets by a
digest of their key, so that a growing app moves no entry twice. A write that touches several Secrets puts the header
last: a crash in between leaves entries twice, never none.
"""

from __future__ import annotations

import gzip
import zlib
from base64 import b64decode, b64encode
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import astuple, dataclass, field, fields
from hashlib import sha256
from operator import attrgetter
from sys import intern
from typing import Any

from services.applier.kube.mapper import Resource
from services.applier.kube.reflector import pages
from services.applier.kube.session import APPLY, WRITE_TIMEOUT_S, Reply, Request, Session
from services.applier.lease import LostLeaseError
from services.applier.state import Entry, Header, Inventory
from services.applier.tracking import MANAGER
from services.applier.verify import Accepted
from shared.core.canonical import decode, encode
from shared.core.objects import ObjectKey, interned
from shared.errors import PermanentError, TowlineError, TransientError

SCHEMA = 1
ENTRIES_PER_SECRET = 2000
"""About 250 bytes an entry after compression: half of what a Secret may hold."""
APP_LABEL = "towline.dev/inventory"
SECRETS = Resource("", "v1", "Secret", "secrets", namespaced=True)
NAMESPACES = Resource("", "v1", "Namespace", "namespaces", namespaced=False)
_FORCE = {"fieldManager": MANAGER, "force": "true"}
_DAMAGE = (LookupError, TypeError, ValueError, OSError, EOFError, zlib.error)
_HEADER = tuple(each.name for each in fields(Header))
_ACCEPTED = tuple(each.name for each in fields(Accepted))
_row = attrgetter(*(each.name for each in fields(Entry)[1:]))


class StorageError(TransientError):
    """The cluster did not take what the agent must keep; nothing else is done before it does."""

    code = "inventory.unavailable"


class DamagedInventoryError(PermanentError):
    """A stored inventory cannot be read: its app is Held, nothing of it is touched (M8)."""

    code = "inventory.damaged"


@dataclass(slots=True)
class _Shelf:
    """One Secret as it was last written or read."""

    uid: str
    version: str
    digest: bytes
    """Of its content, which is not kept: memory."""


@dataclass(slots=True)
class _Stored:
    """The Secrets of one app, by number."""

    shelves: dict[int, _Shelf] = field(default_factory=dict)
    damage: str = ""


@dataclass(frozen=True, slots=True)
class Known:
    """What the cluster remembered when the agent started."""

    inventories: Mapping[str, Inventory]
    accepted: Accepted
    damaged: Mapping[str, str]
    """App → why its inventory cannot be read."""


class Storage:
    """The agent's memory in its cluster."""

    def __init__(self, session: Session, namespace: str, fence: Callable[[], None]) -> None:
        self._session = session
        self._fence = fence
        self._namespace = namespace
        self._apps: dict[str, _Stored] = {}

    async def load(self) -> Known:
        """Read every inventory; they are few Secrets, listed once at the start.

        Raises:
            StorageError: the cluster refused.
            ClusterUnreachableError: it did not answer.
        """
        self._apps.clear()
        contents: dict[str, dict[int, bytes]] = {}
        found: dict[str, tuple[Inventory, Accepted]] = {}
        try:
            async for page in pages(
                self._session, SECRETS, {"labelSelector": APP_LABEL}, metadata_only=False, namespace=self._namespace
            ):
                for secret in page.get("items") or ():
                    self._take(secret, contents)
        except TowlineError as error:
            raise StorageError(f"inventories cannot be read: {error.message}", hint=error.hint) from error
        for app, stored in self._apps.items():
            try:
                found[app] = _inventory_of(app, contents.pop(app, {}), stored.damage)
            except DamagedInventoryError as error:
                stored.damage = error.message
        accepted = max((each for _, each in found.values()), key=_number, default=Accepted())
        damaged = {app: stored.damage for app, stored in self._apps.items() if stored.damage}
        return Known({app: inventory for app, (inventory, _) in found.items()}, accepted, damaged)

    def reference(self, app: str) -> dict[str, str]:
        """Return where an app's inventory is, as other objects refer to it."""
        shelf = self._apps.get(app, _Stored()).shelves.get(0)
        named = {"apiVersion": "v1", "kind": "Secret", "namespace": self._namespace, "name": _name(app, 0)}
        return {**named, "uid": shelf.uid} if shelf else named

    async def write(self, inventory: Inventory, accepted: Accepted) -> None:
        """Store an app's inventory; what did not change is not sent.

        Raises:
            StorageError: the cluster refused.
            LostLeaseError: somebody else wrote it: two agents run, or the cluster's store was restored.
            ClusterUnreachableError: it did not answer.
        """
        app = inventory.header.app
        stored = self._apps.setdefault(app, _Stored())
        shards = _shards(len(inventory.entries), len(stored.shelves))
        spread: list[list[Entry]] = [[] for _ in range(shards)]
        for entry in inventory.entries.values():
            spread[_shard(entry.key, shards)].append(entry)
        for number in reversed(range(shards)):
            head = {"header": astuple(inventory.header), "accepted": astuple(accepted), "shards": shards}
            content = _content(spread[number], head if number == 0 else {})
            shelf = stored.shelves.get(number)
            if shelf is None or shelf.digest != _digest(content):
                stored.shelves[number] = await self._written(app, number, content, shelf)

    def is_bound(self, inventory: Inventory) -> bool:
        """Tell whether every Secret of an inventory exists already: a write of it names their UIDs, and makes none."""
        present = len(self._apps.get(inventory.header.app, _Stored()).shelves)
        return present == _shards(len(inventory.entries), present)

    async def forget(self, app: str) -> None:
        """Remove an app's inventory, the last trace of it; the header goes last.

        Raises:
            StorageError: the cluster refused.
            ClusterUnreachableError: it did not answer.
        """
        stored = self._apps.get(app, _Stored())
        for number in sorted(stored.shelves, reverse=True):
            body = encode({"preconditions": {"uid": stored.shelves[number].uid}})
            path = SECRETS.path(self._namespace, _name(app, number))
            reply = await self._session.send(
                Request("DELETE", path, body=body, timeout_s=WRITE_TIMEOUT_S, fence=self._fence)
            )
            if not reply.ok and reply.status != 404:
                raise _refused(reply, _name(app, number))
            del stored.shelves[number]
        self._apps.pop(app, None)

    async def _written(self, app: str, number: int, content: bytes, shelf: _Shelf | None) -> _Shelf:
        """Write one Secret; one that somebody touched is read again, and taken when it says what we knew."""
        reply = await self._put(app, number, content, shelf)
        if reply.status in {409, 422} and shelf is not None:
            found = await self._session.send(Request("GET", SECRETS.path(self._namespace, _name(app, number))))
            if found.status == 404:
                # It is made anew when it is sure that this is still the same cluster (N5).
                del self._apps[app].shelves[number]
                raise StorageError(f"Secret {_name(app, number)} is gone")
            if found.ok and found.body is not None:
                # The new content: an earlier attempt arrived, and its answer got lost.
                known = _shelf_of(found.body, expected={shelf.digest, _digest(content)})
                if known is None:
                    # Never to be overcome by trying again: what is remembered here is not what the cluster knows (N5).
                    raise LostLeaseError(f"Secret {_name(app, number)} is not as this agent wrote it: it starts over")
                shelf = known
            reply = await self._put(app, number, content, shelf)
        if not reply.ok or reply.body is None:
            raise _refused(reply, _name(app, number))
        written = reply.body["metadata"]
        return _Shelf(written["uid"], written["resourceVersion"], _digest(content))

    async def _put(self, app: str, number: int, content: bytes, shelf: _Shelf | None) -> Reply:
        name = _name(app, number)
        metadata: dict[str, Any] = {
            "name": name,
            "namespace": self._namespace,
            "labels": {APP_LABEL: app, "app.kubernetes.io/managed-by": MANAGER},
        }
        if shelf is not None:
            # Both: a version alone would make a Secret anew that somebody deleted.
            metadata |= {"uid": shelf.uid, "resourceVersion": shelf.version}
        body = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": metadata,
            "type": "towline.dev/inventory",
            "data": {"inventory": b64encode(gzip.compress(content, mtime=0)).decode()},
        }
        return await self._session.send(
            Request(
                "PATCH",
                SECRETS.path(self._namespace, name),
                _FORCE,
                encode(body),
                content_type=APPLY,
                timeout_s=WRITE_TIMEOUT_S,
                fence=self._fence,
            )
        )

    def _take(self, secret: Mapping[str, Any], contents: dict[str, dict[int, bytes]]) -> None:
        metadata = secret["metadata"]
        app = metadata["labels"][APP_LABEL]
        number = metadata["name"].removeprefix(f"towline-inventory-{app}-")
        stored = self._apps.setdefault(app, _Stored())
        try:
            content = _content_of(secret)
            contents.setdefault(app, {})[int(number)] = content
            stored.shelves[int(number)] = _Shelf(metadata["uid"], metadata["resourceVersion"], _digest(content))
        except _DAMAGE as error:
            stored.damage = f"Secret {metadata['name']} is damaged: {error}"


def _content_of(secret: Mapping[str, Any]) -> bytes:
    return gzip.decompress(b64decode(secret["data"]["inventory"], validate=True))


def _shelf_of(secret: Mapping[str, Any], *, expected: Collection[bytes]) -> _Shelf | None:
    """Return a Secret as it is now, if it still holds what is expected: then nobody else writes inventories."""
    metadata = secret["metadata"]
    try:
        digest = _digest(_content_of(secret))
    except _DAMAGE:
        return None
    return _Shelf(metadata["uid"], metadata["resourceVersion"], digest) if digest in expected else None


def _digest(content: bytes) -> bytes:
    return sha256(content).digest()


def _inventory_of(app: str, contents: Mapping[int, bytes], damage: str) -> tuple[Inventory, Accepted]:
    """Return what an app's Secrets hold.

    Raises:
        DamagedInventoryError: one is missing, damaged or of a newer agent.
    """
    if damage:
        raise DamagedInventoryError(damage)
    entries: dict[ObjectKey, Entry] = {}
    head: Mapping[str, Any] = {}
    try:
        # The first Secret is written last and wins where a crash left an entry in two. One after the other: memory.
        for number in sorted(contents, reverse=True):
            head = decode(contents[number])
            if head["schema"] != SCHEMA:
                raise DamagedInventoryError(f"the inventory of {app} was written by a newer agent")
            entries.update((each.key, each) for each in _entries(head))
        if not set(range(head["shards"])) <= contents.keys():
            raise DamagedInventoryError(f"the inventory of {app} lacks some of its {head['shards']} Secrets")
        header = Header(**dict(zip(_HEADER, head["header"], strict=False)))
        return Inventory(header, entries), Accepted(**dict(zip(_ACCEPTED, head["accepted"], strict=False)))
    except (*_DAMAGE, PermanentError) as error:
        raise DamagedInventoryError(f"the inventory of {app} cannot be read: {error}") from error


def _content(entries: Iterable[Entry], head: Mapping[str, Any]) -> bytes:
    rows = [[*each.key, *_row(each)] for each in sorted(entries, key=lambda each: each.key)]
    return encode({"schema": SCHEMA, **head, "entries": rows})


def _entries(document: Mapping[str, Any]) -> Iterable[Entry]:
    for row in document["entries"]:
        version, uid, desired, owned, owned_at, *others = row[4:]
        yield Entry(
            interned(ObjectKey(*row[:4])), intern(version), uid, desired, intern(owned), intern(owned_at), *others
        )


def _shards(entries: int, present: int) -> int:
    """Return a power of two, never less than before: doubling moves entries upwards only, and those are written first."""
    shards = 1
    while shards < present or shards * ENTRIES_PER_SECRET < entries:
        shards *= 2
    return shards


def _shard(key: ObjectKey, shards: int) -> int:
    return int.from_bytes(sha256(str(key).encode()).digest()[:4]) % shards


def _name(app: str, number: int) -> str:
    return f"towline-inventory-{app}-{number}"


def _number(accepted: Accepted) -> tuple[int, int]:
    return (accepted.epoch, accepted.generation)


def _refused(reply: Reply, name: str) -> StorageError:
    failure = reply.failure()
    return StorageError(f"Secret {name} cannot be written: {failure.message}", hint=failure.hint)
