"""The agent takes an app back: a newer release of older content, on a real bus and a simulated cluster."""

import pytest

from shared.core.status import ROLLED_BACK
from shared.messages.releases import Rollback
from tests.support.agents import config_map, running
from tests.support.definitions import definition_of

AUTOMATIC = Rollback(from_="1.2", to="1.1", commit="2" * 40, reason="it failed", actor="releaser", automatic=True)
BY_HAND = AUTOMATIC.model_copy(update={"automatic": False, "actor": "ada"})


def data_of(sim, name):
    found = sim.store.get("v1", "ConfigMap", "web", name)
    return found and found["data"]


def hook(name, **notes):
    found = config_map(name)
    found["metadata"]["annotations"] = {"towline.dev/hook": "PreSync", **notes}
    return found


async def test_a_cluster_that_was_taken_back_says_so_and_is_healed_to_what_it_runs(agent, sim):
    """L4: it runs the older content whole, reports that this is not what git says, and drift is judged by it."""
    await agent.release("web", [config_map("one", a="1")])
    await agent.reported(generation=1)
    await agent.release("web", [config_map("one", a="2"), config_map("two")])
    await agent.reported(generation=2)
    await agent.release("web", [config_map("one", a="1")], rollback=AUTOMATIC)
    report = await agent.reported(generation=3)

    assert (data_of(sim, "one"), data_of(sim, "two")) == ({"a": "1"}, None)
    assert (report.result, report.sync, report.reason) == ("succeeded", "OutOfSync", ROLLED_BACK)
    assert report.message == f"releaser took it back from {'2' * 12} to {'0' * 12}: it failed"
    await agent.stands("web", sync="OutOfSync", health="Current", reason=ROLLED_BACK)

    sim.store.delete("v1", "ConfigMap", "web", "one")
    healed = await agent.reported(generation=3, trigger="drift")

    assert data_of(sim, "one") == {"a": "1"}
    assert (healed.sync, healed.reason) == ("OutOfSync", ROLLED_BACK)

    await agent.release("web", [config_map("one", a="4")])
    await agent.reported(generation=4, sync="Synced", reason="")


async def test_going_back_deletes_nothing_that_holds_data_and_waits_for_nobody(agent, sim):
    """L3: definitions, namespaces and claims stay, and stay known; the rest goes."""
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data", "namespace": "web"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    place = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "more"}}
    kind = definition_of("Widget", "acme.io")
    await agent.release("web", [config_map("one")])
    await agent.reported(generation=1)
    await agent.release("web", [config_map("one"), config_map("two"), claim, place, kind])
    await agent.reported(generation=2)
    await agent.release("web", [config_map("one")], rollback=BY_HAND)
    report = await agent.reported(generation=3)
    left = {(each["kind"], each["metadata"]["name"]) for each in sim.store.objects()}

    assert (report.result, report.hold, report.counts.pruned, report.settled) == ("succeeded", None, 1, False)
    assert {("PersistentVolumeClaim", "data"), ("Namespace", "more")} <= left
    assert any(each == "CustomResourceDefinition" for each, _ in left)

    await agent.release("web", [config_map("one"), claim, place, kind])
    await agent.reported(generation=4, result="succeeded", settled=True)


@pytest.mark.parametrize(
    ("rollback", "ran"),
    [(AUTOMATIC, {"asks", "helms"}), (BY_HAND, {"asks", "helms", "plain"})],
    ids=["auto", "ada"],
)
async def test_an_automatic_rollback_runs_only_hooks_that_ask_for_it(agent, sim, rollback, ran):
    """L2: Helm's hooks of that name run then, and at no other time."""
    back = config_map("helms")
    back["metadata"]["annotations"] = {"helm.sh/hook": "pre-rollback"}
    hooks = [hook("plain"), hook("asks", **{"towline.dev/hook-on-rollback": "true"}), back]
    await agent.release("web", [config_map("one", a="1"), *hooks])
    await agent.reported(generation=1)
    await agent.release("web", [config_map("one", a="2"), *hooks])
    await agent.reported(generation=2)
    before = {each["metadata"]["name"]: each["metadata"]["uid"] for each in sim.store.objects()}
    await agent.release("web", [config_map("one", a="1"), *hooks], rollback=rollback)
    await agent.reported(generation=3, result="succeeded")
    after = {each["metadata"]["name"]: each["metadata"]["uid"] for each in sim.store.objects()}

    assert "helms" not in before
    assert {name for name in ("plain", "asks", "helms") if before.get(name) != after[name]} == ran

    await agent.release("web", [config_map("one", a="3"), *hooks])
    await agent.reported(generation=4, result="succeeded", settled=True)
    assert sim.store.get("v1", "ConfigMap", "web", "helms")["metadata"]["uid"] == after["helms"]


async def test_a09_what_was_signed_before_works_once_and_never_again(agent, sim):
    """A09: a replay of every older document is refused; so is an authorised rollback that was used."""
    signed = []
    for number, back in ((1, None), (2, None), (3, AUTOMATIC), (4, None)):
        await agent.release("web", [config_map("one", a="1" if back else str(number))], rollback=back)
        signed.append(await agent.envelope())
        await agent.reported(generation=number)
    before = len(sim.requests)
    for envelope in signed[:3]:
        await agent.send(envelope)
        await agent.reported("", result="refused", reason="desired.older")
    await agent.release("web", [config_map("one", a="5")])
    await agent.reported(generation=5)
    patches = [each for each in list(sim.requests)[before:] if each.method == "PATCH" and "configmaps/one" in each.path]

    assert data_of(sim, "one") == {"a": "5"}
    assert len(patches) == 1


async def test_what_an_app_may_go_back_to_needs_no_bus(pen, sim):
    """L1: the bundles of the last five that were applied whole are kept, and no more."""
    kept = []
    async with running(pen.settings(sim)):
        for number in range(1, 8):
            await pen.release("web", [config_map("one", a=str(number))])
            await pen.reported(generation=number)
            kept.append(pen.releases["web"].bundle.blob.digest)
        await pen.publish()
        await pen.until(lambda: pen.status and pen.status.generation == pen.generation)
    folder = pen.folder / f"agent-{pen.cluster}" / "bundles"

    assert {each.name for each in folder.iterdir()} == set(kept[2:])
