"""What failed for good is tried again when something changes that was in its way, whoever owns that (E6)."""

import asyncio

from services.applier.alarms import Alarms
from services.applier.kube.mapper import Mapper
from services.applier.obstacles import Obstacle
from tests.support.agents import OPTIONS, WAIT_S, config_map

RARELY = {**OPTIONS, "retry": {"first": "10m", "max": "10m"}}
ROLES = "rbac.authorization.k8s.io"


def role(name="grant"):
    return {
        "apiVersion": f"{ROLES}/v1",
        "kind": "Role",
        "metadata": {"name": name, "namespace": "web"},
        "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"]}],
    }


async def watching(sim, plural):
    """Wait until somebody watches a kind in one namespace."""
    async with asyncio.timeout(WAIT_S):
        while not any("watch" in each.query and f"/{plural}" in each.path for each in list(sim.requests)):  # noqa: ASYNC110 - the simulation tells nobody
            await asyncio.sleep(0.01)


async def test_a_right_that_somebody_grants_has_the_app_tried_again(agent, sim):
    """E6: long before its time."""
    allow = sim.faults.forbid(lambda request: request.method == "PATCH" and request.path.endswith("/configmaps/two"))
    await agent.release("web", [config_map("one"), config_map("two")], options=RARELY)
    refused = await agent.reported(generation=1, result="partial")
    await watching(sim, "namespaces/web/roles")
    allow()
    sim.store.create(role())
    report = await agent.reported(generation=1, result="succeeded")

    assert [each.code for each in refused.failures] == ["Forbidden"]
    assert report.counts.failed == 0


async def test_a_strangers_object_that_goes_makes_room(agent, sim):
    """E6: who is in conflict is looked out for, by name."""
    sim.store.create({**config_map("two"), "metadata": {"name": "two", "namespace": "default"}})
    options = {**RARELY, "adopt": "never", "namespace": "default"}
    await agent.release("web", [config_map("one", "default"), config_map("two", "default")], options=options)
    await agent.reported(generation=1, result="partial")
    await watching(sim, "namespaces/default/configmaps")
    sim.store.delete("v1", "ConfigMap", "default", "two")

    assert (await agent.reported(generation=1, result="succeeded")).counts.created >= 1


async def test_the_watch_ends_with_the_failure(sim_server, sim):
    """E6: one watch for whoever needs it, from now on, and none for nobody."""
    rung, bell, mapper = [], asyncio.Event(), Mapper(sim_server.session)
    await mapper.refresh()
    obstacle = frozenset({Obstacle(ROLES, "Role", "web")})

    def ring(app):
        rung.append(app)
        bell.set()

    sim.store.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "web"}})
    sim.store.create(role("before"))
    alarms = Alarms(sim_server.session, mapper)
    async with asyncio.TaskGroup() as tasks:
        alarms.start(tasks)
        for app in ("one", "two"):
            alarms.look_out(app, obstacle, lambda app=app: ring(app))
        (task,) = alarms.tasks()
        await watching(sim, "namespaces/web/roles")
        alarms.look_out("two", frozenset(), lambda: ring("two"))
        sim.store.create(role())
        async with asyncio.timeout(WAIT_S):
            await bell.wait()
        alarms.look_out("one", frozenset(), lambda: ring("one"))

    assert rung == ["one"]
    assert task.cancelled()
    assert not alarms.watched


async def test_what_may_be_read_and_not_watched_rings_no_bell(sim_server, sim):
    """E6: a watch that is forbidden ends; it is no change that has the app tried again every few seconds."""
    rung, mapper = [], Mapper(sim_server.session)
    await mapper.refresh()
    sim.store.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "web"}})
    sim.faults.forbid(lambda request: "watch" in request.query)
    alarms = Alarms(sim_server.session, mapper)
    async with asyncio.timeout(WAIT_S), asyncio.TaskGroup() as tasks:
        alarms.start(tasks)
        alarms.look_out("one", frozenset({Obstacle(ROLES, "Role", "web")}), lambda: rung.append("one"))

    assert rung == []
