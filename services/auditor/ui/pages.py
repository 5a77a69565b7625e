"""Serve the page: the state of the fleet, a login, and their few static files."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from importlib.resources import files
from typing import Any

import jinja2
from aiohttp import web

from services.auditor import overview, queries, shapes
from services.auditor.api.access import SESSION_S, Access, CrossOriginError, Limiter, cookie_name, from_our_page
from services.auditor.api.resources import app_views
from services.auditor.filters import AppFilter, ClusterFilter, EventFilter, RevisionFilter
from services.auditor.ledger import cloud_event
from services.auditor.store import Store

STATIC = {"towline.css": "text/css", "live.js": "text/javascript", "login.js": "text/javascript"}
SHOWN_APPS = 200
SHOWN_CLUSTERS = 200
SHOWN_REVISIONS = 12
SHOWN_EVENTS = 25
# State → icon; the word and the colour stand beside it, so that none of them carries the meaning alone.
ICONS = {
    "good": "✔",
    "busy": "◐",
    "bad": "✖",
    "wait": "✋",
    "none": "○",
}
_TONES = {
    **dict.fromkeys(("connected", "Synced", "Current", "healthy", "succeeded"), "good"),
    **dict.fromkeys(("Applying", "InProgress", "OutOfSync", "observed", "rendered", "released", "applied"), "busy"),
    **dict.fromkeys(("offline", "stale", "quarantined", "revoked", "Failed", "failed", "refused", "partial"), "bad"),
    **dict.fromkeys(("Held", "Suspended", "RolledBack", "held", "warning"), "wait"),
    "error": "bad",
}


def tone(word: str) -> str:
    """Return how a status word is shown: good, busy, bad, wait or none."""
    return _TONES.get(word, "none")


def seconds(start: str | None, end: str | None) -> str:
    """Return the time between two texts of time as people read it."""
    if not start or not end:
        return ""
    elapsed = max(0.0, (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds())
    return f"{elapsed:.1f} s" if elapsed < 100 else f"{elapsed / 60:.0f} min"


def environment() -> jinja2.Environment:
    """Return the templates; whatever is put into them is escaped."""
    found = jinja2.Environment(
        loader=jinja2.PackageLoader("services.auditor.ui"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.globals.update(
        tone=tone, seconds=seconds, icons=ICONS, stages=shapes.STAGES, rollback_line=shapes.rollback_line
    )
    found.filters.update(problem_line=shapes.problem_line)
    return found


@dataclass(slots=True)
class Pages:
    """The handlers of the page."""

    store: Store
    access: Access
    limiter: Limiter
    hub: str
    templates: jinja2.Environment = field(default_factory=environment)

    def routes(self) -> list[tuple[str, str, Callable[[web.Request], Awaitable[web.StreamResponse]], bool]]:
        """Return (method, path, handler, public)."""
        return [
            ("GET", "/", self.fleet, False),
            ("GET", "/login", self.login, True),
            ("POST", "/session", self.open_session, True),
            ("POST", "/logout", self.close_session, False),
            *(("GET", f"/static/{name}", self.static, True) for name in STATIC),
        ]

    def _html(self, template: str, status: int = 200, **found: Any) -> web.Response:
        text = self.templates.get_template(template).render(hub=self.hub, **found)
        return web.Response(text=text, status=status, content_type="text/html", headers={"Cache-Control": "no-store"})

    async def fleet(self, _request: web.Request) -> web.StreamResponse:
        """Show the state of the fleet."""
        return self._html("fleet.html", **await self._fleet())

    async def _fleet(self) -> dict[str, Any]:
        async with self.store.reading() as connection:
            names, more_apps = await queries.list_apps(connection, AppFilter(limit=SHOWN_APPS))
            revisions, _ = await queries.list_revisions(connection, RevisionFilter(limit=SHOWN_REVISIONS))
            clusters, more_clusters = await queries.list_clusters(connection, ClusterFilter(limit=SHOWN_CLUSTERS))
            events, _ = await queries.list_events(connection, EventFilter(limit=SHOWN_EVENTS))
            wrong, wrong_count = await overview.target_problems(connection)
            return {
                "states": await overview.cluster_states(connection),
                "clusters": [shapes.cluster_view(row) for row in clusters],
                "more_clusters": more_clusters is not None,
                "apps": await app_views(connection, names),
                "more_apps": more_apps is not None,
                "revisions": [shapes.revision_view(row) for row in revisions],
                "events": [cloud_event(entry, self.hub) for entry in events],
                "wrong": [shapes.target_view(row) for row in wrong],
                "wrong_count": wrong_count,
                "sources": await overview.source_problems(connection),
                "renders": [row for row in await overview.newest_renders(connection) if row.problems],
                "holds": [hold for hold in await overview.held(connection) if hold.kind != "target"],
            }

    async def login(self, _request: web.Request) -> web.StreamResponse:
        """Show the form that takes the token."""
        return self._html("login.html", failed=False)

    async def open_session(self, request: web.Request) -> web.StreamResponse:
        """Take a token from the form or a code from the script, and open a session."""
        if not from_our_page(request):
            raise CrossOriginError("the request comes from another site's page")
        self.limiter.check(request.remote or "")
        form = await request.post()
        token, code = str(form.get("token", "")), str(form.get("code", ""))
        if not (self.access.takes_code(code) if code else self.access.knows_token(token)):
            self.limiter.failed(request.remote or "")
            return self._html("login.html", status=403, failed=True)
        response = web.Response(status=303, headers={"Location": "/"})
        response.set_cookie(
            cookie_name(request),
            self.access.new_session(),
            max_age=SESSION_S,
            httponly=True,
            samesite="Strict",
            secure=request.secure,
        )
        return response

    async def close_session(self, request: web.Request) -> web.StreamResponse:
        """Forget the session in this browser."""
        response = web.Response(status=303, headers={"Location": "/login"})
        response.del_cookie(cookie_name(request), secure=request.secure, httponly=True, samesite="Strict")
        return response

    async def static(self, request: web.Request) -> web.StreamResponse:
        """Send a static file by its own route: nothing of the path reaches the file system."""
        name = request.path.rpartition("/")[2]
        content = files("services.auditor.ui").joinpath("static", name).read_bytes()
        return web.Response(
            body=content,
            content_type=STATIC[name],
            charset="utf-8",
            headers={"Cache-Control": "public, max-age=300"},
        )
