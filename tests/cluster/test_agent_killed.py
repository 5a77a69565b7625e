"""An agent that is killed after each of its calls in turn, on a real Kubernetes."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from shared.subjects import REPORTS, Durable
from tests.support.agents import OPTIONS, QUICK_AGENT, Pen, config_map
from tests.support.clusters import cluster_of
from tests.support.lives import living

pytestmark = pytest.mark.cluster

LANES = 6
"""So many agents at one time, each with things of its own: most of their time they wait for the leases of the killed."""
PACE = replace(QUICK_AGENT, lease_s=2.0, renew_lease_s=0.4)


def bundle(place, number):
    """Return 40 objects of which each release changes 35, and has five others instead of the last ones'."""
    fixed = [config_map(f"m{index:02}", place, a=str(number)) for index in range(35)]
    return [*fixed, *(config_map(f"r{number % 2}-{index}", place) for index in range(5))]


class Lane:
    """One agent's cluster within the cluster, and what it left there."""

    def __init__(self, pen, cluster, server):
        self.pen, self.server = pen, server
        self.place = f"{cluster.name}-app"
        self.path = f"/api/v1/namespaces/{self.place}/configmaps"
        self.settings = pen.settings(cluster, namespace=f"towline-{cluster.name}", pace=PACE)
        self.number = 0

    async def released(self):
        self.number += 1
        options = {**OPTIONS, "namespace": self.place}
        await self.pen.release("web", bundle(self.place, self.number), options=options)

    async def lives_on(self):
        """Let an agent live until it has said how the release ended."""
        async with living(self.settings):
            await self.pen.reported(generation=self.number, settled=True)

    async def killed_at(self, call):
        """Kill an agent at a call, and return whether it got that far before the release was done."""
        await self.released()
        async with living(self.settings, calls=call) as life:
            ended = asyncio.ensure_future(life.ends())
            done = asyncio.ensure_future(self.pen.reported(generation=self.number, settled=True))
            await asyncio.wait({ended, done}, return_when=asyncio.FIRST_COMPLETED)
            done.cancel()
            ended.cancel()
        return life.killed

    async def found(self):
        """Return the app's objects: name → UID and content."""
        items = (await self.server.get(self.path))["items"]
        found = {each["metadata"]["name"]: (each["metadata"]["uid"], each["data"]) for each in items}
        del found["kube-root-ca.crt"]
        return found

    def deleted(self, plane):
        """Return what agents asked to delete of the app: name and UID that the deletion was bound to."""
        asked = [each for each in plane.asked("towline-applier/") if each["verb"] == "delete"]
        ours = [each for each in asked if each["objectRef"].get("namespace") == self.place]
        return [(each["objectRef"]["name"], each["requestObject"]["preconditions"]["uid"]) for each in ours]


@asynccontextmanager
async def lanes(bus_server, server, access, folder):
    """Yield lanes whose agents share a bus and a cluster."""
    clusters = [await cluster_of(server, access) for _ in range(LANES)]
    async with bus_server.bus("releaser") as releaser, bus_server.bus("auditor") as auditor:
        await releaser.wait_connected()
        pens = [Pen(releaser, each.name, folder, bus_server) for each in clusters]

        async def heard(delivery):
            for pen in pens:
                await pen._reported(delivery)

        for pen, cluster in zip(pens, clusters, strict=True):
            pen.enrol(cluster)
        async with asyncio.TaskGroup() as tasks:
            hearing = tasks.create_task(auditor.consume(Durable(REPORTS, "auditor"), heard))
            yield [Lane(pen, cluster, server) for pen, cluster in zip(pens, clusters, strict=True)]
            hearing.cancel()
        for cluster in clusters:
            for name in (f"towline-{cluster.name}", f"{cluster.name}-app"):
                await server.ask("DELETE", f"/api/v1/namespaces/{name}")


async def killed_at_each(lane, first):
    """Kill the lane's agents at each LANES-th call from `first` on, until one is done before; return how many were."""
    await lane.released()
    await lane.lives_on()
    stranger = await lane.server.make(lane.path, {"metadata": {"name": "stranger"}, "data": {"a": "theirs"}})
    call = first
    while await lane.killed_at(call):
        await lane.lives_on()
        wanted = {each["metadata"]["name"]: each["data"] for each in bundle(lane.place, lane.number)}
        found = await lane.found()
        assert found.pop("stranger") == (stranger["metadata"]["uid"], {"a": "theirs"})
        assert {name: data for name, (_, data) in found.items()} == wanted
        told = [each for each in lane.pen.reports if each.generation == lane.number]
        assert not [each.message for each in told if each.result != "succeeded"]
        call += LANES
    return (call - first) // LANES


async def test_a_kill_after_any_call_is_repaired_by_the_next_agent(
    bus_server, api_server, cluster_access, shared_control_plane, tmp_path
):
    """A02, M3: SIGKILL after every call of a bundle of 40 objects: the same end, one result, no wrong delete."""
    if shared_control_plane is None:
        pytest.skip("needs the audit log of our own control plane")
    async with lanes(bus_server, api_server, cluster_access, tmp_path) as found, asyncio.TaskGroup() as tasks:
        kills = [tasks.create_task(killed_at_each(lane, first)) for first, lane in enumerate(found, 1)]

    deleted = [each for lane in found for each in lane.deleted(shared_control_plane)]
    assert all(name.startswith("r") and uid for name, uid in deleted)
    assert sum(each.result() for each in kills) > 60
