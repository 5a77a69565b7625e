"""Health on the running agent: what users write about it, and what is gone because it is done."""

import pytest

from tests.support.agents import OPTIONS, config_map, running
from tests.support.definitions import definition_of

DEFINITION = definition_of("Widget", "acme.io", status=True)
WIDGET = {
    "apiVersion": "acme.io/v1",
    "kind": "Widget",
    "metadata": {"name": "w", "namespace": "web"},
    "spec": {"size": 1},
}
JOB = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {"name": "once", "namespace": "web"},
    "spec": {
        "ttlSecondsAfterFinished": 60,
        "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "a:1"}]}},
    },
}


def checks(**questions):
    return {**OPTIONS, "healthChecks": [{"group": "acme.io", "kind": "Widget", **questions}]}


async def test_what_users_say_about_health_decides_rule_j6(agent, sim):
    """J6: in order, changed with a release, and an expression that has no answer is told."""
    sim.store.apply(DEFINITION)
    await agent.release("web", [WIDGET], options=checks(failed="status.worn", current="status.phase == 'Up'"))
    await agent.stands("web", sync="Synced", health="InProgress")
    sim.store.set_status(WIDGET, {"phase": "Up", "worn": False})
    await agent.stands("web", sync="Synced", health="Current")

    sim.store.set_status(WIDGET, {"phase": "Up", "worn": True})
    await agent.stands("web", health="Failed")

    sim.store.set_status(WIDGET, {"phase": "Up"})
    await agent.stands(
        "web",
        health="Unknown",
        reason="ExpressionFailed",
        message="acme.io/Widget:web/w: failed: no such key: 'worn' (column 8)",
    )

    await agent.release("web", [WIDGET], options=checks(current="status.phase == 'Up'"))
    await agent.stands("web", sync="Synced", health="Current", generation=2)


async def test_health_is_heard_from_watches_rule_j2(agent, sim):
    """J2: nothing is read to know how an object does."""
    sim.store.apply(DEFINITION)
    await agent.release("web", [WIDGET], options=checks(failed="status.worn", current="has(status.phase)"))
    await agent.stands("web", sync="Synced", health="InProgress")
    before = reads(sim)
    sim.store.set_status(WIDGET, {"phase": "Up", "worn": False})
    await agent.stands("web", health="Current")
    sim.store.set_status(WIDGET, {"phase": "Up", "worn": True})
    await agent.stands("web", health="Failed")

    assert reads(sim) == before


def reads(sim):
    return len([each for each in sim.requests if each.method == "GET" and "/widgets" in each.path])


async def corrected(pen, sim):
    """Have the agent look at everything: it undoes what somebody did to another object."""
    sim.store.patch(config_map("one"), {"data": {"a": "9"}})
    await pen.instruct("sync")
    await pen.until(lambda: sim.store.get("v1", "ConfigMap", "web", "one")["data"] == {"a": "1"})


@pytest.mark.parametrize("restart", [False, True], ids=["running", "restarted"])
async def test_a_job_that_is_done_and_gone_is_not_made_anew_rule_j7(pen, sim, restart):
    """J7: neither missing nor drift, for an agent that was started since, too."""
    async with running(pen.settings(sim)):
        await pen.release("web", [JOB, config_map("one")])
        await pen.stands("web", sync="Synced", health="Current")
        await corrected(pen, sim)
        if not restart:
            await gone_and_well(pen, sim)
    if restart:
        sim.store.delete("batch/v1", "Job", "web", "once")
        async with running(pen.settings(sim)):
            await gone_and_well(pen, sim)


async def gone_and_well(pen, sim):
    if sim.store.get("batch/v1", "Job", "web", "once"):
        sim.store.delete("batch/v1", "Job", "web", "once")
    await corrected(pen, sim)
    await pen.stands("web", sync="Synced", health="Current")

    assert sim.store.get("batch/v1", "Job", "web", "once") is None
    assert len([each for each in sim.requests if each.method == "PATCH" and each.path.endswith("/jobs/once")]) == 1
