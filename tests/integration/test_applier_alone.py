"""One agent among others and without them: the lease, another cluster, a bus that stays away, a new credential."""

import os
import signal
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from services.applier.identity import FilePlace, SecretPlace
from services.applier.kube.credentials import FixedCredentials
from services.applier.kube.session import Session
from services.applier.outbox import Outbox
from services.applier.reporting import About, Reporting
from services.applier.settings import Pace
from services.applier.vault import Vault
from services.applier.verify import Accepted
from shared.bus.keys import public_of
from tests.support.agents import OPTIONS, QUICK_AGENT, config_map, eventually, killed_agent, running

NOWHERE = "nats://127.0.0.1:9"
SHORT_LEASE = replace(QUICK_AGENT, lease_s=1.0, renew_lease_s=0.2)


def data_of(sim, name):
    found = sim.store.get("v1", "ConfigMap", "web", name)
    return found and found["data"]


def writes(sim):
    return [each for each in sim.requests if each.method != "GET" and "leases" not in each.path]


async def applied(pen, *objects):
    await pen.release("web", list(objects) or [config_map("one"), config_map("two")])
    return await pen.reported(result="succeeded")


async def left_by_a_killed_agent(pen, sim, *objects):
    """Leave a cluster as an agent does that was killed after its first release: its lease runs on for a second."""
    async with killed_agent(pen.settings(sim, pace=SHORT_LEASE)):
        await applied(pen, *objects)
    lease = sim.store.get("coordination.k8s.io/v1", "Lease", "towline", "towline-agent")
    sim.store.patch(lease, {"spec": {"holderIdentity": "one that was killed"}})


async def move_identity(pen, sim, *, bus=""):
    """Put the identity of the pen's agent into its cluster's Secret."""
    if bus:
        pen.enrol(sim, bus=bus)
    settings = pen.settings(sim)
    async with Session.connect(FixedCredentials(settings.access), agent="test") as session:
        await SecretPlace(Vault(session, "towline")).save(await FilePlace(settings.data).load())


async def test_without_a_data_folder_a_restart_without_the_bus_heals_all_the_same(pen, sim):
    """N2, L1: what was accepted last stands in Secrets of the cluster, and the last five bundles to go back to."""
    sim.store.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "towline"}})
    await move_identity(pen, sim)
    async with running(pen.settings(sim, data=None)):
        await applied(pen)
        for number in range(2, 8):
            await pen.release("web", [config_map("one", a=str(number)), config_map("two")])
            await pen.reported(generation=number, result="succeeded")
    await move_identity(pen, sim, bus=NOWHERE)
    sim.store.delete("v1", "ConfigMap", "web", "one")
    async with running(pen.settings(sim, data=None)):
        await eventually(lambda: data_of(sim, "one") == {"a": "7"})

    kept = {each["metadata"]["name"] for each in sim.store.list("v1", "Secret", "towline")}
    assert len([each for each in kept if each.startswith("towline-kept-bundles-")]) == 5


async def test_a_bus_that_does_not_answer_changes_nothing_but_healing(agent, sim, bus_server):
    """N2, A01: hub and bus gone: no write but healing, no delete, and all goes on when they are back."""
    await applied(agent)
    os.kill(bus_server.server.pid, signal.SIGSTOP)
    try:
        sim.store.create(config_map("stranger"))
        before = len(writes(sim))
        for _ in range(3):
            sim.store.delete("v1", "ConfigMap", "web", "one")
            await eventually(lambda: data_of(sim, "one"))
        healing = writes(sim)[before:]
    finally:
        os.kill(bus_server.server.pid, signal.SIGCONT)

    assert {each.method for each in healing} == {"PATCH"}
    told = ("secrets", "configmaps/one", "events/towline-web.drift")
    assert not [each for each in healing if not any(part in each.path for part in told)]
    await agent.release("web", [config_map("one", a="2")])
    await agent.reported(generation=2, result="succeeded")


def test_an_agent_that_reads_nothing_for_long_says_so():
    """A01: stale is said, and changes nothing else."""
    about = About("c1", "s", "0.1", "v1.33", "uid", {})
    voice = Reporting(about, Outbox(None), Pace(stale_s=300.0), Accepted, {})

    assert not voice.status().stale
    voice.read_at -= 301.0
    assert voice.status().stale


async def test_a_renewal_by_instruction_is_kept_and_used(agent, sim, bus_server):
    """The hub sends a new credential for the same key before the old one ends."""
    await applied(agent)
    place = FilePlace(agent.settings(sim).data)
    old = await place.load()
    fresh = bus_server.agent("sim-0001", old.seed, public_of(old.seed))
    expires = (datetime.now(UTC) + timedelta(days=3)).isoformat()
    asked = await agent.instruct("renew", user_jwt=fresh.jwt, expires=expires, bus=[bus_server.url])
    answer = await agent.until(lambda: next((each for each in agent.answers if each.id == asked), None))

    assert answer.ok
    assert ((await place.load()).user_jwt, (await place.load()).expires) == (fresh.jwt, expires)
    await agent.release("web", [config_map("one", a="2")])
    await agent.reported(generation=2, result="succeeded")


async def test_an_agent_that_is_refused_asks_seldom_and_heals(pen, sim, bus_server):
    """No hot loop: neither the bus nor the hub is asked more than once in `refused_s`."""
    pen.enrol(sim, credentials=bus_server.agent("sim-0001", hours=-1))
    async with running(pen.settings(sim, pace=replace(QUICK_AGENT, refused_s=3600))) as task:
        await eventually(lambda: sim.store.list("coordination.k8s.io/v1", "Lease", "towline"))

        assert not task.done()


async def test_another_cluster_at_the_same_address_is_not_written_to(agent, sim, sims):
    """N5: the UID of kube-system is the cluster's identity; in a new one nothing is written, no matter what is asked."""
    await applied(agent)
    other = (await sims(2))[1]
    sim.state = other.state
    await agent.release("web", [config_map("one", a="2")])
    await agent.stands("web", sync="Held", reason="ClusterReplaced")

    # What was sent is bound to UIDs that are not there.
    assert sim.store.list("v1", "Secret", "towline") == []
    assert data_of(sim, "one") is None


async def test_a_standby_takes_over_as_soon_as_the_first_stops(pen, sim):
    """M5, F24: a clean stop gives the lease up; the next agent deletes at once, for nobody else can be writing."""
    settings = pen.settings(sim, pace=replace(QUICK_AGENT, renew_lease_s=0.2))
    async with AsyncExitStack() as first:
        await first.enter_async_context(running(settings))
        await applied(pen)
        async with running(settings):
            await first.aclose()
            await pen.release("web", [config_map("one", a="2")])
            report = await pen.reported(generation=2, result="succeeded")

    assert data_of(sim, "two") is None
    assert len({each.session for each in pen.reports}) == 2
    assert report.counts.pruned == 1


async def test_a_standby_takes_over_when_the_lease_of_a_killed_agent_ends(pen, sim):
    """M4: it waits for one whole lease, and deletes nothing for another one."""
    await left_by_a_killed_agent(pen, sim)
    async with running(pen.settings(sim, pace=SHORT_LEASE)):
        await pen.release("web", [config_map("one", a="2")])
        await eventually(lambda: data_of(sim, "one") == {"a": "2"})
        await eventually(lambda: data_of(sim, "two") is None)

    taken = [each for each in sim.requests if each.method in {"PUT", "PATCH", "DELETE"}]
    assert [each.method for each in taken if "configmaps/two" in each.path][-1] == "DELETE"


async def test_after_a_killed_agent_a_release_that_drops_nothing_succeeds_at_once(pen, sim):
    """F04: who comes after waits with deletions only; a commit that needs none is no failure."""
    await left_by_a_killed_agent(pen, sim)
    # For an hour from the takeover on no deletion is allowed.
    async with killed_agent(pen.settings(sim, pace=replace(SHORT_LEASE, lease_s=3600.0))):
        await pen.release("web", [config_map("one", a="2"), config_map("two")])
        report = await pen.reported(generation=2)

    assert (report.result, report.settled) == ("succeeded", True)


async def test_after_a_killed_agent_deletions_wait_and_the_release_is_applying_meanwhile(pen, sim):
    """M4, F04: what needs no deletion is done at once; nothing is reported before the rest is, and then as one run."""
    fixed = {**config_map("fixed"), "immutable": True}
    await left_by_a_killed_agent(pen, sim, config_map("one"), config_map("two"), fixed)
    async with running(pen.settings(sim, pace=replace(SHORT_LEASE, lease_s=2.0))):
        options = {**OPTIONS, "onImmutable": "recreate"}
        await pen.release("web", [config_map("one", a="2"), {**fixed, "data": {"a": "2"}}], options=options)
        await pen.stands("web", sync="Applying", reason="DeletionsWait")
        meanwhile = [data_of(sim, name) for name in ("one", "two", "fixed")]
        report = await pen.reported(generation=2)

    assert meanwhile == [{"a": "2"}, {"a": "1"}, {"a": "1"}]
    assert [data_of(sim, name) for name in ("one", "two", "fixed")] == [{"a": "2"}, None, {"a": "2"}]
    assert (report.result, report.settled) == ("succeeded", True)
    assert (report.counts.patched, report.counts.pruned, report.counts.failed) == (2, 1, 0)


async def test_an_inventory_that_became_an_older_one_is_read_again(agent, sim):
    """N5: as after a restored etcd: what this agent remembers is not what its cluster knows, and is given up."""
    await applied(agent)
    older = sim.store.get("v1", "Secret", "towline", "towline-inventory-web-0")
    await agent.release("web", [config_map("one"), config_map("two"), config_map("three")])
    await agent.reported(generation=2)
    sim.store.patch(older, {"data": older["data"]})
    await agent.release("web", [config_map("one"), config_map("three", a="2")])
    report = await agent.reported(generation=3, settled=True)

    assert (report.result, report.counts.pruned) == ("succeeded", 1)
    assert [data_of(sim, name) for name in ("one", "two", "three")] == [{"a": "1"}, None, {"a": "2"}]
