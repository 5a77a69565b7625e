"""The agent through the faults of a real API server and its etcd."""

import pytest

from services.applier.kube.credentials import FixedCredentials
from tests.support.agents import config_map
from tests.support.api_server import MERGE_PATCH, asking

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
