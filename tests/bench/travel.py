"""Commit → the last of N agents applied it, its floor beside it, and what the hub spent on it."""

import asyncio
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from services.cli.client import Hub
from tests.bench.fleet import ROUND_S, START_S, change, first_files, running_fleet
from tests.bench.process import cpu_s

QUIET_S = 3.0
"""After a round: statuses are sent late on purpose, and belong to the round that caused them."""


async def floor(count, rounds):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.floor", str(count), str(rounds), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    return statistics.median(json.loads(out))


async def one_round(fleet, app, number, count):
    """Return seconds, and CPU seconds of the hub, its nats-server, and the agents."""
    before = (*fleet.hub_cpu(), cpu_s(fleet.agents.pid))
    started = time.monotonic()
    fleet.git.commit("fleet", change(app, str(number)))
    async with Hub(fleet.address) as hub, asyncio.timeout(ROUND_S), asyncio.TaskGroup() as tasks:
        # What a webhook does: the poller looks now.
        tasks.create_task(hub.command("poller", "sync", {"source": "fleet"}))
        last = await fleet.heard(count, f"{app}-{number}")
    await asyncio.sleep(QUIET_S)
    after = (*fleet.hub_cpu(), cpu_s(fleet.agents.pid))
    return (last - started, *(b - a for a, b in zip(before, after, strict=True)))


async def travel(count, rounds):
    """Return the figures of N clusters."""
    with tempfile.TemporaryDirectory(prefix="towline-bench-") as folder:
        started = time.monotonic()
        async with running_fleet(Path(folder), count, first_files(count)) as fleet:
            async with asyncio.timeout(START_S):
                await fleet.heard(count, "all-first")
            start = time.monotonic() - started
            await asyncio.sleep(QUIET_S)
            everyone, single, floors = [], [], []
            for number in range(rounds):
                floors.append(await floor(count, 3))
                everyone.append(await one_round(fleet, "all", number, count))
                single.append(await one_round(fleet, "one", number, 1))
            kib = (await fleet.ask("rss"))["kib"]
    names = ("s", "hub_cpu", "nats_cpu", "agents_cpu")
    figures = {"n": count, "start_s": start, "floor_s": statistics.median(floors), "sim_kib": kib}
    for kind, found in (("all", everyone), ("one", single)):
        medians = (statistics.median(each) for each in zip(*found, strict=True))
        figures |= {f"{kind}_{name}": value for name, value in zip(names, medians, strict=True)}
    return figures
