"""Manifests of other tools on the running agent: hooks, dependencies, and what must not be deleted without a word."""

import pytest

from services.applier.tracking import OWNER_ANNOTATION
from tests.support.agents import OPTIONS, config_map, eventually, killed_agent, running

ARGO = "argocd.argoproj.io"
QUICK = {**OPTIONS, "timeout": "0.5s"}


def noted(manifest, **annotations):
    metadata = manifest["metadata"]
    return {**manifest, "metadata": {**metadata, "annotations": annotations}}


def hook(name, phase, ends="", image="a:1"):
    spec = {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": image}]}}}
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name, "namespace": "web"}, "spec": spec}
    return noted(job, **{f"{ARGO}/hook": phase}, **({f"{ARGO}/hook-delete-policy": ends} if ends else {}))


def job(sim, name):
    return sim.store.get("batch/v1", "Job", "web", name)


def uid(sim, name):
    return job(sim, name)["metadata"]["uid"]


def there(sim, name):
    return sim.store.get("v1", "ConfigMap", "web", name) is not None


def writes_of(sim, *names):
    paths = [each.path for each in sim.requests if each.method in {"PATCH", "DELETE"} and each.query.get("force")]
    return [path.rsplit("/", 1)[1] for path in paths if path.endswith(tuple(f"/{name}" for name in names))]


async def test_hooks_run_around_the_waves_once_a_bundle(agent, sim):
    """C1, K1, K5: before and after the objects; a look at the same bundle starts nothing, a new bundle everything."""
    bundle = [hook("after", "PostSync"), config_map("one"), hook("before", "PreSync")]
    await agent.release("web", bundle)
    await agent.reported(generation=1, result="succeeded")
    first = uid(sim, "before"), uid(sim, "after")
    assert writes_of(sim, "before", "one", "after") == ["before", "one", "after"]

    await agent.instruct("sync")
    sim.store.patch(config_map("one"), {"data": {"a": "9"}})
    await eventually(lambda: sim.store.get("v1", "ConfigMap", "web", "one")["data"] == {"a": "1"})
    assert (uid(sim, "before"), uid(sim, "after")) == first

    await agent.release("web", [*bundle, config_map("two")])
    await agent.reported(generation=2, result="succeeded")
    assert not {uid(sim, "before"), uid(sim, "after")} & set(first)


async def test_a_hook_that_ended_well_goes_when_it_asks_for_it(agent, sim):
    """K4: and its absence is neither drift nor ill health."""
    await agent.release("web", [hook("before", "PreSync", "HookSucceeded"), config_map("one")])
    await agent.reported(generation=1, result="succeeded")
    assert job(sim, "before") is None

    await agent.instruct("sync")
    await agent.stands("web", sync="Synced", health="Current")
    assert writes_of(sim, "before") == ["before"]


async def test_a_failed_hook_stops_the_delivery_and_is_made_anew(agent, sim):
    """K2, K5, K6: no wave begins; a retry starts the hook again, because the failure came from it."""
    sim.fail_workload("before")
    await agent.release("web", [hook("before", "PreSync"), config_map("one")], options=QUICK)
    report = await agent.reported(generation=1, result="failed")
    assert (report.failures[0].code, there(sim, "one")) == ("HookFailed", False)
    failed = uid(sim, "before")

    sim.fail_workload("before", failing=False)
    await agent.reported(generation=1, result="succeeded")
    assert there(sim, "one")
    assert uid(sim, "before") != failed


@pytest.mark.parametrize("again", [False, True], ids=["as usual", "rerunHooks"])
async def test_hooks_that_succeeded_run_again_in_a_retry_only_where_the_app_says_so(pen, sim, again):
    """K5: and never by a restart."""
    options = {**QUICK, "rerunHooks": again}
    allow = sim.faults.forbid(lambda request: request.method == "PATCH" and request.path.endswith("/configmaps/one"))
    async with running(pen.settings(sim)):
        await pen.release("web", [hook("before", "PreSync"), config_map("one")], options=options)
        await pen.reported(generation=1, result="partial")
        first = uid(sim, "before")
        await eventually(lambda: len(writes_of(sim, "one")) > 1)
        allow()
        await pen.reported(generation=1, result="succeeded")
    last = uid(sim, "before")
    async with running(pen.settings(sim)):
        await pen.release("web", [hook("before", "PreSync"), config_map("one")], options={**options, "wait": False})
        await pen.reported(generation=2, result="succeeded")

    assert (last != first) is again
    assert uid(sim, "before") == last


async def test_a_pod_that_is_a_hook_is_waited_for_until_it_ended_well(agent, sim):
    """K6: being ready is no success; and it may take ten minutes where nobody says otherwise."""
    sim.state.settle = False
    spec = {"restartPolicy": "Never", "containers": [{"name": "c", "image": "a:1"}]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "migrate", "namespace": "web"}, "spec": spec}
    await agent.release("web", [noted(pod, **{f"{ARGO}/hook": "PreSync"}), config_map("one")])
    await eventually(lambda: sim.store.get("v1", "Pod", "web", "migrate"))
    ready = [{"type": kind, "status": "True"} for kind in ("PodScheduled", "Initialized", "ContainersReady", "Ready")]
    sim.store.set_status(pod, {"phase": "Running", "conditions": ready})
    await agent.release("other", [config_map("later")])
    await agent.reported("other", result="succeeded")
    assert not there(sim, "one")

    sim.store.set_status(pod, {"phase": "Succeeded"})
    await agent.reported("web", result="succeeded")
    assert there(sim, "one")


async def test_a_hook_for_failures_runs_when_a_delivery_failed(agent, sim):
    """K2: once a bundle, and never when all is well."""
    bundle = [config_map("one"), hook("after", "PostSync"), hook("alarm", "SyncFail")]
    await agent.release("web", bundle)
    report = await agent.reported(generation=1, result="succeeded")
    assert (job(sim, "alarm"), report.settled) == (None, True)

    sim.fail_workload("after")
    await agent.release("web", [*bundle, config_map("two")], options=QUICK)
    await agent.reported(generation=2, result="failed")
    assert job(sim, "alarm")

    sim.fail_workload("after", failing=False)
    await agent.reported(generation=2, result="succeeded", settled=True)
    alarm = uid(sim, "alarm")
    await agent.instruct("sync")
    await agent.stands("web", sync="Synced", health="Current")
    assert uid(sim, "alarm") == alarm


async def test_a_hook_that_runs_is_waited_for_after_a_crash(pen, sim):
    """K3: the agent dies while the Job runs; the next one never starts it twice."""
    sim.state.settle = False
    async with killed_agent(pen.settings(sim)):
        await pen.release("web", [hook("before", "PreSync"), config_map("one")])
        await eventually(lambda: job(sim, "before"))
    first = uid(sim, "before")
    async with running(pen.settings(sim)):
        await eventually(lambda: len(writes_of(sim, "before")) > 1)
        assert not there(sim, "one")
        complete = [{"type": "Complete", "status": "True", "reason": "x", "message": ""}]
        sim.store.set_status(hook("before", "PreSync"), {"conditions": complete})
        await pen.reported(generation=1, result="succeeded")

    assert there(sim, "one")
    assert uid(sim, "before") == first


async def test_a_hook_that_left_its_bundle_is_released_and_stays(agent, sim):
    """K1: it is none of the objects that are pruned."""
    await agent.release("web", [hook("before", "PreSync"), config_map("one")])
    await agent.reported(generation=1)
    await agent.release("web", [config_map("one")])
    report = await agent.reported(generation=2)

    assert (report.result, report.counts.pruned) == ("succeeded", 0)
    assert OWNER_ANNOTATION not in job(sim, "before")["metadata"]["annotations"]


async def test_a_hook_without_a_name_gets_one_that_every_attempt_shares(agent, sim):
    """A6, K7: and a hook of the first installation runs no more at the next bundle."""
    before = hook("x", "PreSync")
    nameless = {
        **before,
        "metadata": {"generateName": "migrate-", "namespace": "web", "annotations": {"helm.sh/hook": "pre-install"}},
    }
    await agent.release("web", [nameless, config_map("one")])
    await agent.reported(generation=1, result="succeeded")
    (made,) = sim.store.list("batch/v1", "Job", "web")
    assert made["metadata"]["name"].startswith("migrate-")
    assert made["metadata"]["name"].endswith("-presync-1")

    await agent.release("web", [nameless, config_map("one"), config_map("two")])
    await agent.reported(generation=2, result="succeeded")
    assert [each["metadata"]["uid"] for each in sim.store.list("batch/v1", "Job", "web")] == [made["metadata"]["uid"]]


async def test_a_nameless_hook_that_failed_comes_back_as_the_next_attempt(agent, sim):
    """K7, K4: what the attempt before left is deleted first."""
    before = hook("x", "PreSync")
    del before["metadata"]["name"]
    before["metadata"]["generateName"] = "migrate-"
    sim.state.settle = False
    await agent.release("web", [before, config_map("one")], options=QUICK)
    await agent.reported(generation=1, result="failed")
    sim.state.settle = True
    await agent.reported(generation=1, result="succeeded")
    (made,) = sim.store.list("batch/v1", "Job", "web")

    assert made["metadata"]["name"].rsplit("-", 2)[1] == "presync"
    assert int(made["metadata"]["name"].rsplit("-", 1)[1]) > 1


async def test_what_a_hook_needs_stays_until_its_phase_is_over(agent, sim):
    """K4: of an earlier wave, it is deleted when the last hook of the phase has ended."""
    needed = noted(config_map("needed"), **{f"{ARGO}/hook": "PreSync", f"{ARGO}/hook-delete-policy": "HookSucceeded"})
    needed["metadata"]["annotations"][f"{ARGO}/sync-wave"] = "-5"
    await agent.release("web", [needed, hook("before", "PreSync"), config_map("one")])
    await agent.reported(generation=1, result="succeeded")
    asked = [
        f"{each.method} {each.path.rsplit('/', 1)[1]}" for each in sim.requests if each.method in {"PATCH", "DELETE"}
    ]

    assert not there(sim, "needed")
    assert asked.index("PATCH before") < asked.index("DELETE needed") < asked.index("PATCH one")


async def test_a_hook_that_does_not_end_in_time_fails_the_run_and_those_for_failures_run(agent, sim):
    """K2: though nothing else is begun after a failure; and again with each attempt."""
    bundle = [hook("before", "PreSync"), config_map("one"), hook("alarm", "SyncFail")]
    sim.fail_workload("before")
    await agent.release("web", bundle, options={**QUICK, "onError": "stop"})
    await agent.reported(generation=1, result="failed")
    first = uid(sim, "alarm")
    await eventually(lambda: job(sim, "alarm") and uid(sim, "alarm") != first)

    assert not there(sim, "one")


async def test_hooks_after_a_delivery_wait_until_all_of_it_does_well(agent, sim):
    """K2: an earlier wave too, and where waves do not wait for each other."""
    work = hook("work", "Sync")
    work["metadata"].pop("annotations")
    last = noted(config_map("last"), **{f"{ARGO}/sync-wave": "1"})
    sim.fail_workload("work")
    await agent.release("web", [work, last, hook("after", "PostSync")], options={**QUICK, "wait": False})
    await agent.reported(generation=1, result="partial")

    assert (there(sim, "last"), job(sim, "after")) == (True, None)


async def test_what_depends_on_something_waits_until_that_does_well(agent, sim):
    """C4: a ConfigMap behind a Job, though its kind comes earlier; when the Job fails it is not applied."""
    work = hook("work", "Sync")
    work["metadata"].pop("annotations")
    behind = noted(config_map("behind"), **{"config.kubernetes.io/depends-on": "batch/namespaces/web/Job/work"})
    await agent.release("web", [work, behind, config_map("free")])
    await agent.reported(generation=1, result="succeeded")
    assert writes_of(sim, "work", "behind") == ["work", "behind"]

    sim.fail_workload("work2")
    work2 = {**work, "metadata": {**work["metadata"], "name": "work2"}}
    behind2 = noted(config_map("behind2"), **{"config.kubernetes.io/depends-on": "batch/namespaces/web/Job/work2"})
    await agent.release("web", [work, behind, work2, behind2, config_map("free2")], options=QUICK)
    await agent.reported(generation=2, result="partial")
    assert (there(sim, "behind2"), there(sim, "free2")) == (False, True)


async def test_an_object_that_asks_for_a_person_waits_for_one(agent, sim):
    """F15: the others go."""
    guarded = noted(config_map("guarded"), **{f"{ARGO}/sync-options": "Prune=confirm"})
    await agent.release("web", [config_map("one"), guarded, config_map("two")])
    await agent.reported(generation=1)
    await agent.release("web", [config_map("one")])
    held = await agent.reported(generation=2)
    assert (held.hold.reason, held.hold.keys) == ("Confirm", ("/ConfigMap:web/guarded",))
    assert (there(sim, "guarded"), there(sim, "two")) == (True, False)

    await agent.release("web", [config_map("one")], deletes=held.hold.keys, approval=held.hold.approval)
    await agent.reported(generation=3, settled=True)
    assert not there(sim, "guarded")


async def test_what_is_kept_on_removal_goes_when_it_leaves_its_bundle(agent, sim):
    """F4, F12: Argo CD's two options are two policies."""
    stays = noted(config_map("stays"), **{f"{ARGO}/sync-options": "Delete=false"})
    goes = noted(config_map("goes"), **{f"{ARGO}/sync-options": "Delete=false"})
    await agent.release("web", [stays, goes, noted(config_map("kept"), **{f"{ARGO}/sync-options": "Prune=false"})])
    await agent.reported(generation=1)
    await agent.release("web", [stays])
    await agent.reported(generation=2)
    assert (there(sim, "goes"), there(sim, "kept")) == (False, True)

    await agent.release("web", removed=True)
    await agent.reported(generation=3)
    assert there(sim, "stays")


async def test_an_object_that_is_only_made_when_absent_is_never_changed(agent, sim):
    """D9, I12: what somebody made of it stays; it is made anew when it is deleted."""
    seed = noted(config_map("seed"), **{"kustomize.toolkit.fluxcd.io/ssa": "IfNotPresent"})
    await agent.release("web", [seed])
    await agent.reported(generation=1)
    sim.store.patch(seed, {"data": {"a": "9"}})
    await agent.release("web", [{**seed, "data": {"a": "2"}}, config_map("one")])
    await agent.reported(generation=2)
    assert sim.store.get("v1", "ConfigMap", "web", "seed")["data"] == {"a": "9"}

    sim.store.delete("v1", "ConfigMap", "web", "seed")
    await eventually(lambda: there(sim, "seed"))


async def test_what_somebody_else_makes_is_awaited(agent, sim):
    """Q1, E7: and never written; the next wave, and what names it as a need, begin when it is there."""
    theirs = noted(config_map("theirs"), **{"kapp.k14s.io/exists": ""})
    needing = noted(config_map("needing"), **{"config.kubernetes.io/depends-on": "/namespaces/web/ConfigMap/theirs"})
    later = noted(config_map("later"), **{f"{ARGO}/sync-wave": "1"})
    await agent.release("web", [theirs, config_map("one"), needing, later])
    report = await agent.reported(generation=1, result="partial")
    assert report.failures[0].code == "Awaited"
    assert (there(sim, "one"), there(sim, "needing"), there(sim, "later")) == (True, False, False)

    sim.store.create(config_map("theirs", a="9"))
    await agent.reported(generation=1, result="succeeded")
    assert (writes_of(sim, "theirs"), there(sim, "needing"), there(sim, "later")) == ([], True, True)


async def test_an_object_may_have_fields_that_the_api_server_does_not_know(agent, sim):
    """D1: strict unless the object says otherwise."""
    lax = noted(config_map("lax"), **{f"{ARGO}/sync-options": "Validate=false"})
    await agent.release("web", [lax, config_map("strict")])
    await agent.reported(generation=1, result="succeeded")

    asked = {each.path.rsplit("/", 1)[1]: each.query.get("fieldValidation") for each in sim.requests if each.query}
    assert (asked["lax"], asked["strict"]) == ("Ignore", "Strict")


async def test_a_job_that_is_forced_and_replaced_runs_at_each_revision(agent, sim):
    """H2, H3: though it did not change; its pods are gone before new ones start."""
    work = hook("work", "Sync")
    work["metadata"]["annotations"] = {f"{ARGO}/sync-options": "Force=true,Replace=true"}
    await agent.release("web", [work])
    await agent.reported(generation=1)
    first = uid(sim, "work")
    await agent.release("web", [work, config_map("one")])
    await agent.reported(generation=2, result="succeeded")

    assert uid(sim, "work") != first
    (asked,) = [each.deletion for each in sim.requests if each.path.endswith("/work") and each.method == "DELETE"]
    assert asked == {"preconditions": {"uid": first}, "propagationPolicy": "Foreground"}


async def test_other_tools_names_are_only_text_when_the_app_says_so(agent, sim):
    """F4: `compat: false`."""
    options = {**OPTIONS, "compat": False}
    kept = noted(config_map("kept"), **{"helm.sh/resource-policy": "keep", f"{ARGO}/hook": "Skip"})
    await agent.release("web", [config_map("one"), kept], options=options)
    await agent.reported(generation=1)
    assert there(sim, "kept")
    await agent.release("web", [config_map("one")], options=options)
    await agent.reported(generation=2, settled=True)

    assert not there(sim, "kept")
