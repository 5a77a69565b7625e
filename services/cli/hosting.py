"""A whole hub in one process: the bus as a child, the steward and the four programs as tasks.

Every program has its own connection with its own credentials, as if it ran alone, so that what works here works apart.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from services.auditor import service as auditor
from services.auditor.settings import AuditorSettings
from services.cli.stopping import stopped_by_signals
from services.poller import service as poller
from services.poller.settings import PollerSettings, Source
from services.releaser import service as releaser
from services.releaser.keys import load_or_make
from services.releaser.settings import ReleaserSettings
from services.renderer import service as renderer
from services.renderer.settings import RendererSettings
from shared.bus import steward
from shared.bus.config import Tls
from shared.bus.connection import Bus
from shared.bus.embedded import EmbeddedServer
from shared.bus.identities import BusKeys
from shared.core.times import time_text
from shared.errors import TransientError
from shared.runtime.files import replace_file
from shared.runtime.lifecycle import Lifecycle
from shared.runtime.lock import hold_lock
from shared.runtime.logs import get_logger
from shared.runtime.program import until_stopped, watch_bus
from shared.runtime.secrets import write_once
from shared.runtime.settings import read_settings, write_credentials

READY_LOOK_S = 0.05
RETRY_S = 1.0
PROGRAMS = ("poller", "renderer", "releaser", "auditor")
PARTS = ("poller", "engines", "releaser", "auditor", "identity")
"""What must work, besides the connections, before the hub is ready."""
FOR_A_PERSON = frozenset({"engines", "publishing"})
"""Parts that may wait for a person to act, who needs to know where the hub answers: `hub adopt` asks it."""
STARTING = "is starting"


@dataclass(frozen=True, slots=True)
class HubOptions:
    """What a hub is told."""

    data: Path
    listen: str = "127.0.0.1:8080"
    hooks_listen: str = ""
    """Where webhooks are taken; empty: what the environment says."""
    sources: tuple[Source, ...] = ()
    verify: tuple[str, ...] = ()
    """Which signatures sources must carry, as the poller reads it."""
    bus: tuple[str, ...] = ()
    """URLs of servers that know our operator; empty: a server of our own."""
    bus_listen: str = ""
    bus_tls: Tls | None = None


async def host(options: HubOptions, announce: Callable[[dict[str, Any]], None]) -> None:
    """Run a hub until a signal ends it; `announce` is told the content of `hub.json` once it is ready."""
    data, life = options.data, Lifecycle()
    with hold_lock(data / "hub.lock", "hub"):
        write_once(data / "admin.token", secrets.token_urlsafe(32))
        keys = credentials_made(data)
        async with AsyncExitStack() as stack:
            urls = await stack.enter_async_context(_servers(options, keys))
            buses = {name: await _bus(stack, urls, keys, name) for name in ("steward", *PROGRAMS)}
            stack.enter_context(stopped_by_signals(life, *(bus.stop_intake for bus in buses.values())))
            if not await ensured(buses["steward"], life):
                return
            try:
                await until_stopped(_work(options, urls, buses, life, announce), life)
            finally:
                (data / "hub.json").unlink(missing_ok=True)


def credentials_made(data: Path) -> BusKeys:
    """Make the keys of the bus where there are none, and a file of credentials for each program."""
    keys = BusKeys.load_or_make(data / "keys" / "bus")
    for program in ("steward", "system", *PROGRAMS):
        write_credentials(credentials_file(data, program), keys.program_credentials(program))
    return keys


def credentials_file(data: Path, program: str) -> Path:
    """Return where the credentials of a program stand."""
    return data / "keys" / "bus" / f"{program}.json"


@asynccontextmanager
async def _servers(options: HubOptions, keys: BusKeys) -> AsyncIterator[tuple[str, ...]]:
    """Give the URLs of the bus: of the one that is named, else of a server of our own."""
    if options.bus:
        yield options.bus
        return
    folder = options.data / "nats"
    async with EmbeddedServer(folder, keys, listen=options.bus_listen or None, tls=options.bus_tls) as server:
        yield (server.url,)


async def _bus(stack: AsyncExitStack, urls: tuple[str, ...], keys: BusKeys, name: str) -> Bus:
    # Made once: others than before would mean a new connection.
    credentials = keys.program_credentials(name)
    return await stack.enter_async_context(Bus.connect(urls, lambda: credentials, name=name))


async def ensured(bus: Bus, life: Lifecycle) -> str:
    """Make the bus before anybody works with it, and return its incarnation; empty when the program stops before.

    Servers that are not there yet are waited for; the connection itself says whom it waits for, and again.
    """
    said = ""
    while not life.stopping.is_set():
        try:
            return await steward.ensure(bus)
        except TransientError as error:
            if str(error) != said:
                said = str(error)
                get_logger().warning("bus_not_ready", reason=said)
            await life.pause(RETRY_S)
    return ""


async def _work(
    options: HubOptions,
    urls: tuple[str, ...],
    buses: dict[str, Bus],
    life: Lifecycle,
    announce: Callable[[dict[str, Any]], None],
) -> None:
    """Run everything; `hub.json` says that the hub is ready, and where."""
    loop = asyncio.get_running_loop()
    places: dict[str, asyncio.Future[str]] = {name: loop.create_future() for name in ("http", "hooks")}
    common: dict[str, Any] = {"data": options.data, "bus_urls": urls}

    def told(program: str, **more: Any) -> dict[str, Any]:
        return {**common, "bus_credentials": credentials_file(options.data, program), **more}

    given = {"sources": options.sources, "verify": options.verify, "hooks_listen": options.hooks_listen}
    stated = {name: value for name, value in given.items() if value}
    polls = read_settings(PollerSettings, **told("poller", announce_hooks=places["hooks"].set_result, **stated))
    if not polls.hooks_listen:
        del places["hooks"]
    audits = read_settings(
        AuditorSettings, **told("auditor", listen=options.listen, announce=places["http"].set_result)
    )
    releases = read_settings(ReleaserSettings, **told("releaser"))
    renders = read_settings(RendererSettings, **told("renderer"))
    load_or_make(options.data / "keys")
    for part in PARTS:
        life.set_ready(part, False, STARTING)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(steward.watch(buses["steward"]))
        for name, bus in buses.items():
            tasks.create_task(watch_bus(bus, life, name, f"{name}-bus"))
        tasks.create_task(releaser.serve(releases, buses["releaser"], life))
        tasks.create_task(renderer.serve(renders, buses["renderer"], life))
        tasks.create_task(poller.serve(polls, buses["poller"], life))
        tasks.create_task(auditor.serve(audits, buses["auditor"], life))
        tasks.create_task(_tell(options.data, places, urls, life, announce))


def answers(life: Lifecycle) -> bool:
    """Tell whether everything works, but for what waits for a person."""
    return all(
        part["ready"] or (name in FOR_A_PERSON and part["why"] != STARTING)
        for name, part in life.readiness()["parts"].items()
    )


async def _tell(
    data: Path,
    places: dict[str, asyncio.Future[str]],
    urls: tuple[str, ...],
    life: Lifecycle,
    announce: Callable[[dict[str, Any]], None],
) -> None:
    while not (all(place.done() for place in places.values()) and answers(life)):
        if await life.pause(READY_LOOK_S):
            return
    waiting = {name: part["why"] for name, part in life.readiness()["parts"].items() if not part["ready"]}
    if waiting:
        get_logger().warning("hub_waits", **waiting)
    found = {name: place.result() for name, place in places.items()}
    ready = {"pid": os.getpid(), **found, "bus": list(urls), "ready_at": time_text(datetime.now(UTC))}
    replace_file(data / "hub.json", f"{json.dumps(ready)}\n".encode(), mode=0o644)
    announce(ready)
