"""What the agent leaves to others although it owns it, or owned it."""

from tests.support.agents import OPTIONS, config_map
from tests.support.definitions import definition_of

SPEC = {
    "replicas": 2,
    "selector": {"matchLabels": {"app": "d"}},
    "template": {
        "metadata": {"labels": {"app": "d"}},
        "spec": {"containers": [{"name": "c", "image": "example.org/app:1"}]},
    },
}


def deployment(image="example.org/app:1", replicas=2):
    template = {**SPEC["template"], "spec": {"containers": [{"name": "c", "image": image}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d", "namespace": "web"},
        "spec": {**SPEC, "replicas": replicas, "template": template},
    }


def spec_of(sim):
    spec = sim.store.get("apps/v1", "Deployment", "web", "d")["spec"]
    return spec["replicas"], spec["template"]["spec"]["containers"][0]["image"]


async def test_what_an_autoscaler_set_stays_whatever_the_next_release_says(agent, sim):
    """G4: replicas that an autoscaler holds are neither healed nor released over."""
    await agent.release("web", [deployment()])
    await agent.reported(generation=1, result="succeeded")
    sim.store.scale(deployment(), 7)
    await agent.release("web", [deployment("example.org/app:2")])
    await agent.reported(generation=2, result="succeeded")

    assert spec_of(sim) == (7, "example.org/app:2")


async def test_what_a_person_scaled_is_put_back(agent, sim):
    """G4: a person is no autoscaler, though both write through the same subresource."""
    await agent.release("web", [deployment()])
    await agent.reported(generation=1, result="succeeded")
    sim.store.scale(deployment(), 7, manager="kubectl")
    report = await agent.reported(trigger="drift")

    assert spec_of(sim)[0] == 2
    assert ".spec.replicas: 2 -> 7 (by kubectl)" in report.drift[0]


async def test_an_ignored_field_that_nobody_owns_keeps_its_live_value(agent, sim):
    """I8: leaving it out would delete it, sending ours would change it."""
    ignore = [{"target": {"kind": "Deployment"}, "paths": ["/spec/replicas"]}]
    await agent.release("web", [deployment()], options={**OPTIONS, "ignore": ignore})
    await agent.reported(generation=1, result="succeeded")
    await agent.release("web", [deployment("example.org/app:2", replicas=5)], options={**OPTIONS, "ignore": ignore})
    await agent.reported(generation=2, result="succeeded")

    assert spec_of(sim) == (2, "example.org/app:2")


NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
CRD = definition_of("Gate", "example.org", {"type": "object"})
GATE = {"apiVersion": "example.org/v1", "kind": "Gate", "metadata": {"name": "g", "namespace": "web"}}


async def left(agent, staying, goes, options):
    """Release `staying` without `goes`, approved by a person; return the last report."""
    await agent.release("web", [*staying, *goes], options=options)
    await agent.reported(generation=1, result="succeeded")
    await agent.release("web", staying, options=options)
    held = await agent.reported(generation=2)
    await agent.release("web", staying, options=options, approval=held.hold.approval)
    return await agent.reported(generation=3)


async def test_a_namespace_in_which_others_live_is_given_up_and_not_deleted(agent, sim):
    """F8: what people made in there by hand would go along."""
    inside = config_map("inside", namespace="shop")
    await agent.release("web", [config_map("one"), NAMESPACE, inside])
    await agent.reported(generation=1, result="succeeded")
    sim.store.create(config_map("stranger", namespace="shop"))
    await agent.release("web", [config_map("one")])
    held = await agent.reported(generation=2)
    await agent.release("web", [config_map("one")], approval=held.hold.approval)
    report = await agent.reported(generation=3)

    assert sim.store.get("v1", "ConfigMap", "shop", "stranger") is not None
    assert sim.store.get("v1", "ConfigMap", "shop", "inside") is None
    assert "towline.dev/agent" not in sim.store.get("v1", "Namespace", "", "shop")["metadata"]["labels"]
    assert any("still holds 1 ConfigMap" in warning for warning in report.warnings)
    assert report.settled


async def test_an_empty_namespace_goes_with_its_app(agent, sim):
    """F8."""
    report = await left(agent, [config_map("one")], [NAMESPACE, config_map("inside", namespace="shop")], OPTIONS)
    await agent.until(lambda: sim.store.get("v1", "Namespace", "", "shop") is None)

    assert report.settled


async def test_a_definition_of_which_others_have_objects_is_given_up(agent, sim):
    """F9."""
    options = {**OPTIONS, "pruneCRDs": True}
    await agent.release("web", [config_map("one"), CRD], options=options)
    await agent.reported(generation=1, result="succeeded")
    sim.store.create(GATE)
    await agent.release("web", [config_map("one")], options=options)
    held = await agent.reported(generation=2)
    await agent.release("web", [config_map("one")], options=options, approval=held.hold.approval)
    report = await agent.reported(generation=3)

    assert sim.store.get("example.org/v1", "Gate", "web", "g") is not None
    assert any("still holds 1 Gate" in warning for warning in report.warnings)


async def test_a_definition_goes_after_the_last_of_its_objects(agent, sim):
    """F9."""
    await left(agent, [config_map("one")], [CRD, GATE], {**OPTIONS, "pruneCRDs": True})

    definition = sim.store.get("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", "gates.example.org")
    assert definition is None or definition["metadata"].get("deletionTimestamp")


async def test_what_helm_deployed_is_adopted_without_a_new_pod_template(agent, sim):
    """D10, G1: what the chart had set and the bundle does not want goes, the pods stay as they are."""
    sim.store.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "web"}})
    chart = deployment()
    chart["metadata"] |= {"annotations": {"of-the-chart": "x"}}
    sim.store.create(chart, manager="helm")
    before = sim.store.get("apps/v1", "Deployment", "web", "d")
    await agent.release("web", [deployment()])
    await agent.reported(generation=1, result="succeeded")
    after = sim.store.get("apps/v1", "Deployment", "web", "d")

    assert after["spec"] == before["spec"]
    assert "of-the-chart" not in after["metadata"]["annotations"]
    assert "helm" not in {each["manager"] for each in after["metadata"]["managedFields"]}


async def test_what_a_person_added_goes_and_the_app_may_say_otherwise(agent, sim):
    """I11."""
    await agent.release("web", [config_map("one")], options={**OPTIONS, "extras": "keep"})
    await agent.release("other", [config_map("two")])
    await agent.reported("web", generation=1, result="succeeded")
    await agent.reported("other", generation=1, result="succeeded")
    sim.store.patch(config_map("one"), {"data": {"mine": "x"}}, manager="kubectl-edit")
    sim.store.patch(config_map("two"), {"data": {"mine": "x"}}, manager="kubectl-edit")
    report = await agent.reported("other", trigger="drift")

    assert sim.store.get("v1", "ConfigMap", "web", "two")["data"] == {"a": "1"}
    assert sim.store.get("v1", "ConfigMap", "web", "one")["data"] == {"a": "1", "mine": "x"}
    assert report.counts.patched == 1
    assert '.data.mine: nothing -> "x" (by kubectl-edit)' in report.drift[0]


async def test_two_apps_bring_the_same_namespace(agent, sim):
    """G5: who was first keeps it, the other is as well off, and takes it over in time."""
    await agent.release("web", [config_map("one"), NAMESPACE])
    await agent.reported("web", generation=1, result="succeeded")
    await agent.release("other", [config_map("two", namespace="shop"), NAMESPACE])
    report = await agent.reported("other", generation=1)

    assert (report.result, report.failures, report.settled) == ("succeeded", (), True)
    assert sim.store.get("v1", "Namespace", "", "shop")["metadata"]["annotations"]["towline.dev/owner"].startswith(
        "web:"
    )


async def test_a_suspended_app_is_not_removed_before_it_is_resumed(agent, sim):
    """F14: a tombstone waits, like everything else."""
    await agent.release("web", [config_map("one")])
    await agent.reported(generation=1, result="succeeded")
    await agent.release("web", removed=True, suspend={"reason": "maintenance", "by": "ada", "until": ""})
    await agent.stands("web", sync="Suspended")
    kept = sim.store.get("v1", "ConfigMap", "web", "one")
    await agent.change("web", suspend=None)
    await agent.until(lambda: sim.store.get("v1", "ConfigMap", "web", "one") is None)

    assert kept is not None
