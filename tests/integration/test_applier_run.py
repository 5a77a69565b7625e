"""The agent on a real bus and a simulated cluster: apply, update, prune, remove, hold, refuse."""

import pytest

from shared.core import dsse
from shared.core.objects import key_of
from tests.support.agents import OPTIONS, config_map, running
from tests.support.definitions import definition_of


def data_of(sim, name, namespace="web"):
    found = sim.store.get("v1", "ConfigMap", namespace, name)
    return found and found["data"]


def writes(sim):
    return [each for each in sim.requests if each.method != "GET" and "leases" not in each.path]


async def test_a_release_is_applied_and_reported(agent, sim):
    """R1."""
    await agent.release("web", [config_map("one"), config_map("two")])
    report = await agent.reported(result="succeeded")

    assert data_of(sim, "one") == {"a": "1"}
    assert (report.counts.created, report.counts.failed, report.settled) == (3, 0, True)
    assert report.sync == "Synced"
    assert report.commits == (f"{1:040x}",)


async def test_one_changed_object_costs_one_patch_and_two_writes_of_the_inventory_and_nothing_is_read(agent, sim):
    """D3, M1."""
    maps = [config_map(f"m{number}") for number in range(20)]
    await agent.release("web", maps)
    await agent.reported(generation=1)
    sim.requests.clear()
    await agent.release("web", [config_map("m0", a="2"), *maps[1:]])
    report = await agent.reported(generation=2)

    assert data_of(sim, "m0") == {"a": "2"}
    assert report.counts.patched == 1
    assert len(writes(sim)) == len([each for each in sim.requests if "leases" not in each.path]) == 3


async def test_what_left_the_bundle_is_deleted_and_strangers_stay(agent, sim):
    """A04, invariant I6: each delete is of an object that is ours, expected, and bound to its UID."""
    await agent.release("web", [config_map("one"), config_map("two"), config_map("three")])
    await agent.reported(generation=1)
    sim.store.create(config_map("stranger"))
    uid = sim.store.get("v1", "ConfigMap", "web", "three")["metadata"]["uid"]
    await agent.release("web", [config_map("one"), config_map("two")])
    report = await agent.reported(generation=2)
    deleted = [each for each in sim.requests if each.method == "DELETE"]

    assert (data_of(sim, "three"), data_of(sim, "stranger")) == (None, {"a": "1"})
    assert (report.counts.pruned, report.settled) == (1, True)
    assert [each.path.rpartition("/")[2] for each in deleted] == ["three"]
    assert [each.deletion for each in deleted] == [{"preconditions": {"uid": uid}, "propagationPolicy": "Background"}]


async def test_an_unexpected_delete_is_held_until_it_is_approved(agent, sim):
    """F5."""
    await agent.release("web", [config_map("one"), config_map("two")])
    await agent.reported(generation=1)
    await agent.release("web", [config_map("one")], deletes=())
    held = await agent.reported(generation=2)
    assert held.result == "held"
    assert data_of(sim, "two") is not None

    await agent.release("web", [config_map("one")], deletes=(), approval=held.hold.approval)
    done = await agent.reported(generation=3)

    assert data_of(sim, "two") is None
    assert done.settled


async def test_a_tombstone_takes_the_app_off_and_leaves_no_inventory(agent, sim):
    """F12, F13."""
    await agent.release("web", [config_map("one"), config_map("two")])
    await agent.reported(generation=1)
    await agent.release("web", removed=True)
    report = await agent.reported(generation=2)

    assert (data_of(sim, "one"), report.counts.pruned, report.settled) == (None, 2, True)
    await agent.until(lambda: not list(sim.store.list("v1", "Secret", "towline")))


async def test_an_app_that_is_missing_from_the_roster_is_kept(agent, sim):
    """Invariant I7: unknown is never read as empty."""
    await agent.release("web", [config_map("one")])
    await agent.reported(generation=1)
    del agent.releases["web"]
    await agent.release("other", [config_map("two")])
    await agent.reported("other")

    assert data_of(sim, "one") == {"a": "1"}


async def test_an_object_that_changes_apps_is_handed_over(agent, sim):
    """F1: what another app wants is not deleted."""
    await agent.release("web", [config_map("one"), config_map("two")])
    await agent.reported(generation=1)
    uid = sim.store.get("v1", "ConfigMap", "web", "two")["metadata"]["uid"]
    await agent.release("other", [config_map("two")], publish=False)
    await agent.release("web", [config_map("one")])
    await agent.reported("web", generation=2)
    await agent.stands("other", sync="Synced")

    assert sim.store.get("v1", "ConfigMap", "web", "two")["metadata"]["uid"] == uid


async def test_a_kind_and_its_objects_arrive_in_one_bundle(agent, sim):
    """C6."""
    schema = {
        "type": "object",
        "properties": {"spec": {"type": "object", "properties": {"to": {"type": "string"}}}},
    }
    crd = definition_of("Tunnel", "example.org", schema)
    tunnel = {
        "apiVersion": "example.org/v1",
        "kind": "Tunnel",
        "metadata": {"name": "t", "namespace": "web"},
        "spec": {"to": "there"},
    }
    await agent.release("web", [crd, tunnel])
    await agent.reported(result="succeeded", settled=True)

    assert sim.store.get("example.org/v1", "Tunnel", "web", "t")["spec"] == {"to": "there"}


async def test_one_bad_object_stops_no_other_and_suspends_pruning(agent, sim):
    """E7: the failure names its object; nothing is pruned; the next good release heals."""
    await agent.release("web", [config_map("one"), config_map("old")])
    await agent.reported(generation=1)
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "s", "namespace": "web"},
        "spec": {"ports": [{"port": 80}], "nonsense": 1},
    }
    await agent.release("web", [config_map("one", a="2"), service])
    report = await agent.reported(generation=2)

    assert [each.key for each in report.failures] == [str(key_of(service))]
    assert report.failures[0].code == "Schema"
    assert data_of(sim, "one") == {"a": "2"}
    assert data_of(sim, "old") is not None

    await agent.release("web", [config_map("one", a="3")])
    await agent.reported(generation=3, result="succeeded")
    assert data_of(sim, "old") is None


async def test_an_immutable_change_fails_or_recreates_as_the_app_says(agent, sim):
    """H1, H2, H3, H5."""

    def job(image):
        return {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": "j", "namespace": "web"},
            "spec": {
                "template": {
                    "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": image}]},
                }
            },
        }

    await agent.release("web", [job("a:1")])
    await agent.reported(generation=1)
    await agent.release("web", [job("a:2")])
    report = await agent.reported(generation=2)
    assert report.failures[0].code == "Immutable"
    assert "a new name" in report.failures[0].hint

    await agent.release("web", [job("a:2")], options={**OPTIONS, "onImmutable": "recreate"})
    await agent.reported(generation=3, result="succeeded")

    spec = sim.store.get("batch/v1", "Job", "web", "j")["spec"]
    assert spec["template"]["spec"]["containers"][0]["image"] == "a:2"


async def test_another_managers_field_is_not_taken_when_conflicts_fail(agent, sim):
    """G3."""
    sim.store.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "web"}})
    sim.store.apply(config_map("one", a="theirs"))
    await agent.release("web", [config_map("one")], options={**OPTIONS, "conflicts": "fail"})
    report = await agent.reported(generation=1)

    assert report.failures[0].code == "Conflict"
    assert data_of(sim, "one") == {"a": "theirs"}


async def test_a_field_in_conflict_is_left_to_its_owner_when_conflicts_yield(agent, sim):
    """G3: the other fields are ours, and what was left is told."""
    sim.store.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "web"}})
    sim.store.apply(config_map("one", a="theirs"))
    await agent.release("web", [config_map("one", a="1", b="2")], options={**OPTIONS, "conflicts": "yield"})
    report = await agent.reported(generation=1)

    assert (report.result, report.failures) == ("succeeded", ())
    assert data_of(sim, "one") == {"a": "theirs", "b": "2"}
    assert ".data.a" in report.warnings[0]


async def test_an_ignored_field_is_left_to_who_took_it(agent, sim):
    """I8: whoever else owns it by now keeps it, and is not fought."""
    ignore = [{"target": {"kind": "ConfigMap"}, "paths": ["/data/a"]}]
    await agent.release("web", [config_map("one", a="1", b="1")], options={**OPTIONS, "ignore": ignore})
    await agent.reported(generation=1)
    sim.store.apply(config_map("one", a="theirs"), force=True)
    await agent.release("web", [config_map("one", a="1", b="2")], options={**OPTIONS, "ignore": ignore})
    await agent.reported(generation=2, result="succeeded")

    assert data_of(sim, "one") == {"a": "theirs", "b": "2"}


@pytest.mark.parametrize("status", [429, 503])
async def test_refusals_that_pass_are_waited_out(agent, sim, status):
    """E4, N3, F18: Retry-After is obeyed, nothing is lost, nothing fails."""
    sim.fail_next(3, status, "Too many requests, please try again later.", match=lambda each: each.method == "PATCH")
    await agent.release("web", [config_map("one")])
    report = await agent.reported(result="succeeded")

    assert report.counts.failed == 0
    assert data_of(sim, "one") == {"a": "1"}


async def test_a_partial_discovery_prunes_nothing(pen, sim):
    """F2, F19: a group that is missing from discovery makes its objects unknown, not gone."""
    nightly = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "c", "namespace": "web"},
        "spec": {
            "schedule": "0 0 * * *",
            "jobTemplate": {
                "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "a"}]}}}
            },
        },
    }
    async with running(pen.settings(sim)):
        await pen.release("web", [nightly, config_map("one"), config_map("two")])
        await pen.reported(generation=1, result="succeeded")
    sim.hide_groups("batch")
    async with running(pen.settings(sim)):
        await pen.release("web", [config_map("one")])
        await pen.reported(generation=2)
        assert data_of(sim, "two") is not None
        sim.hide_groups()
        await pen.instruct("sync")
        await pen.reported(generation=2, settled=True)

    assert data_of(sim, "two") is None
    assert sim.store.get("batch/v1", "CronJob", "web", "c") is None


async def test_a_document_signed_by_another_key_changes_nothing(agent, sim):
    """A1, A01: an unsigned or altered document is refused by name."""
    await agent.release("web", [config_map("one")])
    await agent.reported(generation=1)
    await agent.release("web", [config_map("one", a="evil")], publish=False)
    agent.generation += 1
    stranger = dsse.SigningKey.generate()
    await agent.send(await agent.envelope(key=stranger))
    report = await agent.reported("", result="refused")

    assert report.reason == "desired.unknown-key"
    assert data_of(sim, "one") == {"a": "1"}


async def test_an_older_document_is_refused(agent, sim):
    """A3, A03: accepted generations only rise."""
    await agent.release("web", [config_map("one")])
    await agent.reported(generation=1)
    old = await agent.envelope()
    await agent.release("web", [config_map("one", a="2")])
    await agent.reported(generation=2)
    await agent.send(old)
    report = await agent.reported("", result="refused")

    assert report.reason == "desired.older"
    assert data_of(sim, "one") == {"a": "2"}


async def test_a_restart_repeats_nothing(pen, sim):
    """D2, N9."""
    async with running(pen.settings(sim)):
        await pen.release("web", [config_map("one"), config_map("two")])
        await pen.reported(result="succeeded")
    before = len(writes(sim))
    async with running(pen.settings(sim)):
        await pen.until(lambda: len({each.session for each in pen.reports}) == 2)

    assert len(writes(sim)) == before


async def test_without_a_data_folder_the_cluster_keeps_the_identity(pen, sim):
    """The identity stands in the Secret `towline-agent`."""
    from services.applier.identity import FilePlace, SecretPlace
    from services.applier.kube.credentials import FixedCredentials
    from services.applier.kube.session import Session
    from services.applier.vault import Vault

    settings = pen.settings(sim)
    async with Session.connect(FixedCredentials(settings.access), agent="test") as session:
        sim.store.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "towline"}})
        await SecretPlace(Vault(session, "towline")).save(await FilePlace(settings.data).load())
    async with running(pen.settings(sim, data=None)):
        await pen.release("web", [config_map("one")])
        await pen.reported(result="succeeded")

    assert data_of(sim, "one") == {"a": "1"}
