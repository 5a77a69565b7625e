"""Make the bus and keep it made: streams, durables, and the name of this making.

When a stream is missing, or its sequence went back (an older store was put back), what it held is gone: the bus gets a
new incarnation, and every program publishes again what it owns. The name is written last, when everything is there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import structlog

from shared.bus.connection import Bus
from shared.bus.errors import MissingError
from shared.bus.streams import INCARNATION, LIMIT_BYTES, STREAMS, consumer_config, differs, stream_config
from shared.errors import TowlineError
from shared.subjects import DURABLES, Durable

log = structlog.get_logger("shared.bus")


async def ensure(
    bus: Bus, *, replicas: int = 1, limit_bytes: int = LIMIT_BYTES, seen: dict[str, int] | None = None
) -> str:
    """Make or repair all streams and durables, and return the incarnation.

    Args:
        bus: a connection with the steward's credentials.
        replicas: copies of each stream; 3 in production.
        limit_bytes: what all streams may hold together, at most the server's file limit.
        seen: last sequences of the streams, remembered between calls; a lower one now means an older store.

    Raises:
        BusUnavailableError: the server is away or not ready.
        BusRefusedError: the server refuses a configuration.
    """
    seen = {} if seen is None else seen
    found = {plan.name: await _present(bus, plan.name) for plan in STREAMS}
    names = {_incarnation_of(info) for info in found.values()}
    rewound = [name for name, info in found.items() if info and _last_of(info) < seen.get(name, 0)]
    whole = len(names) == 1 and "" not in names and not rewound
    incarnation = names.pop() if whole else str(uuid4())
    if not whole:
        missing = [name for name, info in found.items() if info is None]
        log.warning("bus_incarnation_made", incarnation=incarnation, missing=missing, rewound=rewound)
        for plan in STREAMS:
            if found[plan.name] is None:
                config = stream_config(plan, limit_bytes=limit_bytes, replicas=replicas, incarnation="")
                await bus.api(f"STREAM.CREATE.{plan.name}", config)
    for durable in DURABLES:
        await _ensure_durable(bus, durable)
    for plan in STREAMS:
        config = stream_config(plan, limit_bytes=limit_bytes, replicas=replicas, incarnation=incarnation)
        info = found[plan.name]
        if info is None or differs(config, info["config"]):
            log.info("bus_stream_updated", stream=plan.name)
            info = await bus.api(f"STREAM.UPDATE.{plan.name}", config)
        seen[plan.name] = _last_of(info)
    return incarnation


async def watch(bus: Bus, *, replicas: int = 1, limit_bytes: int = LIMIT_BYTES, every_s: float = 10.0) -> None:
    """Ensure again at every reconnect and every `every_s`, until the intake stops."""
    seen: dict[str, int] = {}
    while not bus.stopping:
        try:
            await ensure(bus, replicas=replicas, limit_bytes=limit_bytes, seen=seen)
        except TowlineError as error:
            log.warning("bus_not_ensured", error=str(error))
            await bus.pause(min(every_s, 1.0))
        else:
            await bus.pause_or_reconnect(every_s)


async def _present(bus: Bus, stream: str) -> dict[str, Any] | None:
    try:
        return await bus.api(f"STREAM.INFO.{stream}", {})
    except MissingError:
        return None


async def _ensure_durable(bus: Bus, durable: Durable) -> None:
    wanted = consumer_config(durable)
    try:
        info = await bus.api(f"CONSUMER.INFO.{durable.stream}.{durable.name}", {})
    except MissingError:
        info = {"config": {}}
    if differs(wanted, info["config"]):
        # The scoped form: the server checks the filter in the subject against the one in the body.
        place = f"{durable.stream}.{durable.name}" + (f".{durable.filter}" if durable.filter else "")
        await bus.api(f"CONSUMER.CREATE.{place}", {"stream_name": durable.stream, "config": wanted, "action": ""})
        log.info("bus_durable_made", stream=durable.stream, durable=durable.name)


def _incarnation_of(info: Mapping[str, Any] | None) -> str:
    return str((info["config"].get("metadata") or {}).get(INCARNATION, "")) if info else ""


def _last_of(info: Mapping[str, Any]) -> int:
    return int(info["state"].get("last_seq", 0))
