"""A real control plane, a bus, and real agent processes that a releaser's pen signs for."""

import asyncio
import json
import os
import secrets
import sys
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace

from services.applier.kube.credentials import FixedCredentials
from tests.bench.fleet import PROJECT
from tests.bench.process import cpu_s
from tests.support.agents import RealCluster, holding_pen
from tests.support.api_server import asking
from tests.support.bus import running_bus
from tests.support.control_plane import API_SERVER, ETCD, running_control_plane

QUIET_S = 2.0
"""What a change costs comes partly after it: watches, the agent's status, which it sends late on purpose."""
APPLY_S = 600.0
AGENT = "towline-applier"


@dataclass
class Stage:
    """What every measurement needs."""

    folder: object
    plane: object
    server: object
    bus: object

    def cpu(self):
        """Return the CPU seconds of the API server and of etcd."""
        programs = self.plane.programs
        return cpu_s(programs[API_SERVER].pid), cpu_s(programs[ETCD].pid)

    async def namespace(self):
        """Make a namespace of a name that nobody had, and return it."""
        name = f"bench-{secrets.token_hex(4)}"
        await self.server.make("/api/v1/namespaces", {"metadata": {"name": name}})
        return name

    def access(self, port=0):
        """Return the administrator's access, through another port if one is given."""
        access = self.plane.access
        return replace(access, server=f"https://127.0.0.1:{port}") if port else access

    def asked(self, since):
        """Return what agents asked for since the moment `since` of the audit log, their Leases apart."""
        return [each for each in self.plane.asked(AGENT)[since:] if "/leases" not in each["requestURI"]]

    def moment(self):
        """Return where the audit log stands."""
        return len(self.plane.asked(AGENT))


@asynccontextmanager
async def stage(folder):
    """Yield a stage without agents."""
    async with AsyncExitStack() as stack:
        plane = await stack.enter_async_context(running_control_plane(folder / "plane"))
        server = await stack.enter_async_context(asking(FixedCredentials(plane.access)))
        bus = await stack.enter_async_context(running_bus(folder))
        yield Stage(folder, plane, server, bus)


@dataclass
class Agent:
    """One real agent process."""

    pen: object
    pid: int

    def cpu(self):
        return cpu_s(self.pid)

    async def deliver(self, app, namespace, objects):
        """Release objects and return the seconds from the release to the agent's report that all is applied."""
        started = time.monotonic()
        await self.pen.release(app, objects, options={"namespace": namespace})
        wanted = self.pen.releases[app].generation
        async with asyncio.timeout(APPLY_S), self.pen.news:
            while not any(each.app == app and each.generation == wanted for each in self.pen.reports):
                await self.pen.news.wait()
        report = next(each for each in self.pen.reports if each.app == app and each.generation == wanted)
        assert report.result == "succeeded", report
        return time.monotonic() - started


@asynccontextmanager
async def agent(stage, *, port=0, way=("services.applier",)):
    """Yield an agent as users start it, that reaches the API server through `port` if one is given."""
    uid = (await stage.server.get("/api/v1/namespaces/kube-system"))["metadata"]["uid"]
    name = f"c-{secrets.token_hex(4)}"
    cluster = RealCluster(name, stage.access(port), uid)
    kubeconfig = stage.plane.kubeconfig_of(name, cluster.access)
    async with holding_pen(stage.bus, cluster, stage.folder) as pen:
        data = stage.folder / f"agent-{name}"
        namespace = f"towline-{name}"
        environment = {"DATA": data, "KUBECONFIG": kubeconfig, "NAMESPACE": namespace}
        told = {f"TOWLINE_AGENT_{key}": str(value) for key, value in environment.items()}
        with (stage.folder / f"{name}.log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", *way, env={**os.environ, **told}, cwd=PROJECT, stdout=log, stderr=log
            )
        try:
            await pen.until(lambda: pen.status)
            yield Agent(pen, process.pid)
        finally:
            process.terminate()
            await process.wait()


def write_manifests(file, objects):
    """Write objects as one file that kubectl takes."""
    file.write_text("\n---\n".join(json.dumps(each) for each in objects), "utf-8")
