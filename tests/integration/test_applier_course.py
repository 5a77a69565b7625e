"""An app's course: forward, back, refused on the way, asked by a person; and what is said of it meanwhile."""

import asyncio

from tests.support.agents import OPTIONS, WAIT_S, config_map

ARGO = "argocd.argoproj.io"


def data_of(sim, name):
    found = sim.store.get("v1", "ConfigMap", "web", name)
    return found and found["data"]


def noted(manifest, **annotations):
    return {**manifest, "metadata": {**manifest["metadata"], "annotations": annotations}}


def definition(name="widgets", group="example.org"):
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{name}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": "Widget", "plural": name, "singular": "widget"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
        },
    }


def claim(name):
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    metadata = {"name": name, "namespace": "web"}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec}


def job(name):
    spec = {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "a:1"}]}}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name, "namespace": "web"}, "spec": spec}


async def eventually(check):
    """Wait for a change in the cluster, which tells nobody."""
    async with asyncio.timeout(WAIT_S):
        while not check():  # noqa: ASYNC110 - the simulated cluster has no event for it
            await asyncio.sleep(0.01)


async def test_the_bundle_of_before_is_applied_like_any_other(agent, sim):
    """L1: going back is a newer release of an older bundle."""
    first = [config_map("one"), config_map("two")]
    await agent.release("web", first)
    await agent.reported(generation=1, result="succeeded")
    await agent.release("web", [config_map("one", a="2"), config_map("three")])
    await agent.reported(generation=2, settled=True)
    await agent.release("web", first)
    report = await agent.reported(generation=3)

    assert (report.result, report.settled) == ("succeeded", True)
    assert [data_of(sim, name) for name in ("one", "two", "three")] == [{"a": "1"}, {"a": "1"}, None]


async def test_going_back_deletes_nothing_that_holds_data(agent, sim):
    """L3: a claim and a namespace wait for a person, a definition stays."""
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "later"}}
    await agent.release("web", [config_map("one")])
    await agent.reported(generation=1, result="succeeded")
    await agent.release("web", [config_map("one"), claim("disk"), space, definition()])
    await agent.reported(generation=2, result="succeeded")
    await agent.release("web", [config_map("one")])
    report = await agent.reported(generation=3, result="held")

    assert sorted(report.hold.keys) == ["/Namespace:/later", "/PersistentVolumeClaim:web/disk"]
    assert sim.store.get("v1", "PersistentVolumeClaim", "web", "disk")
    assert sim.store.get("v1", "Namespace", "", "later")
    assert sim.store.get("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", "widgets.example.org")


async def test_while_a_newer_release_is_refused_drift_is_judged_by_the_one_that_runs(agent, sim):
    """I7, A2: what was applied last counts."""
    await agent.release("web", [config_map("one")])
    await agent.reported(generation=1, result="succeeded")
    await agent.release("web", [config_map("one", a="2"), config_map("one", a="3")])
    await agent.reported(generation=2, result="refused")
    sim.store.patch(config_map("one"), {"data": {"a": "9"}})

    await eventually(lambda: data_of(sim, "one") == {"a": "1"})


async def test_what_was_deleted_together_comes_back_in_order_and_without_hooks(agent, sim):
    """I13: healing keeps the waves, and runs no hook."""
    first, last = config_map("first"), noted(config_map("last"), **{f"{ARGO}/sync-wave": "1"})
    await agent.release("web", [last, first, noted(job("before"), **{f"{ARGO}/hook": "PreSync"})])
    await agent.reported(generation=1, result="succeeded")
    uid = sim.store.get("batch/v1", "Job", "web", "before")["metadata"]["uid"]
    seen = len(sim.requests)
    sim.store.delete("v1", "ConfigMap", "web", "last")
    sim.store.delete("v1", "ConfigMap", "web", "first")
    await eventually(lambda: data_of(sim, "first") and data_of(sim, "last"))

    made = [each for each in list(sim.requests)[seen:] if each.method == "PATCH" and "/configmaps/" in each.path]
    assert [each.path.rsplit("/", 1)[1] for each in made] == ["first", "last"]
    assert sim.store.get("batch/v1", "Job", "web", "before")["metadata"]["uid"] == uid


async def test_a_persons_instruction_is_obeyed_once(agent, sim):
    """Q3: the same one again is no second action; one that is not known is answered as such."""
    await agent.release("web", [config_map("one")])
    await agent.reported(generation=1, result="succeeded")
    for _ in range(3):
        await agent.instruct("sync", number="again", app="web")
    other = await agent.instruct("dance")
    refusal = await agent.answered(other)

    assert (refusal.ok, "dance" in refusal.message) == (False, True)
    assert [each.ok for each in agent.answers if each.id == "again"] == [True]


async def test_applied_and_healthy_are_told_apart_and_synced_means_all_of_it(agent, sim):
    """R3: an app whose Job failed is Synced and Failed; one that differs, or has a deletion to do, is not Synced."""
    sim.fail_workload("work")
    await agent.release("web", [config_map("one"), job("work"), claim("disk")], options={**OPTIONS, "drift": "report"})
    await agent.stands("web", sync="Synced", health="Failed")
    sim.store.patch(config_map("one"), {"data": {"a": "9"}})
    await agent.stands("web", sync="OutOfSync", reason="Drifted")
    await agent.release("web", [config_map("one"), job("work")])
    await agent.stands("web", sync="Held")

    assert sim.store.get("v1", "PersistentVolumeClaim", "web", "disk")
