"""The agent through the faults of a real API server and its etcd."""

from dataclasses import replace

import pytest

from services.applier import inventory, steps
from services.applier.kube import session as sessions
from services.applier.kube.credentials import FixedCredentials
from tests.support.agents import config_map, holding_pen, running
from tests.support.api_server import MERGE_PATCH, asking
from tests.support.clusters import cluster_of
from tests.support.wire import wire_to

pytestmark = pytest.mark.cluster

ONE = "/api/v1/namespaces/web/configmaps/one"


@pytest.fixture
async def server(control_plane):
    async with asking(FixedCredentials(control_plane.access)) as server:
        yield server


async def test_it_heals_again_once_a_killed_api_server_is_back(own_agent, server, control_plane):
    """N1, E13: the server is gone, comes back a part at a time, and all watches are taken up anew."""
    await own_agent.release("web", [config_map("one")])
    await own_agent.reported(settled=True)
    await control_plane.restart()
    await server.ask("PATCH", ONE, {"data": {"a": "theirs"}}, content_type=MERGE_PATCH)
    await own_agent.reported(trigger="drift")

    assert (await server.get(ONE))["data"] == {"a": "1"}


async def test_a_release_is_applied_once_a_stopped_api_server_goes_on(own_agent, server, control_plane):
    """N1: a server that holds connections open and answers nothing delays, and fails nothing."""
    await own_agent.release("web", [config_map("one")])
    await own_agent.reported(settled=True)
    control_plane.pause()
    await own_agent.release("web", [config_map("one", a="2")])
    control_plane.resume()
    report = await own_agent.reported(generation=2)

    assert (report.result, report.counts.failed) == ("succeeded", 0)
    assert (await server.get(ONE))["data"] == {"a": "2"}


async def test_an_etcd_restored_from_an_older_copy_is_brought_back_to_the_present(own_agent, server, control_plane):
    """N5: versions go back; nothing that was remembered is believed, and nothing is deleted for it."""
    await own_agent.release("web", [config_map("one"), config_map("two")])
    await own_agent.reported(generation=1, settled=True)
    copy = control_plane.copy_etcd()
    await own_agent.release("web", [config_map("one", a="2"), config_map("two"), config_map("three")])
    await own_agent.reported(generation=2, settled=True)
    await control_plane.restore_etcd(copy)
    await own_agent.release("web", [config_map("one", a="3"), config_map("two"), config_map("three")])
    report = await own_agent.reported(generation=3, settled=True)
    live = [await server.get(f"/api/v1/namespaces/web/configmaps/{name}") for name in ("one", "two", "three")]

    assert (report.result, report.counts.pruned) == ("succeeded", 0)
    assert [each["data"]["a"] for each in live] == ["3", "1", "1"]


@pytest.fixture
async def wire(control_plane):
    async with wire_to(control_plane.port) as wire:
        yield wire


@pytest.fixture
def impatient(monkeypatch):
    """Agents give up early on what does not answer."""
    monkeypatch.setattr(sessions, "IDLE_WATCH_S", 2.0)
    for module in (inventory, sessions, steps):
        monkeypatch.setattr(module, "WRITE_TIMEOUT_S", 2.0)
    early = tuple(2.0 if each == sessions.READ_TIMEOUT_S else each for each in sessions.Request.__init__.__defaults__)
    monkeypatch.setattr(sessions.Request.__init__, "__defaults__", early)


@pytest.fixture
async def wired_agent(bus_server, control_plane, server, wire, tmp_path):
    """The pen of an agent that reaches its API server over a wire."""
    cluster = await cluster_of(server, replace(control_plane.access, server=f"https://127.0.0.1:{wire.port}"))
    async with holding_pen(bus_server, cluster, tmp_path) as pen, running(pen.settings(cluster)):
        yield pen


@pytest.mark.usefixtures("impatient")
async def test_connections_that_died_without_a_word_are_replaced(wired_agent, server, wire):
    """N4, I2: half-open ones, of watches and of requests: what changes meanwhile is seen, and a release arrives."""
    await wired_agent.release("web", [config_map("one"), config_map("two")])
    await wired_agent.reported(settled=True)
    wire.go_dead()
    await server.ask("PATCH", ONE, {"data": {"a": "theirs"}}, content_type=MERGE_PATCH)
    await wired_agent.reported(trigger="drift")
    wire.go_dead()
    await wired_agent.release("web", [config_map("one", a="2")])
    report = await wired_agent.reported(generation=2, settled=True)

    assert (report.result, report.counts.failed, report.counts.pruned) == ("succeeded", 0, 1)
    assert (await server.get(ONE))["data"] == {"a": "2"}


async def test_answers_that_end_in_the_middle_and_come_slowly_fail_nothing(wired_agent, server, wire):
    """N7, A27: what was done is found done when it is asked for again; nobody else's object goes."""
    await wired_agent.release("web", [config_map(f"m{number}") for number in range(20)])
    await wired_agent.reported(settled=True)
    await server.make("/api/v1/namespaces/web/configmaps", config_map("stranger"))
    wire.delay_s, wire.cuts = 0.02, 12
    await wired_agent.release("web", [config_map(f"m{number}", a="2") for number in range(15)])
    report = await wired_agent.reported(generation=2, settled=True)
    live = (await server.get("/api/v1/namespaces/web/configmaps"))["items"]

    assert (report.result, report.counts.failed, wire.cuts) == ("succeeded", 0, 0)
    assert {each["metadata"]["name"] for each in live} == {
        "kube-root-ca.crt",
        "stranger",
        *(f"m{n}" for n in range(15)),
    }
    assert {each["data"]["a"] for each in live if each["metadata"]["name"].startswith("m")} == {"2"}
