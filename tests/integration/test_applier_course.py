"""An app's course: forward, back, refused on the way, asked by a person; and what is said of it meanwhile."""

from tests.support.agents import OPTIONS, config_map, eventually
from tests.support.definitions import definition_of

ARGO = "argocd.argoproj.io"


def data_of(sim, name):
    found = sim.store.get("v1", "ConfigMap", "web", name)
    return found and found["data"]


def definition():
    return definition_of("Widget", "example.org")


def noted(manifest, **annotations):
    return {**manifest, "metadata": {**manifest["metadata"], "annotations": annotations}}


def claim(name):
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    metadata = {"name": name, "namespace": "web"}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec}


def job(name):
    spec = {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "a:1"}]}}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name, "namespace": "web"}, "spec": spec}


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


async def test_an_app_may_ask_to_be_told_and_not_applied(agent, sim):
    """Q4: what would be made, changed and deleted is told, what would be refused fails; nothing is written."""
    bad = {**config_map("bad"), "nonsense": 1}
    await agent.release("web", [config_map("one"), config_map("old")])
    await agent.reported(generation=1, result="succeeded")
    seen = len(sim.requests)
    told = [config_map("one", a="2"), config_map("new"), job("work")]
    await agent.release("web", told, options={**OPTIONS, "mode": "plan"})
    plan = await agent.reported(generation=2, result="held")
    await agent.release("web", [*told, bad], options={**OPTIONS, "mode": "plan"})
    refused = await agent.reported(generation=3)
    sent = [each for each in list(sim.requests)[seen:] if each.method != "GET" and "leases" not in each.path]

    assert {each.query.get("dryRun") for each in sent} == {"All"}
    assert plan.reason == "PlanOnly"
    assert plan.warnings == (
        "would delete /ConfigMap:web/old",
        "would make /ConfigMap:web/new",
        "would change /ConfigMap:web/one",
        "would make batch/Job:web/work",
    )
    assert [each.key for each in refused.failures] == ["/ConfigMap:web/bad"]
    assert (data_of(sim, "one"), data_of(sim, "old")) == ({"a": "1"}, {"a": "1"})

    await agent.release("web", told)
    await agent.reported(generation=4, settled=True)
    assert (data_of(sim, "one"), data_of(sim, "old")) == ({"a": "2"}, None)


async def test_whoever_asks_learns_how_each_object_stands(agent, sim):
    """R2, E11: one by one or a page at a time, with health, the last error, and who changed it."""
    bad = {**config_map("bad"), "nonsense": 1}
    sim.fail_workload("work")
    options = {**OPTIONS, "drift": "report"}
    await agent.release("web", [config_map("one"), config_map("two"), job("work"), bad], options=options)
    await agent.stands("web", sync="OutOfSync", health="Failed")
    sim.store.patch(config_map("two"), {"data": {"a": "9"}}, manager="somebody")
    await agent.reported(trigger="drift")
    answer = await agent.answered(await agent.instruct("objects", app="web"))
    found = {each["key"].rpartition("/")[2]: each for each in answer.body["objects"]}
    rest = await agent.answered(await agent.instruct("objects", app="web", after=found["two"]["key"]))
    one = await agent.answered(await agent.instruct("objects", app="web", key=found["one"]["key"]))

    assert (answer.ok, answer.body["next"]) == (True, "")
    assert {name: each["state"] for name, each in found.items()} == {
        "one": "applied",
        "two": "drifted",
        "work": "applied",
        "bad": "failed",
    }
    assert found["one"]["uid"] == sim.store.get("v1", "ConfigMap", "web", "one")["metadata"]["uid"]
    assert (found["work"]["health"], found["bad"]["error"]["code"]) == ("Failed", "Schema")
    assert "somebody" in found["two"]["managers"]
    assert [each["key"] for each in rest.body["objects"]] == [found["work"]["key"]]
    assert one.body["objects"] == [found["one"]]
    assert not (await agent.answered(await agent.instruct("objects", app="nobody"))).ok


def events(sim):
    return {each["reason"]: each for each in sim.store.list("v1", "Event", "towline")}


async def test_what_happened_stands_in_the_cluster_as_events(agent, sim):
    """R4: on the inventory, where kubectl shows them; each once, and without what is secret."""
    secret = {**config_map("login"), "kind": "Secret", "data": {"password": "aHVudGVyMg=="}}
    await agent.release("web", [config_map("one"), config_map("old"), secret, claim("disk")])
    await agent.reported(generation=1, result="succeeded")
    assert events(sim) == {}

    sim.store.patch(secret, {"data": {"password": "c3RvbGVuMg=="}}, manager="thief")
    await agent.reported(trigger="drift")
    await agent.release("web", [config_map("one"), secret, claim("disk")])
    await agent.reported(generation=2, settled=True)
    await agent.release("web", [config_map("one"), secret, {**config_map("bad"), "nonsense": 1}])
    await agent.reported(generation=3, result="partial")
    await agent.instruct("sync")
    await agent.release("web", [config_map("one"), secret])
    await agent.reported(generation=4, result="held")
    await eventually(lambda: len(events(sim)) == 4)
    found = events(sim)
    inventory = sim.store.get("v1", "Secret", "towline", "towline-inventory-web-0")

    assert {reason: each["type"] for reason, each in found.items()} == {
        "Drift": "Normal",
        "Pruned": "Normal",
        "Failed": "Warning",
        "Held": "Warning",
    }
    assert {each["involvedObject"]["uid"] for each in found.values()} == {inventory["metadata"]["uid"]}
    assert {each["count"] for each in found.values()} == {1}
    assert "/ConfigMap:web/bad" in found["Failed"]["message"]
    assert "PersistentVolumeClaim:web/disk" in found["Held"]["message"]
    assert "thief" in found["Drift"]["message"]
    assert not any(text in str(found) for text in ("aHVudGVyMg", "c3RvbGVuMg", "hunter2", "stolen2"))


async def test_a_kind_that_may_not_be_watched_is_looked_at_at_every_interval(agent, sim):
    """I2: what no watch tells is found all the same, and put back."""
    sim.faults.forbid(lambda each: each.method == "GET" and each.path.endswith("/configmaps"))
    await agent.release("web", [config_map("one")], options={**OPTIONS, "interval": "0.2s"})
    await agent.reported(generation=1, result="succeeded")
    sim.store.patch(config_map("one"), {"data": {"a": "9"}})

    await eventually(lambda: data_of(sim, "one") == {"a": "1"})


async def test_a_warning_of_the_api_server_reaches_the_report(agent, sim):
    """D13: once, and nothing fails for it."""
    metadata = {"name": "old", "namespace": "web"}
    await agent.release("web", [{"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata, "subsets": []}])
    report = await agent.reported(generation=1, result="succeeded")

    assert sum("deprecated" in each for each in report.warnings) == 1


async def test_a_bug_with_one_object_stays_with_it(agent, sim):
    """E12: an answer that nobody foresaw fails its object as Internal; the others are applied."""
    sim.fail_next(1, 200, {"metadata": 5}, match=lambda each: each.method == "PATCH" and each.path.endswith("/odd"))
    await agent.release("web", [config_map("one"), config_map("odd")])
    report = await agent.reported(generation=1, result="partial")

    assert [(each.key, each.code) for each in report.failures] == [("/ConfigMap:web/odd", "Internal")]
    assert data_of(sim, "one") == {"a": "1"}
    await agent.reported(generation=1, result="succeeded")


async def test_after_a_failure_nothing_else_begins_where_an_app_says_so(agent, sim):
    """E8: what is later is blocked; what is earlier stays."""
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "a", "namespace": "web"}}
    bad = {**config_map("bad"), "nonsense": 1}
    await agent.release("web", [account, bad, job("work")], options={**OPTIONS, "onError": "stop"})
    report = await agent.reported(generation=1)

    assert (report.counts.failed, report.counts.skipped) == (1, 1)
    assert sim.store.get("v1", "ServiceAccount", "web", "a")
    assert sim.store.get("batch/v1", "Job", "web", "work") is None


async def test_a_wave_begins_when_the_one_before_does_well(agent, sim):
    """C9: not before, however long that takes."""
    sim.state.settle = False
    await agent.release("web", [job("first"), noted(config_map("second"), **{f"{ARGO}/sync-wave": "1"})])
    await eventually(lambda: sim.store.get("batch/v1", "Job", "web", "first"))
    await agent.release("other", [config_map("free")])
    await agent.reported("other", result="succeeded")
    assert data_of(sim, "second") is None

    done = [{"type": "Complete", "status": "True", "reason": "x", "message": ""}]
    sim.store.set_status(job("first"), {"conditions": done})
    await agent.reported("web", result="succeeded")
    assert data_of(sim, "second") == {"a": "1"}


async def test_made_changed_and_unchanged_are_counted_apart(agent, sim):
    """D5: the app's namespace is unchanged, too."""
    await agent.release("web", [config_map("one"), config_map("two")])
    await agent.reported(generation=1, result="succeeded")
    version = sim.store.get("v1", "ConfigMap", "web", "two")["metadata"]["resourceVersion"]
    await agent.release("web", [config_map("one", a="2"), config_map("two"), config_map("three")])
    counts = (await agent.reported(generation=2)).counts

    assert (counts.created, counts.patched, counts.unchanged) == (1, 1, 2)
    assert sim.store.get("v1", "ConfigMap", "web", "two")["metadata"]["resourceVersion"] == version


async def test_an_object_that_somebody_made_anew_meanwhile_is_not_taken_for_ours(agent, sim):
    """D8: the write names the UID that was seen; then adoption is decided afresh."""
    options = {**OPTIONS, "adopt": "never"}
    await agent.release("web", [config_map("one")], options=options)
    await agent.reported(generation=1, result="succeeded")
    sim.faults.hang_next(match=lambda each: each.method == "PATCH" and each.path.endswith("/configmaps/one"))
    seen = len(sim.requests)
    await agent.release("web", [config_map("one", a="2")], options=options)
    await eventually(
        lambda: any(each.method == "PATCH" and each.path.endswith("/one") for each in list(sim.requests)[seen:])
    )
    sim.store.delete("v1", "ConfigMap", "web", "one")
    sim.store.create(config_map("one", a="theirs"))
    sim.faults.release()
    report = await agent.reported(generation=2)

    assert (report.counts.failed, report.counts.patched) == (1, 0)
    assert data_of(sim, "one") == {"a": "theirs"}


async def test_what_cannot_succeed_is_sent_once_a_run(agent, sim):
    """E5: and again when a person asks."""
    options = {**OPTIONS, "retry": {"first": "1h", "max": "1h"}}
    refusal = {"kind": "Status", "status": "Failure", "reason": "Invalid", "code": 422, "message": "x is invalid"}
    sim.fail_next(1, 422, refusal, match=lambda each: each.method == "PATCH" and each.path.endswith("/one"))
    await agent.release("web", [config_map("one")], options=options)
    await agent.reported(generation=1, result="partial")
    assert sum(each.method == "PATCH" and each.path.endswith("/one") for each in sim.requests) == 1

    await agent.instruct("sync")
    await agent.reported(generation=1, result="succeeded")


async def test_a_namespace_that_is_being_deleted_is_waited_for(agent, sim):
    """C8: it is made anew when it is gone, and what belongs into it after that."""
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "later"}}
    held = {**space, "metadata": {"name": "later", "finalizers": ["example.org/hold"]}}
    sim.store.create(held)
    sim.store.delete("v1", "Namespace", "", "later")
    await agent.release("web", [space, config_map("one", namespace="later")])
    report = await agent.reported(generation=1)
    assert "Terminating" in {each.code for each in report.failures}

    sim.store.let_go(held, "example.org/hold")
    await agent.reported(generation=1, result="succeeded")
    assert sim.store.get("v1", "ConfigMap", "later", "one")


async def test_what_lacked_a_kind_is_tried_again_as_soon_as_another_app_brings_it(agent, sim):
    """E6: though its next retry by itself would be an hour away."""
    options = {**OPTIONS, "retry": {"first": "1h", "max": "1h"}}
    widget = {"apiVersion": "example.org/v1", "kind": "Widget", "metadata": {"name": "w", "namespace": "web"}}
    await agent.release("web", [config_map("one"), widget], options=options)
    report = await agent.reported(generation=1)
    assert [each.code for each in report.failures] == ["UnknownKind"]

    await agent.release("kinds", [definition()])
    await agent.reported("web", result="succeeded")
    assert sim.store.get("example.org/v1", "Widget", "web", "w")


def patches(sim, name):
    """Return for each PATCH of an object whether it only asked."""
    sent = [each for each in sim.requests if each.method == "PATCH" and each.path.endswith(f"/{name}")]
    return ["dryRun" in each.query for each in sent]


async def test_every_write_is_asked_for_beforehand_where_an_app_says_so(agent, sim):
    """D4: once an object, before the first write; what is refused is not sent, the others are."""
    options = {**OPTIONS, "preflight": "server", "retry": {"first": "1h", "max": "1h"}}
    bad = {**config_map("bad"), "nonsense": 1}
    await agent.release("web", [config_map("one"), bad], options=options)
    report = await agent.reported(generation=1)

    assert (report.result, [each.code for each in report.failures]) == ("partial", ["Schema"])
    assert (patches(sim, "one"), patches(sim, "bad")) == ([True, False], [True])


async def test_all_or_nothing(agent, sim):
    """E9: a refusal beforehand leaves the cluster and the inventory as they were; the next good bundle is applied."""
    options = {**OPTIONS, "atomic": True}
    await agent.release("web", [config_map("one")], options=options)
    await agent.reported(generation=1, result="succeeded")
    inventory = sim.store.get("v1", "Secret", "towline", "towline-inventory-web-0")["metadata"]["resourceVersion"]
    bad = {**config_map("bad"), "nonsense": 1}
    await agent.release("web", [config_map("one", a="2"), config_map("new"), bad], options=options)
    report = await agent.reported(generation=2)
    after = sim.store.get("v1", "Secret", "towline", "towline-inventory-web-0")["metadata"]["resourceVersion"]

    assert (report.result, report.reason, [each.code for each in report.failures]) == ("failed", "Failed", ["Schema"])
    assert (data_of(sim, "one"), data_of(sim, "new"), after) == ({"a": "1"}, None, inventory)

    await agent.release("web", [config_map("one", a="2"), config_map("new")], options=options)
    await agent.reported(generation=3, result="succeeded")
    assert (data_of(sim, "one"), data_of(sim, "new")) == ({"a": "2"}, {"a": "1"})


async def test_all_or_nothing_leaves_out_hooks_for_failures_too(agent, sim):
    """E9, K2: they would be something; one that failed after its first write runs them."""
    options = {**OPTIONS, "atomic": True}
    alarm = noted(config_map("alarm"), **{"towline.dev/hook": "SyncFail"})
    bad = {**config_map("bad"), "nonsense": 1}
    await agent.release("web", [config_map("one"), bad, alarm], options=options)
    report = await agent.reported(generation=1)

    assert (report.result, data_of(sim, "one"), data_of(sim, "alarm")) == ("failed", None, None)


async def test_nothing_is_pruned_while_a_definition_is_missing(agent, sim):
    """A07, F2, E7: what left the bundle goes when the last object could be applied."""
    widget = {**config_map("w"), "apiVersion": "example.org/v1", "kind": "Widget"}
    await agent.release("web", [config_map("one"), config_map("old")])
    await agent.reported(generation=1, settled=True)
    await agent.release("web", [config_map("one", a="2"), widget])
    report = await agent.reported(generation=2)

    assert [each.code for each in report.failures] == ["UnknownKind"]
    assert (report.counts.pruned, data_of(sim, "one"), data_of(sim, "old")) == (0, {"a": "2"}, {"a": "1"})

    sim.store.apply(definition_of("Widget", "example.org"))
    await agent.reported(generation=2, result="succeeded", settled=True)

    assert data_of(sim, "old") is None


async def test_a_webhook_that_cannot_be_asked_beforehand_stops_nothing(agent, sim):
    """D14: only the question is given up."""
    text = 'admission webhook "old.example.org" does not support dry run'
    answer = {"kind": "Status", "status": "Failure", "reason": "BadRequest", "code": 400, "message": text}
    sim.fail_next(1, 400, answer, match=lambda each: "dryRun" in each.query)
    await agent.release("web", [config_map("one")], options={**OPTIONS, "atomic": True})
    await agent.reported(generation=1, result="succeeded")

    assert data_of(sim, "one") == {"a": "1"}


async def test_objects_may_use_a_version_that_their_definition_gets_with_the_same_bundle(agent, sim):
    """D16: the changed definition counts at once, and its objects go on being healed."""
    both = definition()
    (first,) = both["spec"]["versions"]
    both["spec"]["versions"] = [first, {**first, "name": "v2", "storage": False}]
    widget = {"apiVersion": "example.org/v1", "kind": "Widget", "metadata": {"name": "w", "namespace": "web"}}
    await agent.release("web", [definition(), {**widget, "spec": {"size": 1}}])
    await agent.reported(generation=1, result="succeeded")
    newer = {**widget, "apiVersion": "example.org/v2", "spec": {"size": 2}}
    await agent.release("web", [both, newer])
    report = await agent.reported(generation=2)
    assert (report.result, report.failures) == ("succeeded", ())

    sim.store.patch(newer, {"spec": {"size": 9}})
    await eventually(lambda: sim.store.get("example.org/v2", "Widget", "web", "w")["spec"] == {"size": 2})


async def test_a_stateful_set_is_made_anew_while_its_pods_run_on_where_it_asks_for_that(agent, sim):
    """H6: its deletion orphans them."""

    def database(size):
        pods = {"metadata": {"labels": {"app": "db"}}, "spec": {"containers": [{"name": "c", "image": "a:1"}]}}
        template = {"metadata": {"name": "data"}, "spec": claim("data")["spec"] | {"storageClassName": size}}
        spec = {"serviceName": "db", "selector": {"matchLabels": {"app": "db"}}, "template": pods}
        return {
            "apiVersion": "apps/v1",
            "kind": "StatefulSet",
            "metadata": {"name": "db", "namespace": "web"},
            "spec": {**spec, "volumeClaimTemplates": [template]},
        }

    await agent.release("web", [database("small")])
    await agent.reported(generation=1, result="succeeded")
    uid = sim.store.get("apps/v1", "StatefulSet", "web", "db")["metadata"]["uid"]
    await agent.release("web", [database("large")])
    report = await agent.reported(generation=2)
    assert (report.failures[0].code, "--cascade=orphan" in report.failures[0].hint) == ("Immutable", True)

    asks = {"towline.dev/force": "enabled", "towline.dev/deletion-propagation": "orphan"}
    await agent.release("web", [noted(database("large"), **asks)])
    await agent.reported(generation=3, result="succeeded")
    (deletion,) = [each.deletion for each in sim.requests if each.method == "DELETE" and each.path.endswith("/db")]
    assert deletion == {"preconditions": {"uid": uid}, "propagationPolicy": "Orphan"}


async def test_a_definition_that_would_lose_objects_is_refused(agent, sim):
    """D15: though it might be made anew; its objects stay, and the rest is applied."""
    await agent.release("web", [definition()])
    await agent.reported(generation=1, result="succeeded")
    other = noted(definition(), **{"towline.dev/force": "enabled"})
    other["spec"]["versions"][0]["name"] = "v2"
    await agent.release("web", [other, config_map("one")])
    report = await agent.reported(generation=2)

    assert [each.code for each in report.failures] == ["UnsafeCRD"]
    assert [each for each in sim.requests if each.method == "DELETE"] == []
