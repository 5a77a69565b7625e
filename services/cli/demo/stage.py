"""What the demo runs: a hub of its own as a child, simulated clusters and their agents in this process."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import services
from services.applier.kube.access import Access
from services.applier.service import run_agent
from services.applier.settings import ApplierSettings
from services.cli.client import Hub
from services.cli.demo.fleet import Member, clusters_commit
from services.cli.demo.repository import Repository
from services.cli.hubs import CommandError, HubAddress
from services.kubesim.server import SimulatedCluster, SimulatedClusters
from shared.runtime.lifecycle import Lifecycle

LOOK_S = 0.05
START_S = 60.0
STOP_S = 15.0
DEPLOYMENT = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "web"}}
MEDDLED = 9


@dataclass(slots=True)
class Stage:
    """The running parts of the demo."""

    folder: Path
    members: list[Member]
    repository: Repository
    simulated: SimulatedClusters
    address: HubAddress

    def versions(self, namespace: str) -> dict[str, str]:
        """Return the resource version of every object in a namespace of every cluster."""
        return {
            f"{cluster.name}/{each['kind']}/{each['metadata']['name']}": each["metadata"]["resourceVersion"]
            for cluster in self.simulated.clusters
            for each in cluster.store.objects()
            if each["metadata"].get("namespace") == namespace
        }

    def meddle(self, name: str) -> int:
        """Scale `web` by hand as somebody would, and return how many replicas git wants."""
        wanted = self._replicas(name)
        self._cluster(name).store.patch(DEPLOYMENT, {"spec": {"replicas": MEDDLED}}, manager="kubectl-edit")
        return wanted

    async def until_replicas(self, name: str, wanted: int) -> None:
        """Return when `web` has the replicas that git wants."""
        while self._replicas(name) != wanted:  # noqa: ASYNC110 - a person would look again, too
            await asyncio.sleep(LOOK_S)

    def _replicas(self, name: str) -> int:
        found = self._cluster(name).store.get("apps/v1", "Deployment", "web", "web")
        return int(found["spec"]["replicas"]) if found else 0

    def _cluster(self, name: str) -> SimulatedCluster:
        return next(each for each in self.simulated.clusters if each.name == name)


@asynccontextmanager
async def staged(folder: Path, members: list[Member], say: Callable[[str], None]) -> AsyncIterator[tuple[Stage, Hub]]:
    """Start everything, say how far that is, and stop it at the end of the block."""
    started = time.monotonic()
    repository = Repository(folder / "fleet")
    repository.commit(clusters_commit(members), "Declare the clusters")
    life = Lifecycle()
    async with (
        SimulatedClusters(names=[each.name for each in members]) as simulated,
        _hub(folder / "hub", repository) as address,
        Hub(address) as hub,
        asyncio.TaskGroup() as agents,
    ):
        stage = Stage(folder, members, repository, simulated, address)
        try:
            for cluster in simulated.clusters:
                await _join(stage, hub, cluster, agents, life)
            say(f"  {time.monotonic() - started:6.2f} s  hub is ready, clusters are invited")
            await _all_connected(hub, len(members))
            say(f"  {time.monotonic() - started:6.2f} s  {len(members)} agents joined, each by a token that works once")
            yield stage, hub
        finally:
            life.stopping.set()


async def _join(stage: Stage, hub: Hub, cluster: SimulatedCluster, agents: asyncio.TaskGroup, life: Lifecycle) -> None:
    token = (await hub.post("/api/v1/clusters", {"name": cluster.name}))["token"]
    folder = stage.folder / "agents" / cluster.name
    await asyncio.to_thread(_write_kubeconfig, folder, cluster.kubeconfig())
    # What the kubeconfig says, without one child for each agent to read it: that would be half of the demo's time.
    access = Access(server=cluster.url, authorization=f"Bearer {cluster.token}")
    settings = ApplierSettings(join=token, access=access, data=folder)
    agents.create_task(run_agent(settings, life))


def _write_kubeconfig(folder: Path, text: str) -> None:
    folder.mkdir(parents=True)
    path = folder / "kubeconfig"
    path.touch(mode=0o600)
    path.write_text(text)


async def _all_connected(hub: Hub, count: int) -> None:
    connected: list[Any] = []
    try:
        async with asyncio.timeout(START_S):
            while len(connected) < count:
                await asyncio.sleep(LOOK_S)
                connected = await hub.items("/api/v1/clusters", None, state="connected")
    except TimeoutError as error:
        raise CommandError(f"only {len(connected)} of {count} agents joined within {START_S:.0f} s") from error


@asynccontextmanager
async def _hub(data: Path, repository: Repository) -> AsyncIterator[HubAddress]:
    """Run `towline hub run` as its own process, as a user would, until the end of the block."""
    command = ["hub", "run", "--data", str(data), "--listen", "127.0.0.1:0", "--source", f"fleet={repository.bare}"]
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(services.__path__[0]).parent),
        # A second is what the demo can wait; a webhook will do better than that.
        "TOWLINE_POLLER_INTERVAL_S": "0.5",
    }
    with (data.parent / "hub.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services.cli", *command, env=environment, stdout=log, stderr=log
        )
    try:
        yield await _started(process, data)
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(STOP_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


async def _started(process: asyncio.subprocess.Process, data: Path) -> HubAddress:
    log = data.parent / "hub.log"
    ready, token = data / "hub.json", data / "admin.token"
    try:
        async with asyncio.timeout(START_S):
            while not ready.exists():
                if process.returncode is not None:
                    raise CommandError(f"the demo's hub ended at once: {_last_line(log)}", hint=f"see {log}")
                await asyncio.sleep(LOOK_S)
    except TimeoutError as error:
        raise CommandError(f"the demo's hub did not start within {START_S:.0f} s", hint=f"see {log}") from error
    return HubAddress(str(json.loads(ready.read_text())["http"]), token.read_text().strip())


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"
