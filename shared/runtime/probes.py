"""Probes of a program: alive, ready, and its metrics, on one port."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from shared.runtime.lifecycle import Lifecycle
from shared.runtime.settings import host_and_port


@asynccontextmanager
async def probes(listen: str, life: Lifecycle) -> AsyncIterator[int]:
    """Serve `/healthz`, `/readyz` and `/metrics` at `HOST:PORT`, and give the port."""
    host, port = host_and_port(listen)

    async def healthz(_request: web.Request) -> web.Response:
        return web.json_response({"alive": True})

    async def readyz(_request: web.Request) -> web.Response:
        found = life.readiness()
        return web.json_response(found, status=200 if found["ready"] else 503)

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.add_routes([web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", metrics)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()
