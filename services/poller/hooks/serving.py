"""Serve `/hooks/SOURCE`: read no more of a body than counts, answer every delivery, and say what became of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import cast

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from services.poller.hooks.limits import Bucket
from services.poller.hooks.receiver import Receiver, Taken
from services.poller.hooks.refusals import STATUS, HookRefusedError
from shared.errors import PermanentError
from shared.runtime import metrics
from shared.runtime.listening import address_of
from shared.runtime.logs import get_logger

BODY_BYTES = 1 << 20
READ_S = 10.0
READERS = 16
"""Bodies that are read at once: they are what memory goes to."""
LINGER_S = 2.0
"""So long what a refused sender still sends is thrown away, for it to see the answer."""
LOGGED = (20.0, 0.2)
"""Refusals of one source that are logged: at once, and a second in the long run."""
RETRY_S = "60"
CONNECTIONS = 200
"""They are open to everybody, and each takes one of the process's descriptors."""
CONNECTION_S = READ_S + LINGER_S + 8.0
"""So long a connection lasts, whatever comes through it or does not."""

_RETRIED = {429, 503}


class HookListenError(PermanentError):
    """The address of the hooks cannot be had."""

    code = "hook.address"


@asynccontextmanager
async def serving_hooks(listen: str, receiver: Receiver, sources: Iterable[str]) -> AsyncIterator[str]:
    """Take webhooks on `HOST:PORT` while the block runs, and give the URL.

    Raises:
        HookListenError: the address cannot be had.
    """
    app = web.Application()
    app.add_routes([web.post("/hooks/{source}", _Handler(receiver, sources).answer)])
    runner = web.AppRunner(app, shutdown_timeout=1.0)
    await runner.setup()
    try:
        server = await _listening(listen, cast("web.Server", runner.server))
        try:
            host, port = server.sockets[0].getsockname()[:2]
            yield f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        finally:
            server.close()
    finally:
        await runner.cleanup()


async def _listening(listen: str, server: web.Server) -> asyncio.Server:
    host, port = address_of(listen)
    loop = asyncio.get_running_loop()

    def connected() -> asyncio.Protocol:
        return _Brief(server, loop) if len(server.connections) < CONNECTIONS else _Full()

    try:
        return await loop.create_server(connected, host, port)
    except OSError as error:
        raise HookListenError(
            f"webhooks: cannot listen on {listen}: {error.strerror}", hint="choose another port, or 0 for any"
        ) from error


class _Brief(web.RequestHandler):
    """A connection that ends in time."""

    def __init__(self, server: web.Server, loop: asyncio.AbstractEventLoop) -> None:
        # Signatures are of the bytes as they came, and a small body must not become a big one.
        super().__init__(server, loop=loop, auto_decompress=False, lingering_time=LINGER_S)
        self._end: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._end = asyncio.get_running_loop().call_later(CONNECTION_S, cast("asyncio.Transport", transport).abort)

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        if self._end is not None:
            self._end.cancel()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        # Anybody can send what is no HTTP: that is no bug, and not worth a traceback.
        if isinstance(exc, HttpProcessingError):
            return _refused(HookRefusedError("the request is no HTTP that can be read"))
        return super().handle_error(request, status, exc, message)


class _Full(asyncio.Protocol):
    """A connection too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.Transport", transport).abort()


class _Handler:
    """Answers one request after the other, and counts and logs them."""

    def __init__(self, receiver: Receiver, sources: Iterable[str]) -> None:
        self._receiver = receiver
        self._logged = {name: Bucket(*LOGGED) for name in (*sources, "")}
        self._reading = asyncio.Semaphore(READERS)

    async def answer(self, request: web.Request) -> web.Response:
        """Take a delivery."""
        named = request.match_info["source"]
        headers = {name.lower(): value for name, value in request.headers.items()}
        source = named if named in self._logged else ""
        try:
            taken = await self._receiver.take(named, headers, partial(self._body, request))
        except HookRefusedError as refusal:
            metrics.hook_deliveries.labels(source, refusal.code.removeprefix("hook.")).inc()
            # A flood is answered and counted, but does not fill the log.
            if self._logged[source].take(asyncio.get_running_loop().time()):
                get_logger().warning(
                    "hook_refused",
                    source=named,
                    code=refusal.code,
                    reason=refusal.message,
                    next=refusal.hint,
                    remote=request.remote,
                )
            return _refused(refusal)
        metrics.hook_deliveries.labels(source, taken.result).inc()
        get_logger().info("hook_taken", source=source, result=taken.result, reason=taken.message, **taken.facts)
        return _taken(taken)

    async def _body(self, request: web.Request) -> bytes:
        if (request.content_length or 0) > BODY_BYTES:
            raise _too_large()
        if self._reading.locked():
            raise HookRefusedError("too many bodies are being read at once", code="hook.busy")
        body = bytearray()
        try:
            async with self._reading, asyncio.timeout(READ_S):
                async for chunk in request.content.iter_any():
                    body += chunk
                    if len(body) > BODY_BYTES:
                        raise _too_large()
        except TimeoutError:
            raise HookRefusedError(f"the body did not come within {READ_S:.0f} s", code="hook.too-slow") from None
        return bytes(body)


def _too_large() -> HookRefusedError:
    return HookRefusedError(
        f"the body has more than {BODY_BYTES} bytes",
        code="hook.too-large",
        hint="nothing: so big a push is found when the interval is over",
    )


def _taken(taken: Taken) -> web.Response:
    status = 202 if taken.result == "looking" else 200
    return _closing({"result": taken.result, "message": taken.message}, status, {})


def _refused(refusal: HookRefusedError) -> web.Response:
    status = STATUS[refusal.code]
    told = {"result": "refused", "code": refusal.code, "message": refusal.message, "hint": refusal.hint}
    return _closing(told, status, {"Retry-After": RETRY_S} if status in _RETRIED else {})


def _closing(told: Mapping[str, str], status: int, headers: Mapping[str, str]) -> web.Response:
    """Return an answer after which the connection ends: nobody is to post on one whose time may be over."""
    response = web.json_response(told, status=status, headers=headers)
    response.force_close()
    return response
