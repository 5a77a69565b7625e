"""The hub's programs as processes of their own, beside a nats-server of their own: each can be killed alone.

What is started here is what an owner would start: `towline hub init --watch`, `nats-server -c`, and four times
`towline run PROGRAM`, told by the environment.
"""

import asyncio
import json
import os
import random
import shutil
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from services.cli.hubs import CommandError, HubAddress
from services.kubesim.server import SimulatedClusters
from shared.bus.connection import Bus
from shared.bus.identities import BusKeys
from tests.support.bus import QUICK
from tests.support.line import PROGRAMS, PROJECT, Child, Line, until

SERVER = "nats-server"
ARMED = "tests.support.armed"
TOKEN = "a" * 43


def free_port():
    """Return a port that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass
class ServerChild(Child):
    """nats-server, as its own documentation starts it."""

    async def start(self):
        binary = shutil.which(SERVER, path=str(Path(sys.executable).parent)) or shutil.which(SERVER)
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(binary, *self.arguments, stdout=log, stderr=log)


@dataclass
class ArmedChild(Child):
    """A program that kills itself at a named call once, when a point is set."""

    point: tuple[str, int, bool] | None = None
    """`module:Class:function`, which call of it, and whether before it."""

    async def start(self):
        point, self.point = self.point, None
        if point is None:
            await super().start()
            return
        environment = {**os.environ, **self.environment, "PYTHONPATH": str(PROJECT)}
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", ARMED, json.dumps(point), *self.arguments),
                env=environment,
                stdout=log,
                stderr=log,
                cwd=PROJECT,
            )


@dataclass
class Apart(Line):
    """A line whose hub is five processes and a server; `hub` is the steward."""

    children: dict[str, Child] = field(default_factory=dict)
    url: str = ""
    http: str = ""

    @property
    def server(self):
        return self.children[SERVER]

    def address(self):
        return HubAddress(self.http, TOKEN)

    @asynccontextmanager
    async def bus(self, who="steward"):
        """A connection of a program of the hub, for looking and for breaking."""
        keys = BusKeys.load_or_make(self.data / "keys" / "bus")
        credentials = keys.program_credentials(who)
        async with Bus.connect([self.url], lambda: credentials, name=f"test {who}", pace=QUICK) as bus:
            await bus.wait_connected()
            yield bus

    async def start_hub(self):
        """Start everything, and return when the API answers."""
        await self.hub.start()
        await until((self.data / "nats" / "nats.conf").exists, what=lambda: f"nats.conf: {self.hub.tail()}")
        await self.server.start()
        for program in PROGRAMS:
            await self.children[program].start()
        await self.answering()

    async def answering(self):
        """Return when the API answers."""

        async def answers():
            self.check()
            try:
                await self.get("/api/v1/sources")
            except CommandError:
                return False
            return True

        await until(answers, what=lambda: f"API: {self.children['auditor'].tail()}")

    async def progress(self, stage="healthy", **selection):
        """Return how far a commit came; an API that is away says so as a state."""
        try:
            return await super().progress(stage, **selection)
        except CommandError as error:
            self.check()
            return {"state": "unknown", "why": str(error)}

    def check(self):
        """Fail when a program that nobody killed has ended."""
        for name, child in {**self.children, "steward": self.hub}.items():
            code = child.process and child.process.returncode
            if code is not None and code != -signal.SIGKILL:
                pytest.fail(f"{name} ended with {code}: {child.tail()}")

    async def crash(self, program):
        """Kill a program as a power cut would, and start it again at once."""
        child = self.children[program]
        await child.kill()
        await child.start()

    async def stop_hub(self):
        """Ask every program to end, and return the codes by name."""
        stopped = {**{name: self.children[name] for name in PROGRAMS}, "steward": self.hub}
        async with asyncio.TaskGroup() as group:
            tasks = {name: group.create_task(child.stop()) for name, child in stopped.items()}
        await self.server.stop()
        return {name: task.result() for name, task in tasks.items()}

    async def doom(self, program, point):
        """Start a program anew so that it kills itself at a named call; see `ArmedChild.point`."""
        self.children[program].point = point
        await self.crash(program)

    async def dead(self, program):
        """Return when a doomed program has killed itself, and start it again."""
        child = self.children[program]
        await until(lambda: child.process.returncode is not None, what=lambda: f"{program} dies: {child.tail()}")
        assert child.process.returncode == -signal.SIGKILL, child.tail()
        await child.start()

    async def crash_agent(self, name):
        """Cancel an agent wherever it is, and start it again: it finds what it was doing in its cluster."""
        _, task = self.agents.pop(name)
        task.cancel()
        await asyncio.wait({task})
        self.start_agent(name)

    async def wipe_bus(self):
        """Take the bus's store away, while its server is down for a moment."""
        await self.server.kill()
        shutil.rmtree(self.data / "nats" / "store")
        await self.server.start()


class Killer:
    """Kills programs at random moments that a seed decides, and starts each again at once."""

    def __init__(self, line, seed, victims, pauses_s=(0.5, 2.5)):
        self._line, self._victims, self._pauses_s = line, victims, pauses_s
        self._dice = random.Random(seed)
        self.kills = 0

    async def run(self, over):
        """Kill until `over` is set, one victim after the other; agents are victims by their cluster's name."""
        order = []
        while not over.is_set():
            try:
                async with asyncio.timeout(self._dice.uniform(*self._pauses_s)):
                    await over.wait()
            except TimeoutError:
                order = order or self._dice.sample(self._victims, len(self._victims))
                victim = order.pop()
                await (self._line.crash_agent if victim in self._line.agents else self._line.crash)(victim)
                self.kills += 1


def _children(folder: Path, data: Path, url: str, port: int, sources: Mapping[str, str]) -> dict[str, Child]:
    told = {
        "TOWLINE_DATA": str(data),
        "TOWLINE_BUS_URLS": url,
        "TOWLINE_POLLER_SOURCES": ",".join(f"{name}={where}" for name, where in sources.items()),
        "TOWLINE_POLLER_INTERVAL_S": "0.3",
        "TOWLINE_AUDITOR_LISTEN": f"127.0.0.1:{port}",
        "TOWLINE_RELEASER_HUB_URL": f"http://127.0.0.1:{port}",
        "TOWLINE_RELEASER_TICK_S": "0.5",
    }
    children: dict[str, Child] = {
        program: ArmedChild(
            ("run", program),
            folder / f"{program}.log",
            {**told, "TOWLINE_BUS_CREDENTIALS": str(data / "keys" / "bus" / f"{program}.json")},
        )
        for program in PROGRAMS
    }
    children[SERVER] = ServerChild(("-c", str(data / "nats" / "nats.conf")), folder / "nats.log")
    return children


@asynccontextmanager
async def running_apart(
    folder: Path,
    git,
    *,
    clusters: Sequence[str],
    sources: Mapping[str, str],
    legacy: bool = False,
    armed: Mapping[str, tuple[str, int, bool]] | None = None,
):
    """Start a server, the programs, simulated clusters and their agents."""
    data, port, bus_port = folder / "hub", free_port(), free_port()
    data.mkdir(parents=True)
    (data / "admin.token").write_text(TOKEN)
    url = f"nats://127.0.0.1:{bus_port}"
    steward = Child(("hub", "init", "--data", str(data), "--bus", url, "--watch"), folder / "steward.log")
    async with SimulatedClusters(names=list(clusters), legacy=legacy) as simulated:
        line = Apart(
            folder,
            git,
            simulated,
            steward,
            children=_children(folder, data, url, port, sources),
            url=url,
            http=f"http://127.0.0.1:{port}",
        )
        for program, point in (armed or {}).items():
            line.children[program].point = point
        async with asyncio.TaskGroup() as line.group:
            try:
                await line.start_hub()
                for name in clusters:
                    await line.join(name)
                await line.connected(len(clusters))
                yield line
            finally:
                for life, _ in line.agents.values():
                    life.stopping.set()
                for child in (*line.children.values(), line.hub):
                    if child.process is not None and child.process.returncode is None:
                        await child.stop()


@pytest.fixture
async def apart(tmp_path, local_git):
    """A function that starts a line of programs apart; see `running_apart`."""
    async with AsyncExitStack() as stack:

        async def start(**how) -> Apart:
            return await stack.enter_async_context(running_apart(tmp_path / "apart", local_git, **how))

        yield start


__all__ = ["SERVER", "Apart", "Killer", "apart", "running_apart"]
