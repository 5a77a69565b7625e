"""A release of which it is known that the API server refuses a part for good is refused whole, before its first write."""

from tests.support.agents import OPTIONS, eventually, running

REFUSED = {"result": "refused", "reason": "release.immutable"}


def deployment(name, label, image="a:1"):
    labels = {"app": label}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "web"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": image}]}},
        },
    }


def service(label):
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "front", "namespace": "web"},
        "spec": {"selector": {"app": label}, "ports": [{"port": 80}]},
    }


def selected(sim):
    return sim.store.get("v1", "Service", "web", "front")["spec"]["selector"]["app"]


def rehearsed(sim):
    return [each.path.rpartition("/")[2] for each in sim.requests if "dryRun" in each.query]


async def test_what_would_stop_halfway_is_not_begun(agent, sim):
    """E7, H1: a Service with the new selector and Deployments with the old one would serve nobody."""
    first, change = ([service(label), deployment("a", label), deployment("b", label)] for label in ("old", "new"))
    await agent.release("web", first)
    await agent.reported(generation=1, settled=True)
    await agent.release("web", change)
    report = await agent.reported(generation=2)

    assert (report.result, report.reason, report.lasting) == ("refused", "release.immutable", True)
    assert [(each.key, each.code) for each in report.failures] == [
        (f"apps/Deployment:web/{name}", "Immutable") for name in "ab"
    ]
    assert "apps/Deployment:web/a, apps/Deployment:web/b" in report.message
    assert (selected(sim), rehearsed(sim)) == ("old", ["a", "b"])

    sim.store.patch(service("old"), {"spec": {"selector": {"app": "by hand"}}})
    await eventually(lambda: selected(sim) == "old")
    await agent.release("web", change, options={**OPTIONS, "onImmutable": "recreate"})
    await agent.reported(generation=3, result="succeeded")

    assert selected(sim) == "new"


async def test_what_was_in_the_way_and_goes_lets_the_release_in(agent, sim):
    """E6: nobody has to ask."""
    await agent.release("web", [service("old"), deployment("a", "old")])
    await agent.reported(generation=1, settled=True)
    await agent.release("web", [service("new"), deployment("a", "new")])
    await agent.reported(generation=2, **REFUSED)
    sim.store.delete("apps/v1", "Deployment", "web", "a")
    await agent.reported(generation=2, result="succeeded")

    assert selected(sim) == "new"


async def test_a_stranger_with_other_fixed_fields_is_found_out_before_it_is_adopted(agent, sim):
    """E7, G1: nobody applied it before; the other objects are not begun either."""
    sim.store.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "web"}})
    sim.store.create(deployment("a", "theirs"))
    await agent.release("web", [service("new"), deployment("a", "new")], options={**OPTIONS, "adopt": "all"})
    await agent.reported(generation=1, **REFUSED)
    assert sim.store.get("v1", "Service", "web", "front") is None

    sim.store.delete("apps/v1", "Deployment", "web", "a")
    await agent.reported(generation=1, result="succeeded")


async def test_nobody_is_asked_beforehand_where_fixed_fields_are_as_before(pen, sim):
    """D3: one request for each changed object, also after a restart."""
    for number in (1, 2):
        async with running(pen.settings(sim)):
            await pen.release("web", [service("old"), deployment("a", "old", f"a:{number}")])
            await pen.reported(generation=number, settled=True)

    assert rehearsed(sim) == []
