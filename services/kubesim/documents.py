"""Answer the paths around the API itself: discovery, version, health, OpenAPI."""

from __future__ import annotations

import orjson
from aiohttp import web

from services.kubesim.answers import not_served
from services.kubesim.cluster import ClusterState
from services.kubesim.discovery import AGGREGATED, Catalogue

JSON = "application/json"
VERSION = {
    "major": "1",
    "minor": "37",
    "gitVersion": "v1.37.0",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "2026-01-01T00:00:00Z",
    "goVersion": "go1.25",
    "compiler": "gc",
    "platform": "linux/amd64",
}
LEGACY_VERSION = VERSION | {"minor": "15", "gitVersion": "v1.15.0"}
SWAGGER = {"swagger": "2.0", "info": {"title": "Kubernetes", "version": "v1.37.0"}, "paths": {}, "definitions": {}}


def document(cluster: ClusterState, request: web.BaseRequest, path: str) -> web.Response | None:
    """Return the document at `path`, None when it is no document's path."""
    catalogue = cluster.catalogue
    if cluster.hidden_groups or cluster.stale_groups:
        catalogue = catalogue.without(cluster.hidden_groups, cluster.stale_groups)
    match path:
        case "/readyz" if cluster.hidden_groups:
            found: web.Response | None = web.Response(text="readyz check failed", status=500)
        case "/healthz" | "/livez" | "/readyz":
            found = web.Response(text="ok")
        case "/version":
            found = _sent(LEGACY_VERSION if cluster.legacy else VERSION)
        case "/api" | "/apis":
            found = _root(catalogue, request, path, legacy=cluster.legacy)
        case "/openapi/v2":
            found = _sent(SWAGGER)
        case "/openapi/v3":
            found = web.Response(body=catalogue.openapi_index, content_type=JSON)
        case _ if path.startswith("/openapi/v3/"):
            group, version = _group_version(path.removeprefix("/openapi/v3"))
            found = _sent(catalogue.openapi(group, version)) if _served(catalogue, group, version) else None
        case _:
            found = _group(catalogue, path)
    return found


def _sent(value: object) -> web.Response:
    return web.Response(body=orjson.dumps(value), content_type=JSON)


def _root(catalogue: Catalogue, request: web.BaseRequest, path: str, *, legacy: bool) -> web.Response:
    first = request.headers.get("Accept", "").partition(",")[0].replace(" ", "")
    if not legacy and "as=APIGroupDiscoveryList" in first and "v=v2" in first.split(";"):
        headers = {"ETag": catalogue.etag, "Vary": "Accept"}
        if request.headers.get("If-None-Match") == catalogue.etag:
            return web.Response(status=304, headers=headers)
        body = catalogue.aggregated[0 if path == "/api" else 1]
        return web.Response(body=body, headers={**headers, "Content-Type": AGGREGATED})
    if path == "/apis":
        return web.Response(body=catalogue.group_list, content_type=JSON)
    addresses = [{"clientCIDR": "0.0.0.0/0", "serverAddress": "127.0.0.1:6443"}]
    return _sent({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": addresses})


def _group_version(path: str) -> tuple[str, str]:
    """Return group and version of `/api/v1` or `/apis/<group>/<version>`; empty version when it has another form."""
    match path.strip("/").split("/"):
        case ["api", version]:
            return "", version
        case ["apis", group, version]:
            return group, version
        case _:
            return "", ""


def _served(catalogue: Catalogue, group: str, version: str) -> bool:
    return version in catalogue.groups.get(group, {})


def _group(catalogue: Catalogue, path: str) -> web.Response | None:
    parts = path.strip("/").split("/")
    if len(parts) == 2 and parts[0] == "apis" and parts[1] in catalogue.groups:
        return _sent({"kind": "APIGroup", "apiVersion": "v1", **catalogue.group_document(parts[1])})
    group, version = _group_version(path)
    if not version:
        return None
    if not _served(catalogue, group, version):
        known = catalogue.groups.get(group)
        if known and not any(one.custom for inner in known.values() for one in inner.values()):
            raise not_served()
        return None
    return _sent(catalogue.resource_list(group, version))
