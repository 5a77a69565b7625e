"""The running agent takes an app off: hooks before, its objects, hooks after, and nothing is left (rule F13)."""

import asyncio

import pytest

from services.applier.content import Content
from shared.bus.blobs import MissingBlobError
from tests.support.agents import OPTIONS, config_map, eventually, killed_agent, running

HOOK = "towline.dev/hook"
QUICK = {**OPTIONS, "timeout": "0.5s"}
NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}


def hook(phase, name="", namespace="web", **notes):
    spec = {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "a:1"}]}}}
    metadata = {"name": name or phase.lower(), "namespace": namespace, "annotations": {HOOK: phase, **notes}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}


BEFORE, AFTER = hook("PreDelete"), hook("PostDelete")
WHOLE = [config_map("one"), config_map("two"), BEFORE, AFTER]


def job(sim, name, namespace="web"):
    return sim.store.get("batch/v1", "Job", namespace, name)


def there(sim, name):
    return sim.store.get("v1", "ConfigMap", "web", name) is not None


def secrets(sim):
    names = (each["metadata"]["name"] for each in sim.store.list("v1", "Secret", "towline"))
    return [name for name in names if "inventory" in name]


def written(sim, *names):
    """Return in which order objects were made and deleted, however often it was asked for."""
    asked = [each for each in sim.requests if each.method in {"PATCH", "DELETE"} and each.query.get("dryRun") is None]
    told = [f"{'-' if each.method == 'DELETE' else '+'}{each.path.rsplit('/', 1)[1]}" for each in asked]
    return list(dict.fromkeys(each for each in told if each[1:] in names))


async def delivered(pen, *objects, **fields):
    await pen.release("web", objects or WHOLE, **fields)
    return await pen.reported(generation=1, result="succeeded")


async def test_hooks_run_around_a_removal_and_nothing_is_left(agent, sim):
    """F13: before the first object goes, after the last one went; a delivery runs neither, the inventory goes last."""
    report = await delivered(agent)
    assert (job(sim, "predelete"), job(sim, "postdelete"), report.warnings) == (None, None, ())
    await agent.release("web", removed=True)
    report = await agent.reported(generation=2, settled=True)
    await eventually(lambda: not secrets(sim))

    assert (report.result, report.counts.pruned) == ("succeeded", 4)
    assert sim.store.list("batch/v1", "Job", "web") == []
    order = written(sim, "predelete", "two", "postdelete", "towline-inventory-web-0")
    assert order[-6:-3] == ["+predelete", "-two", "+postdelete"]
    assert (set(order[-3:-1]), order[-1]) == ({"-predelete", "-postdelete"}, "-towline-inventory-web-0")


async def test_while_the_hook_before_does_not_succeed_nothing_is_deleted(agent, sim):
    """F13, K6: it is told, held, and tried again; once it succeeds the removal goes on by itself."""
    sim.fail_workload("predelete")
    await delivered(agent, *WHOLE, options=QUICK)
    await agent.release("web", removed=True, options=QUICK)
    report = await agent.reported(generation=2, result="failed", sync="Held")
    assert (report.failures[0].code, report.hold.reason) == ("HookFailed", "HookFailed")
    assert (there(sim, "one"), there(sim, "two"), job(sim, "postdelete")) == (True, True, None)

    sim.fail_workload("predelete", failing=False)
    await agent.reported(generation=2, result="succeeded", settled=True)
    assert (there(sim, "one"), there(sim, "two")) == (False, False)


@pytest.mark.parametrize("failing", ["predelete", "postdelete"])
async def test_a_person_lets_a_removal_go_on_without_its_hooks(agent, sim, failing):
    """F13: by approving what is held; what did not go by then goes."""
    sim.fail_workload(failing)
    await delivered(agent, *WHOLE, options=QUICK)
    await agent.release("web", removed=True, options=QUICK)
    held = await agent.reported(generation=2, result="failed", sync="Held")
    await agent.release("web", removed=True, options=QUICK, approval=held.hold.approval)
    report = await agent.reported(generation=3, settled=True)

    assert (report.result, there(sim, "one"), job(sim, failing)) == ("succeeded", False, None)


async def test_without_the_bundle_a_removal_is_held_until_it_is_back_or_somebody_waives_its_hooks(
    agent, sim, monkeypatch
):
    """F13: hooks are never left out in silence; an app whose bundle is known to have none needs no bundle to go."""
    await delivered(agent)
    await agent.release("other", [config_map("free")])
    await agent.reported("other", generation=1)

    async def missing(_content, _bus, bundle):
        raise MissingBlobError(f"blob {bundle.blob.digest} is not on the bus")

    fetched = Content.bundle
    monkeypatch.setattr(Content, "bundle", missing)
    await agent.release("web", removed=True, publish=False)
    await agent.release("other", removed=True)
    await agent.reported("other", generation=2, settled=True)
    report = await agent.reported(generation=2, result="held")
    assert (report.hold.reason, report.counts.pruned, there(sim, "one")) == ("HooksUnknown", 0, True)
    assert "cannot be had" in report.message

    monkeypatch.setattr(Content, "bundle", fetched)
    await agent.reported(generation=2, result="succeeded", settled=True)
    assert "+postdelete" in written(sim, "postdelete")


async def test_a_waived_removal_needs_no_bundle(agent, sim, monkeypatch):
    """F13: the approval is remembered, whatever else is approved after it."""
    await delivered(agent, NAMESPACE, config_map("inside", namespace="shop"), BEFORE)

    async def missing(_content, _bus, _bundle):
        raise MissingBlobError("it is not on the bus")

    monkeypatch.setattr(Content, "bundle", missing)
    await agent.release("web", removed=True)
    held = await agent.reported(generation=2, result="held")
    await agent.release("web", removed=True, approval=held.hold.approval)
    guarded = await agent.reported(generation=3, result="held")
    assert guarded.hold.keys == ("/Namespace:/shop",)
    await agent.release("web", removed=True, approval=guarded.hold.approval)
    await agent.reported(generation=4, settled=True)

    assert written(sim, "predelete") == []


async def test_no_hook_starts_while_all_of_an_app_waits_for_a_person(agent, sim):
    """F13, F5: nothing is leaving yet."""
    await delivered(agent, NAMESPACE, BEFORE)
    await agent.release("web", removed=True)
    held = await agent.reported(generation=2, result="held")
    assert (held.hold.keys, job(sim, "predelete")) == (("/Namespace:/shop",), None)

    await agent.release("web", removed=True, approval=held.hold.approval)
    await agent.reported(generation=3, settled=True)
    assert written(sim, "predelete", "shop")[-3:] == ["+predelete", "-shop", "-predelete"]


async def test_a_namespace_stays_until_the_hooks_in_it_have_run(agent, sim):
    """F13: and what waits for a person is not taken for gone."""
    after = hook("PostDelete", namespace="shop")
    await delivered(agent, NAMESPACE, config_map("inside", namespace="shop"), after)
    await agent.release("web", removed=True)
    held = await agent.reported(generation=2, result="held")
    assert "+postdelete" in written(sim, "postdelete")
    await agent.release("web", removed=True, approval=held.hold.approval)
    await agent.reported(generation=3, settled=True)

    order = written(sim, "inside", "postdelete", "shop")
    assert order[-4:] == ["-inside", "+postdelete", "-postdelete", "-shop"]


async def test_an_app_that_is_only_given_up_runs_no_hooks(agent, sim):
    """F12, F13: its objects stay, and that is said."""
    orphan = {**OPTIONS, "deletionPolicy": "orphan"}
    await delivered(agent, *WHOLE, options=orphan)
    await agent.release("web", removed=True, options=orphan)
    report = await agent.reported(generation=2, settled=True)

    assert (there(sim, "one"), written(sim, "predelete", "postdelete")) == (True, [])
    assert any("no hook" in each for each in report.warnings)


async def test_a_hook_that_is_to_go_when_it_ended_well_goes_and_does_not_run_again(agent, sim):
    """F13, K4: by hook-delete-policy; a stuck object has the removal tried again, its hook not."""
    before = hook("PreDelete", **{f"{HOOK}-delete-policy": "HookSucceeded"})
    stuck = config_map("one")
    await delivered(agent, stuck, config_map("two"), before, options=QUICK)
    sim.store.patch(stuck, {"metadata": {"finalizers": ["towline.dev/test"]}}, manager="somebody")
    await agent.release("web", removed=True, options=QUICK)
    report = await agent.reported(generation=2, result="partial")
    assert (report.failures[0].code, job(sim, "predelete")) == ("Terminating", None)
    sim.store.patch(stuck, {"metadata": {"finalizers": None}}, manager="somebody")
    await agent.reported(generation=2, result="succeeded", settled=True)

    assert [each.method for each in sim.requests if each.path.endswith("/predelete") and each.query.get("force")] == [
        "PATCH"
    ]


async def test_a_hook_without_a_name_runs_in_both_phases_of_a_removal(agent, sim):
    """F13, K7."""
    both = hook("PreDelete,PostDelete")
    both["metadata"] = {**both["metadata"], "generateName": "clean-"}
    del both["metadata"]["name"]
    await delivered(agent, config_map("one"), both)
    await agent.release("web", removed=True)
    await agent.reported(generation=2, settled=True)

    made = [
        each.path.rsplit("/", 1)[1] for each in sim.requests if "/jobs/clean-" in each.path and each.method == "PATCH"
    ]
    assert [name.rsplit("-", 2)[1:] for name in made] == [["predelete", "1"], ["postdelete", "1"]]
    assert sim.store.list("batch/v1", "Job", "web") == []


async def test_an_app_that_comes_back_in_the_middle_is_whole_again_and_a_later_removal_runs_all_hooks(agent, sim):
    """F13: what ran for one removal did not run for the next."""
    sim.fail_workload("postdelete")
    await delivered(agent, *WHOLE, options=QUICK)
    await agent.release("web", removed=True, options=QUICK)
    await agent.reported(generation=2, result="failed")
    first = job(sim, "predelete")["metadata"]["uid"]
    await agent.release("web", WHOLE, options=QUICK)
    await agent.reported(generation=3, result="succeeded", settled=True)
    assert (there(sim, "one"), there(sim, "two")) == (True, True)

    sim.fail_workload("postdelete", failing=False)
    await agent.release("web", removed=True, options=QUICK)
    await agent.reported(generation=4, settled=True)
    deleted = [
        each.deletion["preconditions"]["uid"]
        for each in sim.requests
        if each.method == "DELETE" and each.path.endswith("/predelete")
    ]
    assert deleted[0] == first
    assert len(set(deleted)) == 2


async def test_a_removal_that_was_cut_off_while_its_hook_ran_waits_for_that_very_run(pen, sim):
    """F13, K3."""
    async with running(pen.settings(sim)):
        await delivered(pen)
    sim.state.settle = False
    await pen.release("web", removed=True)
    async with killed_agent(pen.settings(sim)):
        await eventually(lambda: job(sim, "predelete"))
    first = job(sim, "predelete")["metadata"]["uid"]
    complete = {"conditions": [{"type": "Complete", "status": "True", "reason": "x", "message": ""}]}
    async with running(pen.settings(sim)):
        await eventually(lambda: len([each for each in sim.requests if each.path.endswith("/predelete")]) > 1)
        assert (job(sim, "predelete")["metadata"]["uid"], there(sim, "one")) == (first, True)
        sim.state.settle = True
        sim.store.set_status(BEFORE, complete)
        await pen.reported(generation=2, settled=True)


@pytest.mark.parametrize("nth", range(1, 22))
async def test_a_kill_after_any_request_of_a_removal_is_repaired_by_the_next_start(pen, sim, nth):
    """F13, M3, K3: whatever was cut off, both hooks ran to their end once, in their place, and nothing is left."""
    gone = {f"{HOOK}-delete-policy": "HookSucceeded"}
    async with running(pen.settings(sim)):
        await delivered(
            pen, config_map("one"), config_map("two"), hook("PreDelete", **gone), hook("PostDelete", **gone)
        )
    seen, cut, begun = 0, asyncio.Event(), len(sim.requests)

    def count(request):
        nonlocal seen
        if request.method != "GET" and "leases" not in request.path:
            seen += 1
            if seen == nth:
                cut.set()
        return False

    sim.fail_next(1, match=count)
    await pen.release("web", removed=True)
    async with killed_agent(pen.settings(sim)):
        done = asyncio.ensure_future(pen.reported(generation=2, settled=True))
        await asyncio.wait({done, asyncio.ensure_future(cut.wait())}, return_when=asyncio.FIRST_COMPLETED)
        done.cancel()
    async with running(pen.settings(sim)):
        await pen.reported(generation=2, settled=True)
        await eventually(lambda: not secrets(sim))

    asked = list(sim.requests)[begun:]
    deletions = {
        each.path.rsplit("/", 1)[1]: each.deletion["preconditions"]["uid"] for each in asked if each.method == "DELETE"
    }
    for name in ("predelete", "postdelete"):
        uids = {
            each.deletion["preconditions"]["uid"]
            for each in asked
            if each.method == "DELETE" and each.path.endswith(f"/{name}")
        }
        assert len(uids) == 1
    assert deletions.keys() >= {"one", "two"}
    order = [
        each[1:]
        for each in written(sim, "predelete", "one", "postdelete")
        if each in {"+predelete", "-one", "+postdelete"}
    ]
    assert order == ["predelete", "one", "postdelete"]
    assert sim.store.list("batch/v1", "Job", "web") == []
