"""Run one program from its settings to its last message; what every `services/<p>/__main__.py` calls.

On SIGTERM or SIGINT the intake stops, what is in hand is finished, and what is left after the grace is cancelled:
well below the 30 s that Kubernetes waits before it kills.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TypeVar

from shared.bus.connection import Bus
from shared.errors import TowlineError
from shared.runtime import metrics
from shared.runtime.lifecycle import Lifecycle
from shared.runtime.logs import configure_logging, get_logger
from shared.runtime.probes import serve_probes
from shared.runtime.settings import ServiceSettings, SettingsError, read_settings
from shared.runtime.stopping import leaves, on_signals

GRACE_S = 10.0
EXIT_FAILED = 2
"""Somebody must change something; a bug ends a program with 1."""

S = TypeVar("S", bound=ServiceSettings)
Serve = Callable[[S, Bus, Lifecycle], Awaitable[None]]

log = get_logger("shared.runtime")


def run_program(serve: Serve[S], settings_type: type[S]) -> int:
    """Read settings, run `serve` until it returns or is told to stop, and return the exit code."""
    try:
        settings = read_settings(settings_type)
    except SettingsError as error:
        for finding in error.findings:
            sys.stderr.write(f"{finding}\n")
        return EXIT_FAILED
    configure_logging(settings.log_format, settings.log_level)
    # A bug ends the program with a line in its log like every other, redacted like every other.
    sys.excepthook = _log_crash
    failures: list[BaseException] = []
    try:
        asyncio.run(run_until_stopped(serve, settings))
    except* TowlineError as group:
        failures += leaves(group)
    for failure in failures:
        log.error("program_failed", code=getattr(failure, "code", ""), error=str(failure))
    return EXIT_FAILED if failures else 0


async def run_until_stopped(serve: Serve[S], settings: S) -> None:
    """Connect to the bus, serve the probes, and run `serve` until it returns."""
    life = Lifecycle()
    with _stopped_by_signals(life) as intakes:
        await _run(serve, settings, life, intakes)


async def _run(serve: Serve[S], settings: S, life: Lifecycle, intakes: list[Callable[[], None]]) -> None:
    name = program_of(type(settings))
    async with (
        serve_probes(life, settings.probe_listen) as probes,
        Bus.connect(settings.bus_urls, settings.credentials, name=name) as bus,
        asyncio.TaskGroup() as group,
    ):
        intakes.append(bus.stop_intake)
        if life.stopping.is_set():
            bus.stop_intake()
        log.info("program_started", program=name, probes=probes)
        watcher = group.create_task(watch_bus(bus, life, name))
        try:
            await until_stopped(serve(settings, bus, life), life)
        finally:
            life.stopping.set()
            watcher.cancel()
    log.info("program_stopped", program=name)


async def until_stopped(work: Awaitable[None], life: Lifecycle, grace_s: float = GRACE_S) -> None:
    """Await `work`; when the program shall stop, give it `grace_s` more, then cancel it."""

    async def awaited() -> None:
        await work

    async with asyncio.TaskGroup() as group:
        task = group.create_task(awaited())
        stopping = group.create_task(life.stopping.wait())
        await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            await asyncio.wait({task}, timeout=grace_s)
        if not task.done():
            log.warning("program_cancelled", grace_s=grace_s)
            task.cancel()
        stopping.cancel()


async def watch_bus(bus: Bus, life: Lifecycle, program: str, part: str = "bus") -> None:
    """Keep the readiness of `part`, and the measurements, equal to the state of the program's connection."""
    metrics.started(program)
    while not life.stopping.is_set():
        metrics.bus_connected.labels(program).set(int(bus.connected))
        life.set_ready(part, bus.connected, "" if bus.connected else "not connected to the bus")
        if bus.connected:
            await life.pause(1.0)
        else:
            await bus.pause_or_reconnect(1.0)


def program_of(settings_type: type[ServiceSettings]) -> str:
    """Return the program's name from its settings class: `PollerSettings` is `poller`."""
    return settings_type.__name__.removesuffix("Settings").lower()


@contextmanager
def _stopped_by_signals(life: Lifecycle) -> Iterator[list[Callable[[], None]]]:
    """Stop the program, and whatever intake is put into the list, at a signal; from before anything is begun."""
    intakes: list[Callable[[], None]] = []

    def stop(number: signal.Signals) -> None:
        log.info("program_stopping", signal=number.name)
        life.stopping.set()
        for stop_intake in intakes:
            stop_intake()

    with on_signals(stop):
        yield intakes


def _log_crash(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    log.critical("program_crashed", exc_info=(kind, error, trace))
