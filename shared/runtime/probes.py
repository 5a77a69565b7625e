"""Answer /healthz, /readyz and /metrics on one port.

Healthy means that the event loop turns: a program that waits for its bus is healthy, and restarting it would not help.
Ready means that all its parts work.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import orjson
from aiohttp import web

from shared.errors import PermanentError
from shared.runtime.lifecycle import Lifecycle
from shared.runtime.metrics import CONTENT_TYPE, exposition


class ProbeListenError(PermanentError):
    """The probes' port cannot be had."""

    code = "runtime.probes"


async def healthz(_request: web.Request) -> web.Response:
    """Answer that the event loop turns."""
    return web.json_response({"healthy": True})


def readiness_response(state: Mapping[str, Any]) -> web.Response:
    """Return the answer of /readyz for `Lifecycle.readiness`."""
    return web.Response(
        body=orjson.dumps(state), status=200 if state["ready"] else 503, content_type="application/json"
    )


async def metrics_response(_request: web.Request) -> web.Response:
    """Answer with all measurements of this process."""
    return web.Response(body=exposition(), headers={"Content-Type": CONTENT_TYPE})


def probes_app(life: Lifecycle) -> web.Application:
    """Return the application with the three routes."""

    async def readyz(_request: web.Request) -> web.Response:
        return readiness_response(life.readiness())

    app = web.Application(client_max_size=1024)
    app.add_routes([web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", metrics_response)])
    return app


@asynccontextmanager
async def serve_probes(life: Lifecycle, listen: str) -> AsyncIterator[str]:
    """Serve the probes on `HOST:PORT` (0 chooses one) and give their URL.

    Raises:
        ProbeListenError: the address cannot be had.
    """
    host, _, port = listen.rpartition(":")
    if not port.isdigit():
        raise ProbeListenError(f"probes: {listen!r} is no HOST:PORT")
    runner = web.AppRunner(probes_app(life), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        try:
            site = web.TCPSite(runner, host.strip("[]") or "127.0.0.1", int(port))
            await site.start()
        except OSError as error:
            raise ProbeListenError(
                f"probes: cannot listen on {listen}: {error.strerror}", hint="choose another port, or 0 for any"
            ) from error
        address = runner.addresses[0]
        shown = f"[{address[0]}]" if ":" in address[0] else address[0]
        yield f"http://{shown}:{address[1]}"
    finally:
        await runner.cleanup()
