"""Run one program: settings, logs, probes, bus, then its work; stop on a signal within ten seconds."""

from __future__ import annotations

import asyncio
import json
import signal
import ssl
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from shared.bus.connection import Bus, Credentials
from shared.errors import TowlineError
from shared.runtime.lifecycle import Lifecycle
from shared.runtime.logs import configure_logging, get_logger
from shared.runtime.probes import probes
from shared.runtime.settings import ServiceSettings, SettingsError, read_settings

GRACE_S = 10.0
"""Seconds from a signal until what still works is cancelled; Kubernetes kills after 30."""
FAILED = 2
S = TypeVar("S", bound=ServiceSettings)
Serve = Callable[[S, Bus, Lifecycle], Awaitable[None]]


def run_program(serve: Serve[S], settings_type: type[S]) -> int:
    """Run a program until a signal ends it; return the code of the process."""
    try:
        settings = read_settings(settings_type)
        configure_logging(settings.log_format, settings.log_level)
        asyncio.run(_run(serve, settings))
    except (TowlineError, BaseExceptionGroup) as error:
        return _told(error)
    return 0


def _told(error: BaseException) -> int:
    """Print the errors that somebody can do something about; anything else is a bug, and raised."""
    found = list(leaves(error))
    known = [each for each in found if isinstance(each, TowlineError)]
    if len(known) < len(found):
        raise error
    for each in known:
        print(f"towline: {each} [{each.code}]", file=sys.stderr)  # noqa: T201 - the last word, logs or not
    return FAILED


async def _run(serve: Serve[S], settings: S) -> None:
    life = Lifecycle()
    if not settings.bus_urls or settings.bus_credentials is None:
        raise SettingsError(
            "TOWLINE_BUS_URLS and TOWLINE_BUS_CREDENTIALS are not set", hint="`towline hub init` writes the credentials"
        )
    path = settings.bus_credentials
    tls = ssl.create_default_context(cafile=str(settings.bus_ca)) if settings.bus_ca else None
    name = settings_name(settings)
    async with (
        probes(settings.probe_listen, life) as port,
        Bus.connect(settings.bus_urls, lambda: read_credentials(path), name=name, tls=tls) as bus,
    ):
        get_logger().info("program_started", program=name, probes=port)
        with stopped_by_signals(life):
            await until_stopped(serve(settings, bus, life), life, bus.stop_intake)
    get_logger().info("program_stopped", program=name)


async def until_stopped(work: Awaitable[None], life: Lifecycle, stop: Callable[[], None]) -> None:
    """Do `work`; when the program stops, call `stop`, and cancel after the grace what is still not done."""

    async def guarded() -> None:
        await work

    async def watch(task: asyncio.Task[None]) -> None:
        await life.stopping.wait()
        stop()
        await asyncio.sleep(GRACE_S)
        get_logger().warning("program_cancelled", after_s=GRACE_S)
        task.cancel()

    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(guarded())
        watcher = tasks.create_task(watch(task))
        task.add_done_callback(lambda _done: watcher.cancel())


@contextmanager
def stopped_by_signals(life: Lifecycle) -> Iterator[None]:
    """Stop the program on SIGTERM and SIGINT while the block lasts."""
    loop = asyncio.get_running_loop()
    signals = (signal.SIGTERM, signal.SIGINT)
    for number in signals:
        loop.add_signal_handler(number, life.stop)
    try:
        yield
    finally:
        for number in signals:
            loop.remove_signal_handler(number)


def read_credentials(path: Path) -> Credentials:
    """Return the bus credentials that a file holds: `{"jwt", "seed", "inbox"}`.

    Raises:
        SettingsError: it cannot be read.
    """
    try:
        found = json.loads(path.read_text("utf-8"))
        return Credentials(jwt=found["jwt"], seed=found["seed"], inbox=found["inbox"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SettingsError(
            f"the bus credentials {path} cannot be read: {type(error).__name__}",
            hint="`towline hub init` writes them",
        ) from error


def settings_name(settings: ServiceSettings) -> str:
    """Return the program's name, which is its settings' prefix."""
    prefix = str(settings.model_config.get("env_prefix") or "")
    return prefix.removeprefix("TOWLINE_").rstrip("_").lower() or "towline"


def leaves(group: BaseException) -> Iterator[BaseException]:
    """Yield the single errors of a group of errors."""
    if isinstance(group, BaseExceptionGroup):
        for each in group.exceptions:
            yield from leaves(each)
    else:
        yield group
