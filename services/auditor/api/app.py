"""The web application: every route, who may ask it, and the headers of every answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from services.auditor.api import inquiring, resources, steering
from services.auditor.api.access import PUBLIC, Access, Limiter, guard
from services.auditor.api.layer import Api
from services.auditor.api.openapi import document
from services.auditor.api.problems import problems
from services.auditor.api.stream import Feed
from services.auditor.desk import Desk
from services.auditor.store import Store
from services.auditor.ui.pages import Pages
from shared.runtime.probes import healthz, metrics_response, readiness_response

MAX_BODY_BYTES = 256 * 1024
API_VERSION = "1"
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@dataclass(frozen=True, slots=True)
class Parts:
    """What the application is made of."""

    store: Store
    desk: Desk
    access: Access
    limiter: Limiter
    feed: Feed
    identity: Callable[[], steering.HubIdentity]
    place: Callable[[], steering.WellKnown]
    ready: Callable[[], dict[str, Any]]
    hub: str
    boot: str
    """Different after every start: entity tags of the last process mean nothing."""


def application(parts: Parts) -> web.Application:
    """Return the application; only what is declared public answers strangers."""
    api = Api(version=lambda: f"{parts.boot}-{parts.store.version}")
    resources.declare(api, parts.store, parts.hub)
    steering.declare(api, parts.store, parts.desk, parts.access)
    inquiring.declare(api, parts.desk)
    steering.declare_public(api, parts.desk, parts.identity, parts.place, parts.limiter)
    pages = Pages(parts.store, parts.access, parts.limiter, parts.hub)

    app = web.Application(middlewares=[problems, guard(parts.access)], client_max_size=MAX_BODY_BYTES)
    public = {"/healthz", "/readyz"}
    for endpoint, route in api.routes():
        app.add_routes([route])
        public.update({endpoint.path} if endpoint.public else ())
    for method, path, handler, is_public in pages.routes():
        app.router.add_route(method, path, handler)
        public.update({path} if is_public else ())
    app.router.add_get("/api/v1/stream", parts.feed.serve)
    app.router.add_get("/openapi.json", _described(document(api.endpoints, API_VERSION)))
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", _ready(parts.ready))
    app.router.add_get("/metrics", metrics_response)
    app[PUBLIC] = frozenset(public)
    app.on_response_prepare.append(_add_headers)
    return app


async def _add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(HEADERS)


def _described(description: dict[str, Any]) -> Callable[[web.Request], Any]:
    async def openapi(_request: web.Request) -> web.Response:
        return web.json_response(description)

    return openapi


def _ready(ready: Callable[[], dict[str, Any]]) -> Callable[[web.Request], Any]:
    async def readyz(_request: web.Request) -> web.Response:
        return readiness_response(ready())

    return readyz
