"""The whole line as users run it: a hub as its own process, simulated clusters, agents, a fleet in git.

Clusters and agents live in the test's process, so that a test can look into them; the hub, or each program of it, is a
child that a test can kill.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from services.applier.service import run_agent
from services.applier.settings import ApplierSettings, Pace
from services.cli.client import Hub
from services.cli.hubs import HubAddress
from services.kubesim.server import SimulatedCluster, SimulatedClusters
from shared.core.objects import key_of
from shared.runtime.lifecycle import Lifecycle
from tests.support.git_server import GitServer, Repositories

PROJECT = Path(__file__).resolve().parents[2]
DEADLINE_S = 90
LOOK_S = 0.05
PROGRAMS = ("poller", "renderer", "releaser", "auditor")
INTERVAL = {"TOWLINE_POLLER_INTERVAL_S": "0.3"}
QUICK = Pace(look_s=2.0, coalesce_s=0.1, probe_s=0.2)
LABEL = "towline.dev/agent"


async def until(check, *, what, deadline_s=DEADLINE_S):
    """Return the first true answer of `check`, which may be a coroutine function."""
    try:
        async with asyncio.timeout(deadline_s):
            while True:
                found = check()
                if asyncio.iscoroutine(found):
                    found = await found
                if found:
                    return found
                await asyncio.sleep(LOOK_S)
    except TimeoutError:
        pytest.fail(f"not within {deadline_s} s: {what() if callable(what) else what}")


@dataclass
class Child:
    """A process of the product, with its output in a file."""

    arguments: Sequence[str]
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    process: asyncio.subprocess.Process | None = None

    def command(self):
        """Return the command line of the next start."""
        return (sys.executable, "-m", "services.cli", *self.arguments)

    async def start(self):
        environment = {**os.environ, **INTERVAL, **self.environment, "PYTHONPATH": str(PROJECT)}
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *self.command(), env=environment, stdout=log, stderr=log, cwd=PROJECT
            )

    async def kill(self):
        """End it as a power cut would."""
        self.process.kill()
        await self.process.wait()

    async def stop(self):
        """Ask it to end, and return its code."""
        if self.process is None:
            return 0
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(20):
                return await self.process.wait()
        except TimeoutError:
            await self.kill()
            pytest.fail(f"{self.arguments[:2]} did not stop: {self.tail()}")

    def tail(self, lines=15):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


@dataclass
class Line:
    """Everything that runs; `git` holds the repositories."""

    folder: Path
    git: Repositories
    simulated: SimulatedClusters
    hub: Child
    agents: dict[str, tuple[Lifecycle, asyncio.Task]] = field(default_factory=dict)
    pace: Pace = QUICK
    group: asyncio.TaskGroup | None = None

    @property
    def data(self):
        return self.folder / "hub"

    @property
    def clusters(self) -> list[SimulatedCluster]:
        return self.simulated.clusters

    def cluster(self, name) -> SimulatedCluster:
        return next(each for each in self.clusters if each.name == name)

    def address(self):
        ready = json.loads((self.data / "hub.json").read_text())
        return HubAddress(ready["http"], (self.data / "admin.token").read_text().strip())

    async def start_hub(self):
        """Start the hub and return when it is ready."""
        (self.data / "hub.json").unlink(missing_ok=True)
        await self.hub.start()
        await until(self._ready, what=lambda: f"hub ready: {self.hub.tail()}")

    def _ready(self):
        if self.hub.process.returncode is not None:
            pytest.fail(f"the hub ended with {self.hub.process.returncode}: {self.hub.tail()}")
        return (self.data / "hub.json").exists()

    async def get(self, path, **parameters):
        async with Hub(self.address()) as hub:
            return await hub.get(path, **parameters)

    async def items(self, kind, **parameters):
        async with Hub(self.address()) as hub:
            return await hub.items(f"/api/v1/{kind}", None, **parameters)

    async def command(self, program, verb, **arguments):
        async with Hub(self.address()) as hub:
            return await hub.command(program, verb, arguments)

    async def join(self, name, labels=None):
        """Register a cluster and start its agent."""
        async with Hub(self.address()) as hub:
            token = (await hub.post("/api/v1/clusters", {"name": name, "labels": labels or {}}))["token"]
        self.start_agent(name, token)

    def start_agent(self, name, token=""):
        folder = self.folder / "agents" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "kubeconfig").write_text(self.cluster(name).kubeconfig())
        life = Lifecycle()
        settings = ApplierSettings(join=token, kubeconfig=folder / "kubeconfig", data=folder, pace=self.pace)
        self.agents[name] = life, self.group.create_task(run_agent(settings, life))

    async def connected(self, count):
        """Return when so many agents joined: who has not is not waited for by anybody."""

        async def there():
            return len(await self.items("clusters", state="connected")) == count

        await until(there, what=f"{count} clusters connected")

    async def stop_agent(self, name):
        life, task = self.agents.pop(name)
        life.stopping.set()
        async with asyncio.timeout(20):
            await task

    async def progress(self, stage="healthy", **selection):
        return await self.get("/api/v1/progress", stage=stage, **selection)

    async def wait(self, commit, stage="healthy", deadline_s=DEADLINE_S):
        """Return when a commit is there on all clusters; fail when it failed for good."""
        last = {}

        async def there():
            nonlocal last
            last = await self.progress(stage, commits=commit)
            if last["state"] == "failed":
                pytest.fail(f"{commit[:10]} failed: {last['failures']}")
            return last["state"] == "done"

        await until(there, what=lambda: f"{commit[:10]} {stage}: {last}\n{self.hub.tail(5)}", deadline_s=deadline_s)

    def owned(self, name) -> dict[str, dict]:
        """Return what Towline owns on a cluster: key → object."""
        found = self.cluster(name).store.objects()
        return {
            str(key_of(each)): each
            for each in found
            if LABEL in (each["metadata"].get("labels") or {}) and each["metadata"].get("namespace") != "towline"
        }


@asynccontextmanager
async def running_line(
    folder: Path,
    git: Repositories,
    *,
    clusters: Sequence[str],
    sources: Mapping[str, str],
    legacy: bool = False,
    labels: Mapping[str, Mapping[str, str]] | None = None,
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[Line]:
    """Start a hub with `sources` (name → URL) and `environment`, simulated clusters, and their agents."""
    arguments = ["hub", "run", "--data", str(folder / "hub"), "--listen", "127.0.0.1:0"]
    for name, url in sources.items():
        arguments += ["--source", f"{name}={url}"]
    (folder / "hub").mkdir(parents=True, exist_ok=True)
    async with AsyncExitStack() as stack:
        simulated = await stack.enter_async_context(SimulatedClusters(names=list(clusters), legacy=legacy))
        line = Line(folder, git, simulated, Child(arguments, folder / "hub.log", environment or {}))
        async with asyncio.TaskGroup() as line.group:
            try:
                await line.start_hub()
                for name in clusters:
                    await line.join(name, (labels or {}).get(name))
                await line.connected(len(clusters))
                yield line
            finally:
                for life, _ in line.agents.values():
                    life.stopping.set()
                if line.hub.process is not None and line.hub.process.returncode is None:
                    await line.hub.stop()


@pytest.fixture
async def line(tmp_path, local_git):
    """A function that starts a line; see `running_line`. Repositories are `local_git`'s."""
    async with AsyncExitStack() as stack:

        async def start(**how) -> Line:
            return await stack.enter_async_context(running_line(tmp_path, local_git, **how))

        yield start


__all__ = ["GitServer", "Line", "line", "running_line", "until"]
