"""One agent as a process of its own: small memory, logs, probes, signals, exit codes.

`shared.runtime.program` does this for the hub's programs; it loads pydantic and prometheus, which would be a third of
an agent's memory.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson
import structlog
from aiohttp import web

from services.applier.memory import save_memory
from services.applier.service import run_agent
from services.applier.settings import ApplierSettings
from shared.errors import TowlineError
from shared.runtime.lifecycle import Lifecycle
from shared.runtime.logs import configure_logging

GRACE_S = 10.0
EXIT_FAILED = 2

log = structlog.get_logger("services.applier")


def run_process(settings: ApplierSettings) -> int:
    """Run an agent until a signal ends it, and return the exit code."""
    configure_logging("console" if settings.log_format == "console" else "json", settings.log_level)
    failures: list[BaseException] = []
    try:
        asyncio.run(serve(settings))
    except* TowlineError as group:
        failures += leaves(group)
    for error in failures:
        log.error("agent_failed", code=getattr(error, "code", ""), error=str(error))
    return EXIT_FAILED if failures else 0


async def serve(settings: ApplierSettings) -> None:
    """Run an agent with probes until SIGTERM or SIGINT; what is left after the grace is cancelled."""
    save_memory()
    life = Lifecycle()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, life.stopping.set)
    async with probes(life, settings.probe_listen) as address:
        log.info("agent_started", probes=address)
        async with asyncio.TaskGroup() as tasks:
            agent = tasks.create_task(run_agent(settings, life))
            stopping = tasks.create_task(life.stopping.wait())
            await asyncio.wait({agent, stopping}, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait({agent}, timeout=GRACE_S)
            agent.cancel()
            stopping.cancel()
    log.info("agent_stopped")


@asynccontextmanager
async def probes(life: Lifecycle, listen: str) -> AsyncIterator[str]:
    """Answer `/healthz` and `/readyz`, and yield the address."""

    async def answer(request: web.BaseRequest) -> web.Response:
        if request.path == "/healthz":
            return web.Response(text="ok\n")
        if request.path != "/readyz":
            return web.Response(status=404)
        state = life.readiness()
        status = 200 if state["ready"] else 503
        return web.Response(body=orjson.dumps(state), status=status, content_type="application/json")

    host, _, port = listen.rpartition(":")
    runner = web.ServerRunner(web.Server(answer, access_log=None), shutdown_timeout=0.5)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host or "127.0.0.1", int(port or 0))
        await site.start()
        found = runner.addresses[0]
        yield f"{found[0]}:{found[1]}"
    finally:
        await runner.cleanup()


def leaves(error: BaseException) -> list[BaseException]:
    """Return the errors in a group, or the error itself."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for each in error.exceptions for leaf in leaves(each)]
    return [error]
