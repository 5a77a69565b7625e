"""A whole fleet at work: a hub as a child, simulated clusters in a second, their agents in a third."""

import asyncio
import json
import os
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from services.cli.client import Hub
from services.cli.hubs import HubAddress
from tests.bench.process import children, cpu_s
from tests.support.git_server import Repositories

PROJECT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(PROJECT), "TOWLINE_POLLER_INTERVAL_S": "30"}
MARKER = "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: marker-{number}}}\ndata: {{text: {text}}}\n"
OBJECTS = 4
START_S = 900
ROUND_S = 90
LINE_BYTES = 8 << 20
JOINING = 8


def name_of(number):
    return f"sim-{number + 1:04d}"


def first_files(count):
    """Return a fleet: `all` runs on every cluster, `one` on the first only."""
    clusters = [f"  - {{name: {name_of(each)}, labels: {{one: '{each == 0}'}}}}" for each in range(count)]
    return {
        "fleet.yaml": "version: 1\n",
        "clusters/all.yaml": "\n".join(["clusters:", *clusters, ""]),
        "apps/all/app.yaml": "namespace: default\n",
        "apps/one/app.yaml": "namespace: default\ntargets: [{one: 'True'}]\n",
        **change("all", "first"),
        **change("one", "first"),
    }


def change(app, text, objects=OBJECTS):
    offset = 0 if app == "all" else OBJECTS
    names = [f"{each + offset}" for each in range(objects)]
    return {f"apps/{app}/m.yaml": "---\n".join(MARKER.format(number=each, text=f"{app}-{text}") for each in names)}


@asynccontextmanager
async def child(*arguments, log):
    """A process with pipes to and from it, that is gone after the block."""
    with log.open("ab") as errors:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            env=ENVIRONMENT,
            cwd=PROJECT,
            limit=LINE_BYTES,
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(15):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()


class Fleet:
    """What runs; `git` holds the fleet's repository."""

    def __init__(self, folder, count, git, sims, hub):
        self.folder, self.count, self.git, self.sims, self.hub = folder, count, git, sims, hub

    async def heard(self, count, value):
        """Return when the last of `count` clusters had `value`, in monotonic seconds."""
        seen, last = set(), 0.0
        while len(seen) < count:
            told = json.loads(await self.sims.stdout.readline())
            if told.get("value") == value:
                seen.add(told["cluster"])
                last = max(last, told["at"])
        return last

    async def ask(self, question):
        self.sims.stdin.write(f"{question}\n".encode())
        while True:
            told = json.loads(await self.sims.stdout.readline())
            if "value" not in told:
                return told

    def hub_cpu(self):
        """Return the CPU seconds of the hub with its renderers, and of its nats-server."""
        parts = children(self.hub.pid)
        server = sum(cpu_s(pid) for pid, name in parts.items() if name.startswith("nats"))
        return cpu_s(self.hub.pid) + sum(cpu_s(pid) for pid, n in parts.items() if not n.startswith("nats")), server


@asynccontextmanager
async def running_fleet(folder, count, files):
    """Start everything and return once every agent joined."""
    git = Repositories(folder / "git")
    git.commit("fleet", files)
    data = folder / "hub"
    source = f"fleet={git.path('fleet')}"
    hub = ("services.cli", "hub", "run", "--data", str(data), "--listen", "127.0.0.1:0", "--source", source)
    async with AsyncExitStack() as stack:
        sims = await stack.enter_async_context(child("tests.bench.sims", str(count), log=folder / "sims.log"))
        clusters = json.loads(await sims.stdout.readline())["clusters"]
        process = await stack.enter_async_context(child(*hub, "--log", "json", log=folder / "hub.log"))
        process.stdin.close()
        address = await address_of(data)
        fleet = Fleet(folder, count, git, sims, process)
        fleet.address = address
        fleet.clusters = clusters
        async with Hub(address) as asked:
            limit = asyncio.Semaphore(JOINING)
            async with asyncio.TaskGroup() as tasks:
                for each in clusters:
                    tasks.create_task(joined(asked, each, limit))
        (folder / "clusters.json").write_text(json.dumps(clusters))
        arguments = ("tests.bench.agents", str(folder / "clusters.json"))
        fleet.agents = await stack.enter_async_context(child(*arguments, log=folder / "agents.log"))
        yield fleet


async def joined(hub, cluster, limit):
    async with limit:
        cluster["join"] = (await hub.post("/api/v1/clusters", {"name": cluster["name"]}))["token"]


async def address_of(data):
    async with asyncio.timeout(60):
        while not (data / "hub.json").exists():  # noqa: ASYNC110 - a script would look, too
            await asyncio.sleep(0.05)
    ready = json.loads((data / "hub.json").read_text())
    return HubAddress(ready["http"], (data / "admin.token").read_text().strip())
