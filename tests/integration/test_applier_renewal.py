"""A person has the agent make one object anew, on a real bus and a simulated cluster."""

import pytest

from tests.support.agents import config_map


def uids(sim):
    return {each["metadata"]["name"]: each["metadata"]["uid"] for each in sim.store.objects()}


async def test_one_object_is_made_anew_and_nothing_else_and_once_for_each_asking(agent, sim):
    """Q3: force-recreate; asked twice with one id it is done once."""
    await agent.release("web", [config_map("one"), config_map("two")])
    await agent.reported(generation=1)
    before = uids(sim)
    asked = await agent.instruct("recreate", app="web", key="/ConfigMap:web/one")
    answer = await agent.answered(asked)
    report = await agent.reported(trigger="sync")
    after = uids(sim)
    await agent.instruct("recreate", number=asked, app="web", key="/ConfigMap:web/one")
    await agent.instruct("sync", app="web")
    await agent.until(lambda: len([each for each in agent.reports if each.trigger == "sync"]) > 1)

    assert (answer.ok, report.counts.recreated, report.result) == (True, 1, "succeeded")
    assert {name for name in after if after[name] != before.get(name)} == {"one"}
    assert uids(sim)["one"] == after["one"]


@pytest.mark.parametrize(
    ("key", "code"),
    [("/ConfigMap:web/three", "instruction.no-object"), ("/Namespace:/more", "instruction.protected")],
)
async def test_what_is_not_ours_or_holds_more_than_itself_is_not_made_anew(agent, sim, key, code):
    """Q3."""
    place = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "more"}}
    await agent.release("web", [config_map("one"), place])
    await agent.reported(generation=1)
    sim.store.create(config_map("three"))
    before = uids(sim)
    answer = await agent.answered(await agent.instruct("recreate", app="web", key=key))

    assert not answer.ok
    assert uids(sim) == before


async def test_a_suspended_app_is_left_alone(agent, sim):
    """Q1, Q3."""
    await agent.release("web", [config_map("one")])
    await agent.reported(generation=1)
    await agent.release("web", [config_map("one")], suspend={"reason": "incident 42", "by": "ada", "until": ""})
    await agent.stands("web", sync="Suspended")
    before = uids(sim)
    answer = await agent.answered(await agent.instruct("recreate", app="web", key="/ConfigMap:web/one"))

    assert not answer.ok
    assert uids(sim) == before
