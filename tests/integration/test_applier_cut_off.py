"""What an agent that was cut off leaves half done is finished by the next one, as if nothing had happened."""

from tests.support.agents import OPTIONS, config_map, eventually, killed_agent, running

HOLD = "example.org/hold"


def asked(sim, name):
    return [each for each in sim.requests if each.path.endswith(f"/configmaps/{name}")]


def job(image):
    spec = {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": image}]}}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j", "namespace": "web"}, "spec": spec}


async def leaving(pen, sim):
    """Bring the cluster to where an object that left is being deleted by an agent that was killed meanwhile."""
    async with running(pen.settings(sim)):
        await pen.release("web", [config_map("one"), config_map("two")])
        await pen.reported(generation=1, settled=True)
    sim.store.patch(config_map("two"), {"metadata": {"finalizers": [HOLD]}})
    await pen.release("web", [config_map("one", a="2")])
    async with killed_agent(pen.settings(sim)):
        await eventually(lambda: sim.store.get("v1", "ConfigMap", "web", "two")["metadata"].get("deletionTimestamp"))


async def test_a_deletion_that_outlives_its_agent_is_waited_for_by_the_next(pen, sim):
    """M3, F7: it is on its way, not failed; it is not asked for twice."""
    await leaving(pen, sim)
    before = len(asked(sim, "two"))
    async with running(pen.settings(sim)):
        await eventually(
            lambda: len(asked(sim, "two")) > before + 2 or any(each.generation == 2 for each in pen.reports)
        )
        sim.store.let_go(config_map("two"), HOLD)
        report = await pen.reported(generation=2, settled=True)

    assert (report.counts.pruned, report.failures) == (1, ())
    assert [each.result for each in pen.reports if each.generation == 2] == ["succeeded"]
    assert len([each for each in asked(sim, "two") if each.method == "DELETE"]) == 1


async def test_an_object_that_was_being_made_anew_is_made_anew_by_the_next(pen, sim):
    """H3, M3: cut off between the deletion and the creation."""
    options = {**OPTIONS, "onImmutable": "recreate"}
    async with running(pen.settings(sim)):
        await pen.release("web", [job("a:1")])
        await pen.reported(generation=1, settled=True)
    sim.store.patch(job("a:1"), {"metadata": {"finalizers": [HOLD]}})
    await pen.release("web", [job("a:2")], options=options)
    async with killed_agent(pen.settings(sim)):
        await eventually(lambda: sim.store.get("batch/v1", "Job", "web", "j")["metadata"].get("deletionTimestamp"))
    async with running(pen.settings(sim)):
        await eventually(lambda: pen.status and pen.status.apps["web"].sync == "Applying")
        sim.store.let_go(job("a:1"), HOLD)
        await pen.reported(generation=2, settled=True)

    pods = sim.store.get("batch/v1", "Job", "web", "j")["spec"]["template"]["spec"]
    assert pods["containers"][0]["image"] == "a:2"
    assert [each.result for each in pen.reports if each.generation == 2] == ["succeeded"]
    assert sum(each.method == "DELETE" for each in sim.requests) == 1
