"""A fresh apply by our agent and by `kubectl apply --server-side`, one after the other in each round."""

import asyncio
import os
import secrets
import statistics
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass

from services.renderer.engines.tools import kubectl
from tests.bench.applier.delay import delayed
from tests.bench.applier.objects import config_maps, mixed
from tests.bench.applier.stage import QUIET_S, Agent, Stage, agent, stage, write_manifests
from tests.support.control_plane import CONTROLLERS, KWOK, SCHEDULER

SETS = {"500 ConfigMaps": (config_maps, 500), "400 mixed": (mixed, 400)}
ROUND_TRIP_S = 0.02
COSTS = ("api_ms", "etcd_ms", "own_ms")


async def near(folder, rounds):
    """Return a row for each set of objects, with the API server on loopback."""
    return await _rows(folder, rounds, 0.0)


async def far(folder, rounds):
    """Return the same with 20 ms more for each round trip."""
    return await _rows(folder, rounds, ROUND_TRIP_S)


async def _rows(folder, rounds, round_trip_s):
    async with AsyncExitStack() as stack:
        on = await stack.enter_async_context(stage(folder))
        # What controllers do about new objects is the same for both, and would be measured with them.
        for name in (KWOK, SCHEDULER, CONTROLLERS):
            on.plane.kill(name)
        port = await stack.enter_async_context(delayed(on.plane.port, round_trip_s)) if round_trip_s else 0
        race = Race(on, await stack.enter_async_context(agent(on, port=port)), port)
        await race.rest()
        return [{"objects": name, **await race.run(*each, rounds)} for name, each in SETS.items()]


@dataclass
class Race:
    """Our agent and kubectl, on one API server that is reached through `port`."""

    on: Stage
    ours: Agent
    port: int
    idle: tuple = (0.0, 0.0)
    """What API server and etcd use of the CPU while nothing happens."""

    async def rest(self):
        before, window_s = self.on.cpu(), 5.0
        await asyncio.sleep(window_s)
        self.idle = [(b - a) / window_s for a, b in zip(before, self.on.cpu(), strict=True)]

    async def run(self, made, count, rounds):
        """Return medians of the rounds; one before them fills caches."""
        found = [(await self._kubectl(made, count), await self._agent(made, count)) for _ in range(rounds + 1)]
        theirs, ours = (
            [statistics.median(column) for column in zip(*one, strict=True)] for one in zip(*found[1:], strict=True)
        )
        ratios = [b / a for a, b in zip(theirs, ours, strict=True)]
        return {
            "kubectl/s": count / theirs[0],
            "ours/s": count / ours[0],
            **{name: f"{a / count * 1000:.2f} / {b / count * 1000:.2f}" for name, a, b in _paired(theirs, ours)},
            "rate x": 1 / ratios[0],
            "api x": ratios[1],
            "own x": ratios[3],
        }

    async def _kubectl(self, made, count):
        """Return seconds, and CPU seconds of API server, etcd and kubectl."""
        namespace = await self.on.namespace()
        file = self.on.folder / f"{namespace}.yaml"
        write_manifests(file, made(namespace, count))
        kubeconfig = self.on.plane.kubeconfig_of("kubectl", self.on.access(self.port))
        where = ("--kubeconfig", str(kubeconfig), "--cache-dir", str(self.on.folder / "kubectl"))
        before, own, started = self.on.cpu(), os.times(), time.monotonic()
        process = await asyncio.create_subprocess_exec(
            str(kubectl()), *where, "apply", "--server-side", "-f", str(file), stdout=asyncio.subprocess.DEVNULL
        )
        assert await process.wait() == 0
        took, used = time.monotonic() - started, os.times()
        own_s = used.children_user + used.children_system - own.children_user - own.children_system
        return (took, *await self._spent(before, took), own_s)

    async def _agent(self, made, count):
        """Return the same of our agent: all that it does from the news of a release to its status after it."""
        namespace = await self.on.namespace()
        objects = made(namespace, count)
        before, own = self.on.cpu(), self.ours.cpu()
        took = await self.ours.deliver(f"app-{secrets.token_hex(4)}", namespace, objects)
        return (took, *await self._spent(before, took), self.ours.cpu() - own)

    async def _spent(self, before, took):
        await asyncio.sleep(QUIET_S)
        window_s = took + QUIET_S
        return [b - a - rate * window_s for a, b, rate in zip(before, self.on.cpu(), self.idle, strict=True)]


def _paired(theirs, ours):
    return zip(COSTS, theirs[1:], ours[1:], strict=True)
