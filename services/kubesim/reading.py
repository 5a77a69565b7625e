"""Answer GET and LIST: selectors, pages, and the form a client accepts."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from services.kubesim import conversion
from services.kubesim.answers import RefusedError, bad_request, expired
from services.kubesim.cluster import ClusterState
from services.kubesim.kinds import Resource
from services.kubesim.requests import Form, number
from services.kubesim.selectors import field_tests, label_test, value_at
from services.kubesim.store import Name, Stored
from services.kubesim.tables import partial, table

Object = dict[str, Any]
Matches = Callable[[Name, Stored], bool]
NO_LABELS: Mapping[str, str] = {}


def matcher(query: Mapping[str, str], namespace: str = "", name: str = "") -> Matches:
    """Return the test of a request's namespace, name and selectors."""
    labels = label_test(query.get("labelSelector", ""))
    fields = field_tests(query.get("fieldSelector", ""))
    quick = {"metadata.name", "metadata.namespace"}
    deep = [test for test in fields if test[0] not in quick]

    def matches(at: Name, stored: Stored) -> bool:
        if (namespace and at.namespace != namespace) or (name and at.name != name):
            return False
        for path, wanted, equal in fields:
            if path in quick and ((at.name if path == "metadata.name" else at.namespace) == wanted) is not equal:
                return False
        if not labels(stored.labels or NO_LABELS):
            return False
        return not deep or _deep_match(stored.decode(), deep)

    return matches


def _deep_match(value: Object, tests: list[tuple[str, str, bool]]) -> bool:
    return all((value_at(value, path) == wanted) is equal for path, wanted, equal in tests)


def encoded(resource: Resource, stored: Stored, form: Form = "full") -> bytes:
    """Return one object as it is sent."""
    if form == "full" and conversion.relabels_only(resource):
        return stored.raw
    value = conversion.shown(resource, stored.decode())
    return orjson.dumps(partial(value) if form != "full" else value)


def shaped(cluster: ClusterState, resource: Resource, value: Object, form: Form) -> Object:
    """Return a single answer's object in the form asked for.

    Raises:
        RefusedError: 406, a list form for one object.
    """
    value = conversion.shown(resource, value)
    match form:
        case "full":
            return value
        case "metadata":
            return partial(value)
        case "table":
            version = value["metadata"].get("resourceVersion", "")
            return table(resource, [value], cluster.clock(), {"resourceVersion": version})
        case _:
            raise RefusedError(406, not_a_list(resource))


def not_a_list(resource: Resource) -> str:
    """Return what the server says when one object is asked for as a list."""
    package = (
        "unstructured.Unstructured"
        if resource.custom
        else f"{resource.group.partition('.')[0] or 'core'}.{resource.kind}"
    )
    return f"you requested PartialObjectMetadataList, but the requested object is not a list (*{package})"


def listed(cluster: ClusterState, resource: Resource, matches: Matches, query: Mapping[str, str], form: Form) -> bytes:
    """Return the body of a LIST."""
    found = [(name, stored) for name, stored in cluster.store.select(resource.storage) if matches(name, stored)]
    version = _exact_version(cluster, query)
    page, metadata = _page(found, query, version)
    if form == "table":
        values = [conversion.shown(resource, stored.decode()) for _, stored in page]
        return orjson.dumps(table(resource, values, cluster.clock(), metadata))
    if form == "metadata":
        raise RefusedError(406, "the requested form does not fit a list")
    if form == "metadata-list":
        head = {"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": metadata}
        items = b",".join(encoded(resource, stored, form) for _, stored in page)
        return orjson.dumps(head)[:-1] + b',"items":' + (b"[" + items + b"]" if items else b"null") + b"}"
    whole = {"continue": "", **metadata} if resource.custom else metadata
    head = {"kind": resource.kind_of_list, "apiVersion": resource.api_version, "metadata": whole}
    return orjson.dumps(head)[:-1] + b',"items":[' + b",".join(_item(resource, stored) for _, stored in page) + b"]}"


def _item(resource: Resource, stored: Stored) -> bytes:
    """Return an object inside a list: built-in kinds come without apiVersion and kind there."""
    if resource.custom:
        return encoded(resource, stored)
    head = f'{{"apiVersion":"{resource.api_version}","kind":"{resource.kind}",'.encode()
    if stored.raw.startswith(head):
        return b"{" + stored.raw[len(head) :]
    value = conversion.shown(resource, stored.decode())
    return orjson.dumps({name: inner for name, inner in value.items() if name not in {"apiVersion", "kind"}})


def _exact_version(cluster: ClusterState, query: Mapping[str, str]) -> int:
    text = query.get("resourceVersion") or "0"
    if not text.isdigit():
        raise bad_request(
            f'invalid resource version: resourceVersion: Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax'
        )
    if int(text) > cluster.store.version:
        raise too_large(int(text), cluster.store.version)
    if query.get("resourceVersionMatch") == "Exact" and int(text) != cluster.store.version:
        raise expired(f"too old resource version: {text} ({cluster.store.version})")
    return cluster.store.version


def too_large(asked: int, current: int) -> RefusedError:
    """Return the 504 for a resourceVersion that this cluster has not reached."""
    cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
    text = f"Too large resource version: {asked}, current: {current}"
    return RefusedError(504, text, details={"causes": [cause], "retryAfterSeconds": 1}, headers={"Retry-After": "1"})


def _page(
    found: list[tuple[Name, Stored]], query: Mapping[str, str], version: int
) -> tuple[list[tuple[Name, Stored]], Object]:
    metadata: Object = {"resourceVersion": str(version)}
    token = query.get("continue")
    if token:
        after, version = _read_token(token)
        metadata["resourceVersion"] = str(version)
        found = [pair for pair in found if pair[0] > after]
    limit = number(query, "limit")
    if not limit or len(found) <= limit or query.get("resourceVersion") == "0":
        return found, metadata
    last = found[limit - 1][0]
    text = orjson.dumps({"v": "meta.k8s.io/v1", "rv": version, "start": list(last)})
    metadata["continue"] = base64.urlsafe_b64encode(text).rstrip(b"=").decode()
    if not (query.get("labelSelector") or query.get("fieldSelector")):
        metadata["remainingItemCount"] = len(found) - limit
    return found[:limit], metadata


def _read_token(token: str) -> tuple[Name, int]:
    try:
        read = orjson.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        return Name(*read["start"]), int(read["rv"])
    except (ValueError, KeyError, TypeError) as error:
        raise bad_request("invalid continue token: continue key is not valid: illegal base64 data") from error
