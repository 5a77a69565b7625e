"""Programs and agents as processes of their own, beside a nats-server of their own: each can be killed alone.

What is started here is what an owner would start: `towline hub init --watch`, `nats-server -c`, four times
`towline run PROGRAM`, told by the environment, and `towline agent run` for each cluster.
"""

import asyncio
import random
import shutil
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from services.cli.client import Hub
from services.cli.hubs import CommandError, HubAddress
from services.kubesim.server import SimulatedClusters
from shared.bus.connection import Bus
from shared.bus.identities import BusKeys
from tests.support.armed import armed
from tests.support.bus import QUICK
from tests.support.line import PROGRAMS, Child, Line, until
from tests.support.ports import free_port

SERVER = "nats-server"
PATIENCE_S = 180
"""Who comes after the killed waits by rule: 10 s for what was in hand, 15 s for a lease, 15 s more to delete."""
Point = tuple[str, int, bool]
"""`module:Class:function`, which call of it, and whether before it did its work."""
TOKEN = "a" * 43


@dataclass
class ServerChild(Child):
    """nats-server, as its own documentation starts it."""

    def command(self):
        binary = shutil.which(SERVER, path=str(Path(sys.executable).parent)) or shutil.which(SERVER)
        return (binary, *self.arguments)


@dataclass
class MortalChild(Child):
    """A program that kills itself once in each of its next lives, as long as there are points for it."""

    points: list[Point] = field(default_factory=list)
    """The next life's first."""

    def command(self):
        return armed(self.points.pop(0), *self.arguments) if self.points else super().command()

    def ended(self):
        return self.process.returncode is not None

    async def revived(self):
        """Return once the program has killed itself at every point, and was started again after each."""
        while True:
            last = not self.points
            await until(self.ended, what=lambda: f"it dies: {self.tail()}", deadline_s=PATIENCE_S)
            assert self.process.returncode == -signal.SIGKILL, self.tail()
            await self.start()
            if last:
                return


@dataclass
class Apart(Line):
    """A line whose hub is five processes and a server; `hub` is the steward."""

    children: dict[str, Child] = field(default_factory=dict)
    points: Mapping[str, Sequence[Point]] = field(default_factory=dict)
    """Cluster → where its agent's first lives end."""
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

    async def wait(self, commit, stage="healthy", deadline_s=PATIENCE_S):
        await super().wait(commit, stage, deadline_s)

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

    async def stop(self):
        """Ask every program and agent to end, and return the codes by name."""
        stopped = {**self.children, "steward": self.hub}
        del stopped[SERVER]
        async with asyncio.TaskGroup() as group:
            tasks = {name: group.create_task(child.stop()) for name, child in stopped.items()}
        await self.server.stop()
        return {name: task.result() for name, task in tasks.items()}

    async def die(self, program, points):
        """Let a program kill itself at these points, one a life; return when it lives on."""
        self.children[program].points = list(points)
        await self.crash(program)
        await self.children[program].revived()

    async def join(self, name, labels=None):
        """Register a cluster and start its agent, a child by the cluster's name."""
        async with Hub(self.address()) as hub:
            token = (await hub.post("/api/v1/clusters", {"name": name, "labels": labels or {}}))["token"]
        folder = self.folder / "agents" / name
        folder.mkdir(parents=True)
        (folder / "kubeconfig").write_text(self.cluster(name).kubeconfig())
        (folder / "token").write_text(token)
        files = (f"--kubeconfig={folder / 'kubeconfig'}", f"--join-file={folder / 'token'}", f"--data={folder}")
        self.children[name] = MortalChild(
            ("agent", "run", *files), self.folder / f"{name}.log", points=list(self.points.get(name, ()))
        )
        await self.children[name].start()

    def kill_at_write(self, name, number):
        """Kill a cluster's agent when its API server gets the `number`-th write of ours; the answer is lost."""
        writes = iter(range(1, 1_000_000))

        def seen(request):
            ours = request.method != "GET" and "leases" not in request.path
            if ours and next(writes) == number:
                self.children[name].process.kill()
            return False

        self.cluster(name).fail_next(match=seen)

    async def wipe_bus(self):
        """Take the bus's store away, while its server is down for a moment."""
        await self.server.kill()
        shutil.rmtree(self.data / "nats" / "store")
        await self.server.start()


class Killer:
    """Kills at moments and in an order that a seed decides; agents are victims by their cluster's name."""

    def __init__(self, line, seed, victims):
        self._line, self._victims, self._order = line, victims, []
        self._dice = random.Random(seed)

    async def strike(self, within_s=2.0):
        """Kill one victim at some moment, and start it again at once.

        By count, never by time alone: whoever is killed again before it is up gets nowhere, however slow the machine.
        """
        await asyncio.sleep(self._dice.uniform(0.0, within_s))
        self._order = self._order or self._dice.sample(self._victims, len(self._victims))
        await self._line.crash(self._order.pop())


def _children(folder: Path, url: str, port: int, sources: Mapping[str, str]) -> dict[str, Child]:
    data = folder / "hub"
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
        program: MortalChild(
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
    points: Mapping[str, Sequence[Point]] | None = None,
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
            children=_children(folder, url, port, sources),
            points=points or {},
            url=url,
            http=f"http://127.0.0.1:{port}",
        )
        try:
            await line.start_hub()
            for name in clusters:
                await line.join(name)
            await line.connected(len(clusters))
            yield line
        finally:
            async with asyncio.TaskGroup() as group:
                for child in (*line.children.values(), line.hub):
                    if child.process is not None and child.process.returncode is None:
                        group.create_task(child.stop())


@pytest.fixture
async def apart(tmp_path, local_git):
    """A function that starts a line of programs apart; see `running_apart`."""
    async with AsyncExitStack() as stack:

        async def start(**how) -> Apart:
            return await stack.enter_async_context(running_apart(tmp_path / "apart", local_git, **how))

        yield start


__all__ = ["SERVER", "Apart", "Killer", "apart", "running_apart"]
