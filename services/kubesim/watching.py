"""Stream the changes of a resource: initial events, selectors, bookmarks, the end of a history."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from services.kubesim import conversion
from services.kubesim.answers import Cause, RefusedError, Subject, bad_request, expired, invalid
from services.kubesim.cluster import ClusterState
from services.kubesim.kinds import Resource
from services.kubesim.reading import Matches, encoded, too_large
from services.kubesim.requests import Form, flag, number
from services.kubesim.store import Change, Stored
from services.kubesim.tables import table

BOOKMARKS_S = 60.0
LONGEST_S = 1800.0


@dataclass(frozen=True, slots=True)
class Watch:
    """One watch request."""

    resource: Resource
    matches: Matches
    form: Form
    start: int | None
    """The version to go on from; None = send the present state first."""
    ends_initial: bool
    bookmarks: bool
    timeout_s: float


def watch_of(
    cluster: ClusterState, resource: Resource, matches: Matches, query: Mapping[str, str], form: Form
) -> Watch:
    """Return the watch a request asks for.

    Raises:
        RefusedError: 400 or 422, the query does not fit together.
    """
    version = query.get("resourceVersion") or ""
    if version and not version.isdigit():
        raise bad_request(f'invalid resource version "{version}"')
    initial = "sendInitialEvents" in query
    if initial and query.get("resourceVersionMatch") != "NotOlderThan":
        text = "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        raise invalid(
            Subject("meta.k8s.io", "ListOptions"), [Cause("FieldValueForbidden", text, "resourceVersionMatch")]
        )
    if not initial and query.get("resourceVersionMatch"):
        text = "Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
        raise invalid(
            Subject("meta.k8s.io", "ListOptions"), [Cause("FieldValueForbidden", text, "resourceVersionMatch")]
        )
    wants_state = flag(query, "sendInitialEvents") or (not initial and version in {"", "0"})
    start = None if wants_state else int(version or 0) or cluster.store.version
    bookmarks = flag(query, "allowWatchBookmarks")
    timeout_s = number(query, "timeoutSeconds") or LONGEST_S
    ends = flag(query, "sendInitialEvents") and bookmarks
    return Watch(resource, matches, form, start, ends, bookmarks, timeout_s)


async def events(cluster: ClusterState, watch: Watch, version: str) -> AsyncIterator[bytes]:
    """Yield the lines of a watch until its time is over or its history is gone; `version` is the one asked for."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + watch.timeout_s
    shelf = cluster.store.shelf(watch.resource.storage)
    epoch = shelf.epoch
    at = watch.start
    if at is None:
        at = cluster.store.version
        for line in list(_initial(cluster, watch, version)):
            yield line
    bookmark_at = loop.time() + BOOKMARKS_S
    while epoch == shelf.epoch:
        if at < shelf.floor:
            yield _error(expired(f"too old resource version: {at} ({shelf.floor})"))
            return
        changes = cluster.store.since(shelf, at)
        at = changes[-1].version if changes else at
        for line in filter(None, [_line(cluster, watch, change) for change in changes]):
            yield line
        if not shelf.history or shelf.history[-1].version <= at:
            await cluster.store.changed(watch.resource.storage, min(deadline, bookmark_at))
        if (shelf.history and shelf.history[-1].version > at) or loop.time() < min(deadline, bookmark_at):
            continue
        at = max(at, cluster.store.version)
        if watch.bookmarks:
            yield _bookmark(watch, at, ended=False)
        if loop.time() >= deadline:
            break
        bookmark_at = loop.time() + BOOKMARKS_S


def _initial(cluster: ClusterState, watch: Watch, version: str) -> Iterator[bytes]:
    if version.isdigit() and int(version) > cluster.store.version:
        yield _error(too_large(int(version), cluster.store.version))
        return
    for name, stored in cluster.store.select(watch.resource.storage):
        if watch.matches(name, stored):
            yield _event(cluster, watch, "ADDED", stored)
    if watch.ends_initial:
        yield _bookmark(watch, cluster.store.version, ended=True)


def _line(cluster: ClusterState, watch: Watch, change: Change) -> bytes:
    """Return the event as this watch sees it: what begins or ends to match is added or deleted for it."""
    now = change.kind != "DELETED" and watch.matches(change.name, change.after)
    before = change.before is not None and watch.matches(change.name, change.before)
    if now:
        return _event(cluster, watch, "MODIFIED" if before else "ADDED", change.after)
    if not before or change.before is None:
        return b""
    last = change.before.decode()
    last["metadata"]["resourceVersion"] = str(change.version)
    return _event(cluster, watch, "DELETED", Stored(orjson.dumps(last), change.version, change.before.labels))


def _event(cluster: ClusterState, watch: Watch, kind: str, stored: Stored) -> bytes:
    if watch.form == "table":
        value = conversion.shown(watch.resource, stored.decode())
        rows = table(watch.resource, [value], cluster.clock(), {"resourceVersion": str(stored.version)})
        return _wrapped(kind, orjson.dumps(rows))
    return _wrapped(kind, encoded(watch.resource, stored, watch.form))


def _wrapped(kind: str, body: bytes) -> bytes:
    return b'{"type":"' + kind.encode() + b'","object":' + body + b"}\n"


def _bookmark(watch: Watch, version: int, *, ended: bool) -> bytes:
    metadata: dict[str, Any] = {"resourceVersion": str(version), "creationTimestamp": None}
    if ended:
        metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
    partial = watch.form == "metadata"
    kind = "PartialObjectMetadata" if partial else watch.resource.kind
    api_version = "meta.k8s.io/v1" if partial else watch.resource.api_version
    value = {"kind": kind, "apiVersion": api_version, "metadata": metadata}
    return _wrapped("BOOKMARK", orjson.dumps(value))


def _error(refused: RefusedError) -> bytes:
    return _wrapped("ERROR", orjson.dumps(refused.body()))
