"""What the agent does not do on a real Kubernetes: delete on half a picture, write without a reason, write twice."""

import signal
from dataclasses import replace

import pytest

from services.applier.kube.credentials import FixedCredentials
from services.applier.kube.mapper import AGGREGATED
from tests.support.agents import QUICK_AGENT, config_map, holding_pen, running
from tests.support.api_server import MERGE_PATCH, asking
from tests.support.clusters import cluster_of
from tests.support.line import until
from tests.support.lives import living

pytestmark = pytest.mark.cluster

AGENT = "towline-applier/"
SERVICES = "/apis/apiregistration.k8s.io/v1/apiservices"
GROUP = "gone.example.org"
NO_BACKEND = {
    "apiVersion": "apiregistration.k8s.io/v1",
    "kind": "APIService",
    "metadata": {"name": f"v1.{GROUP}"},
    "spec": {
        "group": GROUP,
        "version": "v1",
        "groupPriorityMinimum": 100,
        "versionPriority": 100,
        "insecureSkipTLSVerify": True,
        "service": {"name": "none", "namespace": "default"},
    },
}


@pytest.fixture
async def server(control_plane):
    async with asking(FixedCredentials(control_plane.access)) as server:
        yield server


@pytest.fixture
async def own_pen(bus_server, control_plane, server, tmp_path):
    """The pen for the test's own control plane, whose agents the test starts."""
    cluster = await cluster_of(server, control_plane.access)
    async with holding_pen(bus_server, cluster, tmp_path) as pen:
        pen.of = cluster
        yield pen


def map_path(name, place="web"):
    return f"/api/v1/namespaces/{place}/configmaps/{name}"


async def is_stale(server):
    """Tell whether discovery says of some group that its server is away."""
    body = (await server.ask("GET", "/apis", accept=AGGREGATED)).body
    versions = [version for group in body["items"] for version in group["versions"]]
    return any(each.get("freshness") == "Stale" for each in versions)


async def test_nothing_is_deleted_while_an_aggregated_api_is_away(own_pen, server):
    """A07, F2: discovery is partial; what left goes once it is whole again."""
    async with running(own_pen.settings(own_pen.of)):
        await own_pen.release("web", [config_map("one"), config_map("two")])
        await own_pen.reported(generation=1, settled=True)
    await server.make(SERVICES, NO_BACKEND)
    await until(lambda: is_stale(server), what="discovery calls the group stale")
    async with running(own_pen.settings(own_pen.of)):
        await own_pen.release("web", [config_map("one", a="2")])
        report = await own_pen.reported(generation=2)
        there = await server.get(map_path("two"))
        await server.ask("DELETE", f"{SERVICES}/v1.{GROUP}")

        async def is_whole():
            return not await is_stale(server)

        await until(is_whole, what="discovery is whole")
        await own_pen.instruct("sync")
        await own_pen.reported(generation=2, settled=True)

    assert (report.result, report.reason, report.counts.pruned) == ("partial", "PruneSuppressed", 0)
    assert there is not None
    assert await server.get(map_path("two")) is None


BAD = {
    "a kind that is not served": {"apiVersion": "nobody.example.org/v1", "kind": "Nothing", "metadata": {"name": "n"}},
    "an object that is refused": {**config_map("bad"), "data": {"a b": "1"}},
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
async def test_nothing_is_deleted_when_something_could_not_be_applied(real_agent, api_server, bad):
    """A07, F2, E7: the others are applied; what left goes with the first release that is applied whole."""
    place = api_server.namespace
    bad = {**bad, "metadata": {**bad["metadata"], "namespace": place}}
    await real_agent.release("web", [config_map("one", place), config_map("two", place)])
    await real_agent.reported(generation=1, settled=True)
    await real_agent.release("web", [config_map("one", place, a="2"), bad])
    report = await real_agent.reported(generation=2)
    one, two = [await api_server.get(api_server.path(name)) for name in ("one", "two")]
    await real_agent.release("web", [config_map("one", place, a="3")])
    await real_agent.reported(generation=3, settled=True)

    assert (report.result, len(report.failures), report.counts.pruned) == ("partial", 1, 0)
    assert (one["data"], two["data"]) == ({"a": "2"}, {"a": "1"})
    assert await api_server.get(api_server.path("two")) is None


def writes(plane, *, user=None):
    """Return what agents wrote, but for their leases, as (verb, name)."""
    asked = [each for each in plane.asked(AGENT) if each["verb"] not in {"get", "list", "watch"}]
    found = [each for each in asked if each["objectRef"]["resource"] != "leases"]
    return [
        (each["verb"], each["objectRef"].get("name"))
        for each in found
        if user is None or each["user"]["username"] == user
    ]


async def test_only_a_change_is_answered_with_a_write_and_a_fight_is_given_up(own_pen, server, control_plane):
    """A28, I9: a look at everything writes nothing, a change is put back once, and who insists is left alone."""

    async def edit():
        theirs = {"data": {"a": "theirs"}}
        await server.ask("PATCH", map_path("one"), theirs, content_type=MERGE_PATCH, fieldManager="stubborn")

    async def is_back():
        return (await server.get(map_path("one")))["data"] == {"a": "1"}

    async with running(own_pen.settings(own_pen.of)):
        await own_pen.release("web", [config_map("one"), config_map("two")])
        await own_pen.reported(generation=1, settled=True)
        before = writes(control_plane)
        await own_pen.instruct("sync")
        await own_pen.reported(trigger="sync")
        idle = writes(control_plane)
        for _ in range(3):
            await edit()
            await until(is_back, what="it is put back")
        await own_pen.stands("web", reason="Contested")
        await edit()
        await server.ask("DELETE", map_path("two"))
        await until(lambda: server.get(map_path("two")), what="another change is put back")

    assert idle == before
    assert [each for each in writes(control_plane)[len(before) :] if each[1] == "one"] == [("patch", "one")] * 3
    assert (await server.get(map_path("one")))["data"] == {"a": "theirs"}


async def test_an_agent_that_slept_past_its_lease_writes_nothing(own_pen, control_plane, tmp_path):
    """A29, M4: SIGSTOP, another agent takes over and delivers, SIGCONT: not one write of the first."""
    pace = replace(QUICK_AGENT, lease_s=2.0, renew_lease_s=0.5)

    def agent(user):
        access = control_plane.user(user, "system:masters")
        return living(own_pen.settings(own_pen.of, access=access, pace=pace), log=tmp_path / f"{user}.log")

    async with agent("first") as first:
        await own_pen.release("web", [config_map("one"), config_map("two")])
        await own_pen.reported(generation=1, settled=True)
        before = writes(control_plane, user="first")
        first.signal(signal.SIGSTOP)
        try:
            async with agent("second"):
                await own_pen.release("web", [config_map("one", a="2")])
                await own_pen.reported(generation=2, settled=True)
                first.signal(signal.SIGCONT)
                await until(lambda: "standby_started" in (tmp_path / "first.log").read_text(), what="it stands by")
                after = writes(control_plane, user="first")
        finally:
            first.signal(signal.SIGCONT)

    assert ("delete", "two") in writes(control_plane, user="second")
    assert after == before
