"""What the agent leaves to others although it owns it, or owned it."""

from tests.support.agents import OPTIONS

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
