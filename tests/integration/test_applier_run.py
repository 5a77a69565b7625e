"""The agent on a real bus and a simulated cluster: apply, update, prune, remove, refuse."""

from tests.support.agents import config_map


async def test_a_release_is_applied_and_reported(agent, sim):
    await agent.release("web", [config_map("one"), config_map("two")])
    report = await agent.reported(result="succeeded")

    assert sim.store.get("v1", "ConfigMap", "web", "one")["data"] == {"a": "1"}
    assert report.counts.created == 3
    assert report.settled
