"""Answer HTTP requests to one cluster: discovery, reads, watches and writes, each refusal as a Status."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from aiohttp import web

from services.kubesim import patches, scaling, writing
from services.kubesim.answers import (
    Cause,
    RefusedError,
    Subject,
    bad_request,
    invalid,
    not_served,
    success,
    unknown_path,
)
from services.kubesim.bodies import decoded, deletion, mapping
from services.kubesim.cluster import ClusterState
from services.kubesim.commit import Object, Write, precondition
from services.kubesim.deleting import delete, finalize_namespace
from services.kubesim.kinds import Resource, deprecation
from services.kubesim.reading import listed, matcher, not_a_list, shaped
from services.kubesim.requests import Place, dry_run, flag, form_of, place_of, writer
from services.kubesim.store import Name
from services.kubesim.watching import events, watch_of

JSON = "application/json"
PATCHES = {
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
}
APPLY = {"application/apply-patch+yaml", "application/apply-patch+cbor"}


@dataclass(frozen=True, slots=True)
class Call:
    """One request to a cluster, taken apart."""

    cluster: ClusterState
    request: web.BaseRequest
    method: str
    place: Place
    resource: Resource
    body: bytes

    @property
    def query(self) -> Mapping[str, str]:
        """Return the query of the request."""
        return self.request.query

    @property
    def name(self) -> Name:
        """Return the place of the object that is talked about."""
        return Name(self.place.namespace if self.resource.namespaced else "", self.place.name)


async def answer(cluster: ClusterState, request: web.BaseRequest, path: str, body: bytes) -> web.StreamResponse:
    """Return the answer to a request with this body below `/api` or `/apis`.

    Raises:
        RefusedError: anything that the API refuses.
    """
    place = place_of(path)
    if place is None:
        raise unknown_path()
    resource = _resource(cluster, place)
    if not place.subresource and verb_of(request, place) not in resource.verbs:
        raise RefusedError(405, "the server does not allow this method on the requested resource")
    call = Call(cluster, request, request.method, place, resource, body)
    if request.method == "GET" and not place.subresource:
        return await _read(call)
    if place.subresource == "scale":
        return _json(scaling.scaled(call.cluster, _write(call), call.method, lambda: decoded(call.body)))
    if request.method == "DELETE":
        return _delete(call)
    return _change(call)


def verb_of(request: web.BaseRequest, place: Place) -> str:
    """Return what discovery calls a request's verb."""
    if request.method == "GET" and not place.name:
        return "watch" if flag(request.query, "watch") else "list"
    if request.method == "DELETE" and not place.name:
        return "deletecollection"
    return {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}.get(
        request.method, ""
    )


def _resource(cluster: ClusterState, place: Place) -> Resource:
    if place.group in cluster.hidden_groups:
        text = "the request has been made before all known HTTP paths have been installed, please try again"
        raise RefusedError(503, text, headers={"Retry-After": "5"})
    if place.group in cluster.stale_groups:
        raise RefusedError(503, "service unavailable", plain=True)
    resource = cluster.catalogue.find(place.group, place.version, place.plural)
    if resource is None or (place.namespace and not resource.namespaced):
        known = cluster.catalogue.groups.get(place.group)
        if known is None or any(one.custom for version in known.values() for one in version.values()):
            raise unknown_path()
        raise not_served()
    supported = {"", "status", "scale"} if resource.scale else {"", "status"}
    if place.subresource == "status" and not resource.status:
        raise not_served()
    if place.subresource not in supported and not (resource.plural == "namespaces" and place.subresource == "finalize"):
        raise not_served()
    return resource


async def _read(call: Call) -> web.StreamResponse:
    cluster, query = call.cluster, call.query
    form = form_of(call.request.headers.get("Accept", ""))
    if not call.place.name:
        matches = matcher(query, call.place.namespace)
        if flag(query, "watch"):
            return await _watch(call, form, matches)
        return web.Response(body=listed(cluster, call.resource, matches, query, form), content_type=JSON)
    if form == "metadata-list":
        raise RefusedError(406, not_a_list(call.resource))
    value = writing.read(cluster, _write(call))
    return _json(shaped(cluster, call.resource, value, form))


async def _watch(call: Call, form: Any, matches: Any) -> web.StreamResponse:
    watch = watch_of(call.cluster, call.resource, matches, call.query, form)
    response = web.StreamResponse(headers={"Content-Type": JSON})
    await response.prepare(call.request)
    if form == "metadata-list":
        # Asked for the list form, a real server accepts the watch and ends it without an event.
        await response.write_eof()
        return response
    try:
        async for line in events(call.cluster, watch, call.query.get("resourceVersion") or ""):
            await response.write(line)
        await response.write_eof()
    except ConnectionResetError:
        # The client has gone, as clients of watches do.
        return response
    return response


def _write(call: Call) -> Write:
    query = call.query
    return Write(
        call.resource,
        call.name,
        writer(query, call.request.headers.get("User-Agent", "")),
        dry_run=dry_run(query),
        force=flag(query, "force"),
        subresource="status" if call.place.subresource == "status" else "",
        strict=query.get("fieldValidation") == "Strict",
    )


def _change(call: Call) -> web.Response:
    cluster, write = call.cluster, _write(call)
    form = form_of(call.request.headers.get("Accept", ""))
    if call.place.subresource == "finalize":
        finalizers = (mapping(call.body).get("spec") or {}).get("finalizers") or []
        value, status = finalize_namespace(cluster, writing.read(cluster, write), finalizers), 200
    elif call.method == "POST" and not call.place.name:
        value, status = writing.create(cluster, write, mapping(call.body)), 201
    elif call.method == "PUT" and call.place.name:
        value, status = writing.replace(cluster, write, mapping(call.body)), 200
    elif call.method == "PATCH" and call.place.name:
        value, status = _patch(call, write)
    else:
        raise RefusedError(405, "the server does not allow this method on the requested resource")
    answer_to = _json(shaped(cluster, call.resource, value, form), status)
    warning = deprecation(call.resource)
    if warning:
        answer_to.headers["Warning"] = f'299 - "{warning}"'
    return answer_to


def _patch(call: Call, write: Write) -> tuple[Object, int]:
    cluster = call.cluster
    media = call.request.content_type
    if media in APPLY:
        if "fieldManager" not in call.query:
            cause = Cause("FieldValueRequired", "Required value: is required for apply patch", "fieldManager")
            raise invalid(Subject("meta.k8s.io", "PatchOptions"), [cause])
        existed = cluster.store.get(call.resource.storage, write.name) is not None
        return writing.apply(cluster, write, mapping(call.body)), 200 if existed else 201
    if media not in PATCHES or (media.startswith("application/strategic") and call.resource.custom):
        raise RefusedError(
            415,
            "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
        )
    if call.query.get("force"):
        raise RefusedError(
            422, 'PatchOptions.meta.k8s.io "" is invalid: force: Forbidden: may not be specified for non-apply patch'
        )
    change = decoded(call.body)
    shape = cluster.shape(call.resource)
    if isinstance(change, list) is not (media == "application/json-patch+json"):
        raise bad_request("the body is not a patch of the announced type")

    def changed(value: Object) -> Any:
        if media == "application/json-patch+json":
            return patches.json_patched(value, change)
        if media == "application/merge-patch+json":
            return patches.merged(value, change)
        return patches.strategically_merged(shape, value, change)

    return writing.patch(cluster, write, changed), 200


def _delete(call: Call) -> web.Response:
    if not call.place.name:
        return _delete_collection(call)
    options = deletion(call.query, call.body)
    write = _write(call)
    live = writing.read(call.cluster, write)
    precondition(write, live, options.get("preconditions") or {})
    uid = live["metadata"]["uid"]
    if write.dry_run or options.get("dryRun") == ["All"]:
        return _json(success(write.subject, uid))
    policy = options.get("propagationPolicy") or ("Orphan" if options.get("orphanDependents") else "")
    held = delete(call.cluster, call.resource, live, policy)
    if held is None:
        return _json(success(write.subject, uid))
    return _json(shaped(call.cluster, call.resource, held, "full"))


def _delete_collection(call: Call) -> web.Response:
    matches = matcher(call.query, call.place.namespace)
    options = deletion(call.query, call.body)
    store = call.cluster.store
    for name, stored in store.select(call.resource.storage):
        if matches(name, stored) and store.get(call.resource.storage, name) and not dry_run(call.query):
            delete(call.cluster, call.resource, stored.decode(), options.get("propagationPolicy") or "")
    return _json(success(Subject(call.resource.group, call.resource.plural), ""))


def _json(value: Mapping[str, Any], status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(value), status=status, content_type=JSON)
