"""Fields that change hands and not their values are set right, and nobody is bothered with it."""

import pytest

from tests.support.agents import OPTIONS, config_map, eventually


def owned(sim, name):
    found = sim.store.get("v1", "ConfigMap", "web", name)["metadata"]["managedFields"]
    return next(each["fieldsV1"].get("f:data") for each in found if each["manager"] == "towline")


def take(sim, name, value):
    """Have another manager own a field of ours, with this value in the end."""
    for each in ("9", value):
        sim.store.patch(config_map(name), {"data": {"a": each}}, manager="operator")


async def test_a_lost_field_of_equal_value_is_taken_back_silently(agent, sim):
    """I4: it is counted in the report of what drifted beside it, and in none of its own."""
    await agent.release("web", [config_map("one"), config_map("two")])
    await agent.reported(generation=1, settled=True)
    take(sim, "one", "1")
    take(sim, "two", "9")
    report = await agent.reported(trigger="drift")

    assert owned(sim, "one") == owned(sim, "two") == {"f:a": {}}
    assert report.drift == ('/ConfigMap:web/two .data.a: "1" -> "9" (by operator)',)
    assert (report.counts.patched, report.counts.reowned) == (1, 1)


async def test_a_lost_field_of_equal_value_alone_is_no_news(agent, sim):
    """I4: one report is made, of what is changed afterwards."""
    await agent.release("web", [config_map("one"), config_map("two")])
    await agent.reported(generation=1, settled=True)
    take(sim, "one", "1")
    await eventually(lambda: owned(sim, "one") == {"f:a": {}})
    take(sim, "two", "9")
    report = await agent.reported(trigger="drift")

    assert [each.drift for each in agent.reports if each.trigger == "drift"] == [report.drift]
    assert report.counts.reowned == 0


@pytest.mark.parametrize("writer", ["operator", "kubectl-edit"])
async def test_where_drift_is_only_reported_equal_values_are_none(agent, sim, writer):
    """I4: nothing is written for them either, and the app is as it should be."""
    await agent.release("web", [config_map("one")], options={**OPTIONS, "drift": "report"})
    await agent.reported(generation=1, settled=True)
    for value in ("9", "1"):
        sim.store.patch(config_map("one"), {"data": {"a": value}}, manager=writer)
    number = await agent.instruct("sync", app="web")
    await agent.answered(number)
    report = await agent.reported(trigger="sync")

    assert (report.sync, report.drift, report.counts.patched) == ("Synced", (), 0)
    assert owned(sim, "one") is None
