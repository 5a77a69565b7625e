"""Apps of one cluster that depend on each other, kept by a running agent."""

from tests.integration.test_applier_course import data_of
from tests.support.agents import OPTIONS, config_map, eventually, running
from tests.support.definitions import definition_of

WIDGET = {
    "apiVersion": "acme.io/v1",
    "kind": "Widget",
    "metadata": {"name": "w", "namespace": "web"},
    "spec": {"size": 1},
}
CHECK = {"group": "acme.io", "kind": "Widget", "failed": "status.phase == 'Down'", "current": "status.phase == 'Up'"}
WELL = {**OPTIONS, "healthChecks": [CHECK]}
AFTER = {**OPTIONS, "dependsOn": ["db"]}


def says(sim, phase):
    sim.store.set_status(WIDGET, {"phase": phase})


async def left_alone(agent, sim):
    """Let web run, with what it depends on at first doing well and then failing."""
    sim.store.apply(definition_of("Widget", "acme.io", status=True))
    await agent.release("db", [WIDGET], options=WELL, publish=False)
    await agent.release("web", [config_map("one")], options=AFTER)
    await agent.stands("db", sync="Synced")
    says(sim, "Up")
    await agent.reported("web", result="succeeded")
    says(sim, "Down")
    await agent.stands("db", health="Failed")


async def test_an_app_is_applied_when_what_it_depends_on_does_well(agent, sim):
    """C10: it says what it waits for, apps without relation go on, and its turn comes by itself."""
    sim.store.apply(definition_of("Widget", "acme.io", status=True))
    await agent.release("db", [WIDGET], options=WELL, publish=False)
    await agent.release("web", [config_map("one")], options=AFTER, publish=False)
    await agent.release("other", [config_map("two")])
    await agent.reported("other", result="succeeded")
    await agent.stands("web", sync="Applying", reason="Waiting", message="waiting for db: InProgress")

    assert data_of(sim, "one") is None

    says(sim, "Down")
    await agent.stands("web", message="waiting for db: Failed")
    says(sim, "Up")
    await agent.reported("web", result="succeeded")
    await agent.stands("web", sync="Synced", reason="")


async def test_while_an_app_waits_what_ran_before_is_healed(agent, sim):
    """C10: a dependency that fails leaves it as it was, and its newest release comes when that is over."""
    await left_alone(agent, sim)
    await agent.release("web", [config_map("one", a="2"), config_map("new")], options=AFTER)
    await agent.stands("web", reason="Waiting", message="waiting for db: Failed", generation=2)
    sim.store.patch(config_map("one"), {"data": {"a": "9"}})
    await eventually(lambda: data_of(sim, "one") == {"a": "1"})
    await agent.stands("web", sync="Applying", reason="Waiting", message="waiting for db: Failed", generation=2)

    assert data_of(sim, "new") is None

    says(sim, "Up")
    await agent.reported("web", generation=2, result="succeeded")

    assert data_of(sim, "one") == {"a": "2"}


async def test_after_a_restart_an_app_that_waits_is_healed_by_what_it_runs(pen, sim):
    """C10, M3: the document that allowed it is kept, and believed by its signature."""
    async with running(pen.settings(sim)):
        await left_alone(pen, sim)
        await pen.release("web", [config_map("one", a="2")], options=AFTER)
        await pen.stands("web", reason="Waiting", generation=2)
        await pen.release("other", [config_map("two")])
        await pen.reported("other", result="succeeded")
    sim.store.patch(config_map("one"), {"data": {"a": "while nobody looked"}})
    async with running(pen.settings(sim)):
        await eventually(lambda: data_of(sim, "one") == {"a": "1"})
        sim.store.patch(config_map("one"), {"data": {"a": "9"}})
        await eventually(lambda: data_of(sim, "one") == {"a": "1"})
        says(sim, "Up")
        await pen.reported("web", generation=2, result="succeeded")

    assert data_of(sim, "one") == {"a": "2"}


async def test_what_others_depend_on_is_removed_after_them(agent, sim):
    """C10: the opposite way out."""
    guarded = config_map("one")
    guarded["metadata"]["finalizers"] = ["acme.io/guard"]
    await agent.release("db", [config_map("two")], publish=False)
    await agent.release("web", [guarded], options=AFTER)
    await agent.reported("web", result="succeeded")
    await agent.release("db", removed=True, publish=False)
    await agent.release("web", removed=True, options=AFTER)
    await agent.stands("db", reason="Waiting", message="waiting for web: goes first")
    await eventually(lambda: "deletionTimestamp" in sim.store.get("v1", "ConfigMap", "web", "one")["metadata"])

    assert data_of(sim, "two")

    sim.store.patch(guarded, {"metadata": {"finalizers": None}})
    await agent.reported("db", generation=2, settled=True)

    assert (data_of(sim, "one"), data_of(sim, "two")) == (None, None)


async def test_apps_that_depend_on_each_other_are_refused_by_name(agent, sim):
    """C10: nobody hangs; it is over when one of them depends on the other no more."""
    await agent.release("db", [config_map("two")], options={**OPTIONS, "dependsOn": ["web"]}, publish=False)
    await agent.release("web", [config_map("one")], options=AFTER)
    refused = await agent.reported("db", result="refused")

    assert (refused.reason, refused.message) == (
        "dependency.cycle",
        "apps depend on each other: db -> web -> db (take one `dependsOn` away)",
    )

    await agent.release("db", [config_map("two")])
    await agent.reported("web", generation=1, result="succeeded")

    assert data_of(sim, "two")


async def test_asking_what_would_change_gives_nothing_away(agent, sim):
    """C10, R2: an app that waits keeps what it has, whoever asks meanwhile how its next release differs."""
    await left_alone(agent, sim)
    await agent.release("web", [config_map("two")], options=AFTER)
    await agent.stands("web", reason="Waiting", generation=2)

    assert (await agent.answered(await agent.instruct("diff", app="web"))).ok

    await agent.release("other", [config_map("one", a="theirs")])
    report = await agent.reported("other")

    assert "it is owned by app 'web'" in report.message
    assert data_of(sim, "one") == {"a": "1"}
