"""What the agent does when others interfere, when it dies, and when nothing else can be reached."""

from dataclasses import replace

import pytest

from tests.support.agents import OPTIONS, QUICK_AGENT, config_map, eventually, running


def data_of(sim, name):
    found = sim.store.get("v1", "ConfigMap", "web", name)
    return found and found["data"]


async def applied(pen, *objects, **fields):
    await pen.release("web", list(objects) or [config_map("one"), config_map("two")], **fields)
    return await pen.reported(result="succeeded")


async def test_a_changed_field_is_put_back(agent, sim):
    """I6: drift of what we own is corrected at once; the report says who did it."""
    await applied(agent)
    sim.store.patch(config_map("one"), {"data": {"theirs": "stays"}}, manager="injector")
    sim.store.patch(config_map("one"), {"data": {"a": "9", "mine": "goes"}}, manager="kubectl-edit")
    report = await agent.reported(trigger="drift")

    assert data_of(sim, "one") == {"a": "1", "theirs": "stays"}
    assert "kubectl-edit" in report.drift[0]


async def test_a_deleted_object_is_made_again(agent, sim):
    """I6."""
    await applied(agent)
    sim.store.delete("v1", "ConfigMap", "web", "one")
    report = await agent.reported(trigger="drift")

    assert data_of(sim, "one") == {"a": "1"}
    assert report.counts.created == 1
    assert "was deleted" in report.drift[0]


async def test_a_removed_label_is_put_back(agent, sim):
    """G7: an object that lost our marks is still ours."""
    await applied(agent)
    sim.store.patch(config_map("one"), {"metadata": {"labels": {"towline.dev/agent": None}}})
    await agent.reported(trigger="drift")

    assert sim.store.get("v1", "ConfigMap", "web", "one")["metadata"]["labels"]["towline.dev/agent"] == sim.name


async def test_drift_is_only_reported_when_the_app_says_so(agent, sim):
    """I6."""
    await applied(agent, options={**OPTIONS, "drift": "report"})
    sim.store.patch(config_map("one"), {"data": {"a": "9"}})
    report = await agent.reported(trigger="drift")

    assert data_of(sim, "one") == {"a": "9"}
    assert report.drift


async def test_a_suspended_app_is_left_alone_and_healed_when_it_is_resumed(agent, sim):
    """Q1, I10, Q2: while suspended nothing is written."""
    await applied(agent)
    await agent.change("web", suspend={"reason": "maintenance", "by": "ada", "until": ""})
    await agent.stands("web", sync="Suspended")
    sim.store.patch(config_map("one"), {"data": {"a": "9"}})
    sim.store.patch(config_map("two"), {"data": {"a": "9"}})
    assert data_of(sim, "one") == {"a": "9"}

    await agent.change("web", suspend=None)
    await eventually(lambda: data_of(sim, "one") == data_of(sim, "two") == {"a": "1"})


async def test_a_fight_is_given_up(agent, sim):
    """I9, F20: after three corrections the field is contested and left for a minute."""
    await applied(agent)
    for _ in range(3):
        sim.store.patch(config_map("one"), {"data": {"a": "9"}}, manager="stubborn")
        await eventually(lambda: data_of(sim, "one") == {"a": "1"})
    sim.store.patch(config_map("one"), {"data": {"a": "9"}}, manager="stubborn")
    sim.store.delete("v1", "ConfigMap", "web", "two")
    await eventually(lambda: data_of(sim, "two"))

    assert data_of(sim, "one") == {"a": "9"}


async def test_healing_goes_on_after_a_watch_is_told_that_its_version_is_too_old(agent, sim):
    """410 is routine: the kind is listed again, and what was missed is seen."""
    await applied(agent)
    sim.store.compact()
    sim.faults.reset_next(match=lambda each: "watch" in each.query)
    sim.store.patch(config_map("one"), {"data": {"a": "9"}})

    await eventually(lambda: data_of(sim, "one") == {"a": "1"})


async def test_a_restarted_agent_heals_without_the_bus(pen, sim, bus_server):
    """A01, N2: what was accepted last is kept at hand."""
    async with running(pen.settings(sim)):
        await applied(pen)
    pen.enrol(sim, bus="nats://127.0.0.1:9")
    sim.store.patch(config_map("one"), {"data": {"a": "9"}})
    sim.store.delete("v1", "ConfigMap", "web", "two")
    async with running(pen.settings(sim)):
        await eventually(lambda: data_of(sim, "one") == data_of(sim, "two") == {"a": "1"})


async def test_an_agent_without_a_bus_writes_and_deletes_nothing(pen, sim):
    """A01: nothing that cannot be read changes the cluster."""
    async with running(pen.settings(sim)):
        await applied(pen)
    pen.enrol(sim, bus="nats://127.0.0.1:9")
    before = [each for each in sim.requests if each.method != "GET"]
    async with running(pen.settings(sim)):
        await eventually(lambda: any("watch" in each.query for each in list(sim.requests)[-5:]))
    after = [each for each in sim.requests if each.method != "GET" and "leases" not in each.path]

    assert len(after) == len([each for each in before if "leases" not in each.path])


async def test_a_newer_release_takes_over_between_waves_and_nothing_is_pruned_for_the_older_one(agent, sim):
    """M6, F2: what was sent is waited for; what the older one would have deleted is wanted again, and never went."""
    await applied(agent, config_map("one"), config_map("two"))
    uid = sim.store.get("v1", "ConfigMap", "web", "two")["metadata"]["uid"]
    sim.faults.hang_next(match=lambda each: each.method == "PATCH" and each.path.endswith("/configmaps/one"))
    await agent.release("web", [config_map("one", a="2")])
    await eventually(lambda: sum(each.path.endswith("/configmaps/one") for each in sim.requests) > 1)
    await agent.release("web", [config_map("one", a="3"), config_map("two")])
    await agent.stands("web", generation=3)
    sim.faults.release()
    await agent.reported(generation=2, result="superseded")
    await agent.reported(generation=3, result="succeeded")

    assert data_of(sim, "one") == {"a": "3"}
    assert sim.store.get("v1", "ConfigMap", "web", "two")["metadata"]["uid"] == uid


@pytest.mark.parametrize("how", ["deleted", "touched"])
async def test_an_inventory_that_somebody_handled_is_written_again(agent, sim, how):
    """M1: the Secret is bound to its UID and version, and still no one can lock the agent out by touching it."""
    await applied(agent)
    secret = next(each for each in sim.store.list("v1", "Secret", "towline") if "inventory" in each["metadata"]["name"])
    if how == "deleted":
        sim.store.delete("v1", "Secret", "towline", secret["metadata"]["name"])
    else:
        sim.store.patch(secret, {"metadata": {"annotations": {"seen": "yes"}}})
    await agent.release("web", [config_map("one", a="2")])
    report = await agent.reported(generation=2)

    assert (report.result, report.settled, data_of(sim, "two")) == ("succeeded", True, None)


async def test_after_a_lost_inventory_nothing_is_deleted_without_approval(pen, sim):
    """M7: what is found again by our marks is healed; what would go is held."""
    async with running(pen.settings(sim)):
        await applied(pen)
    for secret in sim.store.list("v1", "Secret", "towline"):
        sim.store.delete("v1", "Secret", "towline", secret["metadata"]["name"])
    async with running(pen.settings(sim)):
        await pen.release("web", [config_map("one", a="2")])
        report = await pen.reported(generation=2)

    assert (report.result, report.hold.reason) == ("held", "Recovered")
    assert (data_of(sim, "one"), data_of(sim, "two")) == ({"a": "2"}, {"a": "1"})


async def test_after_a_lost_inventory_objects_of_kinds_that_left_are_found_again_too(pen, sim):
    """M7: nobody else would ever look for them."""
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "a", "namespace": "web"}}
    async with running(pen.settings(sim)):
        await applied(pen, config_map("one"), account)
    for secret in sim.store.list("v1", "Secret", "towline"):
        sim.store.delete("v1", "Secret", "towline", secret["metadata"]["name"])
    async with running(pen.settings(sim)):
        await pen.release("web", [config_map("one")])
        held = (await pen.reported(generation=2)).hold
        await pen.release("web", [config_map("one")], approval=held.approval)
        await pen.reported(generation=3, settled=True)

    assert sim.store.get("v1", "ServiceAccount", "web", "a") is None


async def test_an_app_that_is_removed_without_its_inventory_leaves_nothing_behind(pen, sim):
    """M7, F12: its objects are found by our marks, and wait for a person; nothing of anybody else goes."""
    async with running(pen.settings(sim)):
        await applied(pen)
        await pen.release("other", [config_map("three")])
        await pen.reported("other", settled=True)
    for secret in sim.store.list("v1", "Secret", "towline"):
        sim.store.delete("v1", "Secret", "towline", secret["metadata"]["name"])
    async with running(pen.settings(sim)):
        await pen.release("web", removed=True)
        held = (await pen.reported(generation=2, result="held")).hold
        await pen.release("web", removed=True, approval=held.approval)
        await pen.reported(generation=3, settled=True)

    assert held.reason == "Recovered"
    assert [data_of(sim, name) for name in ("one", "two", "three")] == [None, None, {"a": "1"}]


async def test_a_second_agent_waits_until_the_first_is_gone(pen, sim):
    """F24, M4: one cluster, one agent that writes."""
    settings = pen.settings(sim)
    async with running(settings):
        await applied(pen)
        async with running(settings) as second:
            sessions = {each.session for each in pen.reports}
            await pen.release("web", [config_map("one", a="2")])
            await pen.reported(generation=2)
            assert {each.session for each in pen.reports} == sessions
            assert not second.done()


async def test_health_follows_the_objects(agent, sim):
    """J8: an app whose workload fails is reported, and again when it recovers."""
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d", "namespace": "web"},
        "spec": {
            "selector": {"matchLabels": {"app": "d"}},
            "template": {
                "metadata": {"labels": {"app": "d"}},
                "spec": {"containers": [{"name": "c", "image": "a:1"}]},
            },
        },
    }
    await agent.release("web", [deployment])
    await agent.stands("web", sync="Synced", health="Current")
    sim.store.set_status(
        deployment,
        {"conditions": [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]},
    )
    report = await agent.reported(trigger="health", health="Failed")

    assert report.sync == "Synced"


STUCK = [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]


@pytest.mark.parametrize("flap_s", [30.0, 0.05], ids=["damped", "later"])
async def test_a_failure_is_reported_at_once_and_taken_back_only_after_a_while(pen, sim, flap_s):
    """J8: what fails, recovers and fails again within half a minute is one failure."""
    pods = {"metadata": {"labels": {"app": "d"}}, "spec": {"containers": [{"name": "c", "image": "a:1"}]}}
    spec = {"selector": {"matchLabels": {"app": "d"}}, "template": pods}
    work = {**config_map("d"), "apiVersion": "apps/v1", "kind": "Deployment", "spec": spec}
    del work["data"]
    async with running(pen.settings(sim, pace=replace(QUICK_AGENT, flap_s=flap_s))):
        await pen.release("web", [work])
        await pen.stands("web", sync="Synced", health="Current")
        well = sim.store.get("apps/v1", "Deployment", "web", "d")["status"]
        sim.store.set_status(work, {"conditions": STUCK})
        await pen.reported(trigger="health", health="Failed")
        sim.store.set_status(work, well)
        await pen.stands("web", health="Current")
        if flap_s < 1:
            await pen.until(lambda: pen.reports[-1].trigger == "health" and pen.reports[-1].health == "Current")
        sim.store.set_status(work, {"conditions": STUCK})
        await pen.stands("web", health="Failed")
        await pen.release("other", [config_map("free")])
        await pen.reported("other")

    told = [each.health for each in pen.reports if each.trigger == "health" and each.app == "web"]
    assert told[-1] == "Failed"
    assert told.count("Failed") == (1 if flap_s > 1 else 2)


async def test_a_kind_that_somebody_defined_meanwhile_is_found_at_once(agent, sim):
    """A8: what the cluster serves is read again when a release needs a kind that was not there."""
    await agent.release("web", [config_map("one")])
    await agent.reported(generation=1, result="succeeded")
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    sim.store.apply(
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": "widgets.example.org"},
            "spec": {
                "group": "example.org",
                "scope": "Namespaced",
                "names": {"kind": "Widget", "plural": "widgets", "singular": "widget"},
                "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
            },
        }
    )
    await agent.release("web", [{"apiVersion": "example.org/v1", "kind": "Widget", "metadata": {"name": "w"}}])
    report = await agent.reported(generation=2)

    assert (report.result, report.failures) == ("succeeded", ())
    assert sim.store.get("example.org/v1", "Widget", "web", "w") is not None
