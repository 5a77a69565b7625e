"""Who may come in: the administrator's token as a bearer, or the session that a page opened with it.

Nothing secret is kept: the token is compared by its hash, a session is a signed date, and changing the token ends
every session. A request that a cookie lets in must come from our own page.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from services.auditor.api.problems import problem_response
from shared.errors import PermanentError

SESSION_S = 12 * 3600
CODE_S = 600
MAX_CODES = 64
MAX_CREDENTIAL = 4096
FAILURE_WINDOW_S = 60.0
MAX_FAILURES = 10
MAX_ADDRESSES = 10_000
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})

PUBLIC: web.AppKey[frozenset[str]] = web.AppKey("public", frozenset)
"""Paths of routes that anybody may ask for."""


class UnauthenticatedError(PermanentError):
    """Nobody is known by what the request brought."""

    code = "api.unauthenticated"


class CrossOriginError(PermanentError):
    """A foreign page used somebody's session."""

    code = "api.cross-origin"


class TooManyFailuresError(PermanentError):
    """One address failed too often; it may try again after a minute."""

    code = "api.too-many-failures"


@dataclass(slots=True)
class Limiter:
    """Stops an address that fails again and again, before its attempts fill the ledger.

    The addresses that are remembered are bounded; the oldest failures are forgotten first, and never all at once.
    """

    clock: Callable[[], float]
    _failures: dict[str, list[float]] = field(default_factory=dict)

    def check(self, address: str) -> None:
        """Let an address try.

        Raises:
            TooManyFailuresError: it failed too often within the last minute.
        """
        since = self.clock() - FAILURE_WINDOW_S
        recent = [at for at in self._failures.get(address, ()) if at > since]
        if len(recent) >= MAX_FAILURES:
            raise TooManyFailuresError("too many failed attempts from this address", hint="wait for a minute")

    def failed(self, address: str) -> None:
        """Note that an address failed."""
        recent = [*self._failures.pop(address, ()), self.clock()][-MAX_FAILURES:]
        if len(self._failures) >= MAX_ADDRESSES:
            self._failures.pop(next(iter(self._failures)))
        self._failures[address] = recent


@dataclass(slots=True)
class Access:
    """Checks tokens, sessions and one-time codes; `clock` is monotonic, `now` are seconds of the epoch."""

    token_file: Path
    clock: Callable[[], float]
    now: Callable[[], float]
    _codes: dict[bytes, float] = field(default_factory=dict)

    def _token_hash(self) -> bytes | None:
        """Return the hash of the present token: the file is read anew, so that a new token counts at once."""
        try:
            token = self.token_file.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            return None
        return hashlib.sha256(token.encode()).digest() if token else None

    def knows_token(self, token: str) -> bool:
        """Tell whether `token` is the administrator's."""
        expected = self._token_hash()
        given = hashlib.sha256(token[:MAX_CREDENTIAL].strip().encode("utf-8", "surrogatepass")).digest()
        return expected is not None and hmac.compare_digest(given, expected)

    def new_session(self) -> str:
        """Return a session: the time of its end, signed."""
        end = f"{int(self.now()) + SESSION_S}.{secrets.token_hex(8)}"
        return f"{end}.{self._signature(end)}"

    def knows_session(self, session: str) -> bool:
        """Tell whether `session` was opened here and has not ended."""
        end, _, signature = session[:MAX_CREDENTIAL].rpartition(".")
        expected = self._signature(end)
        if not expected or not hmac.compare_digest(signature.encode("utf-8", "replace"), expected.encode()):
            return False
        return int(end.partition(".")[0]) > self.now()

    def _signature(self, text: str) -> str:
        key = self._token_hash()
        message = b"towline/session/" + text.encode("utf-8", "replace")
        return hmac.new(key, message, "sha256").hexdigest() if key else ""

    def new_code(self) -> str:
        """Return a code that opens one session within ten minutes."""
        now = self.clock()
        self._codes = {code: end for code, end in self._codes.items() if end > now}
        while len(self._codes) >= MAX_CODES:
            self._codes.pop(next(iter(self._codes)))
        code = secrets.token_urlsafe(24)
        self._codes[hashlib.sha256(code.encode()).digest()] = now + CODE_S
        return code

    def takes_code(self, code: str) -> bool:
        """Tell whether `code` is good, and use it up."""
        given = hashlib.sha256(code[:MAX_CREDENTIAL].encode("utf-8", "surrogatepass")).digest()
        return self._codes.pop(given, 0.0) > self.clock()


def cookie_name(request: web.Request) -> str:
    """Return the name of the session's cookie; over TLS the browser itself binds it to this host."""
    return "__Host-towline" if request.secure else "towline-session"


def actor_of(request: web.Request) -> str:
    """Return who asks, for the ledger."""
    return "admin" if _bearer(request) else "admin (page)"


def _bearer(request: web.Request) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token if scheme.lower() == "bearer" else ""


def from_our_page(request: web.Request) -> bool:
    """Tell whether a request is not one that another site's page made a browser send.

    Our pages send no referrer, so browsers name their origin `null` in a form; a foreign page that is as silent has no
    cookie of ours to send, for it is Strict.
    """
    site = request.headers.get("Sec-Fetch-Site", "")
    origin = request.headers.get("Origin", "null")
    if site:
        return site in {"same-origin", "none"}
    return origin == "null" or urlsplit(origin).netloc == request.host


def guard(access: Access) -> Middleware:
    """Return the middleware that lets in who is known, and anybody to what is public."""

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        resource = request.match_info.route.resource
        if resource is not None and resource.canonical in request.app[PUBLIC]:
            return await handler(request)
        if token := _bearer(request):
            if access.knows_token(token):
                return await handler(request)
        elif access.knows_session(request.cookies.get(cookie_name(request), "")):
            if request.method in _SAFE or from_our_page(request):
                return await handler(request)
            return problem_response(403, CrossOriginError("the request comes from another site's page"))
        if request.method == "GET" and "text/html" in request.headers.get("Accept", ""):
            raise web.HTTPSeeOther("/login")
        error = UnauthenticatedError(
            "a token is needed", hint="send the content of admin.token as 'Authorization: Bearer ...'"
        )
        return problem_response(401, error, {"WWW-Authenticate": 'Bearer realm="towline"'})

    return guarded
