"""The releaser on a real bus: what it decided is there, signed, and stays the same whatever the bus loses."""

import pytest
from sqlalchemy import select

from services.releaser.commands import Commands, Parts
from services.releaser.keys import load_or_make
from services.releaser.missing import PATIENCE_S
from services.releaser.publishing import Publisher
from services.releaser.restored import Restored
from services.releaser.service import VERBS
from services.releaser.store import Store
from services.releaser.tables import desired, suspensions, targets
from shared import subjects
from shared.bus.blobs import agent_place, blob_place, fetch_blob
from shared.bus.steward import ensure
from shared.bus.storing import store_blob
from shared.core.seal import seal
from shared.core.status import Health, Result, Sync
from shared.messages.facts import Command
from shared.messages.releases import ClusterIndex
from shared.messages.reports import Report
from shared.messages.sources import Lost
from tests.support.releaser import START, dg, rendered
from tests.support.releaser_hub import Agent, Hub, until


@pytest.fixture
async def hub(bus_server, tmp_path, connect):
    made = Hub(bus_server, tmp_path / "hub", connect)
    (tmp_path / "hub" / "keys" / "bus").symlink_to(tmp_path / "bus-keys")
    await made.open()
    return made


async def test_an_agent_joins_and_reads_what_was_rendered_for_it(hub, connect):
    async with hub.running():
        agent = await hub.join("c1", labels={"env": "dev"})
        bus = await connect(agent.credentials())
        document, releases = await agent.reads(bus)
        assert (document.cluster, document.hub, releases) == ("c1", agent.token["root"], {})

        await hub.render(rendered(1, {("c1", "web"): "a"}))
        _, releases = await agent.reads(bus, "web", "a")
        blob = releases["web"]["bundle"]["blob"]
        reference = (await hub.bundle("a")).blob
        await fetch_blob(bus, agent_place(subjects.SHARED), reference, limit_bytes=1 << 20)
        assert (blob["digest"], blob["key"]) == (reference.digest, reference.key)

        async def told():
            stored = await hub.renderer.last(subjects.CLUSTERS, subjects.cluster(subjects.HUB))
            found = ClusterIndex.from_bytes(stored.data).clusters
            return [(each.cluster, each.membership, each.labels) for each in found] == [
                ("c1", "joined", {"env": "dev"})
            ]

        await until(told)


async def test_a_report_that_settles_narrows_what_the_next_release_may_delete(hub, connect):
    async with hub.running():
        agent = await hub.join("c1")
        bus = await connect(agent.credentials())
        await hub.render(rendered(1, {("c1", "web"): "a"}))
        await agent.reads(bus, "web", "a")
        await hub.render(rendered(2, {("c1", "web"): "b"}))
        _, releases = await agent.reads(bus, "web", "b")
        assert releases["web"]["deletes"] == ["/ConfigMap:web/one"]

        report = Report(
            id="1",
            session="s",
            counter=1,
            cluster="c1",
            app="web",
            epoch=1,
            generation=2,
            result=Result.SUCCEEDED,
            sync=Sync.SYNCED,
            health=Health.CURRENT,
            settled=True,
            started_at=START,
            finished_at=START,
        )
        await bus.publish(subjects.report("c1", "result"), report.to_bytes())

        async def taken():
            async with Store.open(hub.settings().database_url) as store, store.reading() as view:
                rows = await view.rows(select(targets.c.runs))
            return [list(run) for run in rows[0].runs] == [[1, 2, dg("b")]]

        await until(taken)


async def test_a14_a_wiped_bus_gets_everything_back_byte_for_byte(hub, connect):
    """A14, A03."""
    async with hub.running():
        agent = await hub.join("c1")
        await hub.render(rendered(1, {("c1", "web"): "a"}))
        await agent.reads(await connect(agent.credentials()), "web", "a")
        before = await hub.desired("c1")
        await hub.wipe()

        async def asked():
            found = await hub.steward.stored_subjects(subjects.COMMANDS, "towline.command.poller.*")
            return list(found)

        assert await until(asked)
        assert await hub.desired("c1") is None

        await hub.bundle("a")

        async def back():
            return await hub.desired("c1") == before

        assert await until(back)
        assert await until(lambda: hub.renderer.last(subjects.CLUSTERS, subjects.cluster("c1")))


async def test_a14_what_only_an_older_commit_brings_is_asked_for_by_that_commit(hub, connect):
    """A14: a cluster was taken back, and the bus is lost: the present commit brings its bundle no more."""
    async with hub.running():
        agent = await hub.join("c1")
        bus = await connect(agent.credentials())
        await hub.render(rendered(1, {("c1", "web"): "a"}))
        await agent.reads(bus, "web", "a")
        await hub.render(rendered(2, {("c1", "web"): "b"}))
        await agent.reads(bus, "web", "b")
        answer = await hub.give("rollback", cluster="c1", app="web", to="1.1")
        assert answer.data["ok"], answer.message
        _, releases = await agent.reads(bus, "web", "a")
        before = await hub.desired("c1")
        await hub.wipe()

        assert await until(lambda: asked_poller(hub, "render"))
        assert await asked_poller(hub, "restore") is None

        await hub.render(rendered(2, {("c1", "web"): "b"}))
        command = await until(lambda: asked_poller(hub, "restore"))
        made = releases["web"]

        assert command.arguments["source"] == "fleet"
        (lost,) = (Lost.model_validate(each) for each in command.arguments["lost"])
        assert (lost.apps, [each.commit for each in lost.provenance]) == (("web",), [made["provenance"][0]["commit"]])
        assert [each.digest for each in lost.blobs] == [made["bundle"]["blob"]["digest"]]

        await hub.bundle("a")

        async def back():
            return await hub.desired("c1") == before

        assert await until(back)


async def test_content_that_nobody_can_make_again_holds_no_cluster_back_for_ever(hub, connect):
    """A14: the other apps of a cluster go on; its agent has the lost bundle, or says that it lacks it."""
    async with hub.running():
        agent = await hub.join("c1")
        await hub.render(rendered(1, {("c1", "web"): "a", ("c1", "api"): "b"}))
        await agent.reads(await connect(agent.credentials()), "web", "a")
        before = await hub.desired("c1")
    await hub.wipe()
    await hub.bundle("b")
    settings, now = hub.settings(), [0.0]
    async with Store.open(settings.database_url) as store, hub.server.bus("releaser") as bus:
        publisher = Publisher(bus, store, load_or_make(settings.keys), Restored(), lambda: now[0])
        await publisher.compare(emptied=True)
        await publisher.publish()

        assert await hub.desired("c1") is None

        now[0] += PATIENCE_S
        await publisher.publish()

        assert await hub.desired("c1") == before


async def asked_poller(hub, verb):
    """Return the last command of a kind to the poller, None without one."""
    found = None
    for sequence in range(1, (await hub.steward.api("STREAM.INFO.COMMANDS", {}))["state"]["last_seq"] + 1):
        stored = await hub.steward.stored_at_sequence(subjects.COMMANDS, sequence)
        if stored is not None and ".poller." in stored.subject:
            command = Command.from_bytes(stored.data)
            found = command if command.verb == verb else found
    return found


async def test_what_was_decided_before_a_crash_is_published_at_the_next_start(hub):
    async with hub.running():
        await hub.join("c1")
        await hub.join("c2")
    command = Command(id="1", verb="suspend", arguments={"cluster": "c1"}, actor="ada", at=START)
    before = await hub.desired("c1"), await hub.desired("c2")
    await _decide_without_a_bus(hub, command)

    async with hub.running():

        async def published():
            return await hub.desired("c1") != before[0] and await hub.facts("suspended")

        await until(published)
    assert await hub.desired("c2") == before[1]


async def _decide_without_a_bus(hub, command):
    settings = hub.settings()
    parts = Parts(load_or_make(settings.keys), hub.server.keys, Restored(), lambda: "", ())
    async with Store.open(settings.database_url) as store:
        await Commands(store, parts, VERBS).carry_out(command)


async def test_f31_an_older_database_publishes_nothing_until_it_is_adopted(hub, connect):
    """F31."""
    async with hub.running():
        agent = await hub.join("c1")
        bus = await connect(agent.credentials())
        await agent.reads(bus)
    backup = hub.backup()
    async with hub.running():
        await hub.render(rendered(1, {("c1", "web"): "a"}))
        await agent.reads(bus, "web", "a")
    hub.restore(backup)
    newest = await hub.desired("c1")
    async with hub.running() as life:
        await _noticed(life)
        await hub.render(rendered(2, {("c1", "web"): "b"}))
        assert "towline hub adopt" in life.readiness()["parts"]["publishing"]["why"]
        assert await hub.desired("c1") == newest

        answer = await hub.give("adopt")
        assert answer.data["ok"]
        document, releases = await agent.reads(bus, "web", "b")
        assert (document.epoch, releases["web"]["epoch"]) == (2, 2)


async def test_f31_what_waits_when_an_older_database_starts_is_not_released(hub):
    """F31: a release that nobody will publish is not stated either, and takes no number twice."""
    async with hub.running():
        await hub.join("c1")
    backup = hub.backup()
    async with hub.running():
        await hub.render(rendered(1, {("c1", "web"): "a"}))
        await until(lambda: hub.facts("released"))
    hub.restore(backup)
    await hub.render(rendered(2, {("c1", "web"): "b"}))

    async with hub.running() as life:
        await _noticed(life)
        await until(lambda: hub.rows(targets))

    assert len(await hub.facts("released")) == 1
    assert [(row["state"], row["generation"]) for row in await hub.rows(targets)] == [("", 0)]


async def test_f31_a_cluster_that_only_the_bus_knows_shows_an_older_database(hub):
    """F31: it joined after the backup."""
    async with hub.running():
        await hub.join("c1")
    backup = hub.backup()
    async with hub.running():
        await hub.join("c2")
    hub.restore(backup)

    async with hub.running() as life:
        assert "c2 knows 1.1" in await _noticed(life)


async def test_f31_nothing_is_released_while_the_bus_cannot_be_compared(hub):
    """F31: what time brings waits too; nobody can say yet whether this database is the newest."""
    async with hub.running():
        await hub.join("c1")
    over = {"cluster": "c1", "app": "", "reason": "", "by": "ada", "until": "2026-01-01T00:00:00.000000Z"}
    async with Store.open(hub.settings().database_url) as store, store.deciding() as tx:
        await tx.put(suspensions, [over])
    before = await hub.rows(desired)
    await hub.steward.api("STREAM.DELETE.DESIRED", {})
    async with hub.running() as life:

        async def waits():
            return life.readiness()["parts"].get("releaser", {}).get("why")

        assert await until(waits)
        assert await hub.rows(desired) == before
        await ensure(hub.steward)

        async def released():
            return await hub.rows(desired) != before

        await until(released)


async def _noticed(life):
    """Return what people are told once it is known that the database is older."""

    async def told():
        return life.readiness()["parts"].get("publishing", {}).get("why")

    return await until(told)


async def test_a_token_works_once_and_only_with_a_proven_key(hub):
    async with hub.running():
        token = await hub.token("c1")
        first, second = Agent(hub, "c1", token), Agent(hub, "c1", token)
        forged = {**first.enrolment(token["secret"]), "public_key": second.public}
        assert (await hub.give("enrol", **forged)).data["code"] == "enrol.proof"
        assert (await hub.give("enrol", **first.enrolment("other"))).data["code"] == "enrol.token-unknown"

        assert (await hub.give("enrol", **first.enrolment(token["secret"]))).data["ok"]
        again = await hub.give("enrol", **first.enrolment(token["secret"]))
        assert again.data["ok"], "an answer that got lost can be asked for again"
        assert (await hub.give("enrol", **second.enrolment(token["secret"]))).data["code"] == "enrol.token-used"


async def test_a_second_kubernetes_cluster_under_one_name_cuts_both_off(hub, connect):
    """F24."""
    async with hub.running():
        agent = await hub.join("c1")
        bus = await connect(agent.credentials())
        await agent.reads(bus)
        token = await hub.token("c1")
        other = Agent(hub, "c1", token, uid="another")
        answer = await hub.give("enrol", **other.enrolment(token["secret"]))
        assert answer.data["code"] == "enrol.second-uid"

        async def cut_off():
            return not bus.connected

        await until(cut_off)
        assert await hub.facts("cluster-quarantined")


async def test_a_revoked_agent_is_cut_off_and_may_not_renew(hub, connect):
    async with hub.running():
        agent = await hub.join("c1")
        bus = await connect(agent.credentials())
        assert (await hub.give("cluster-revoke", cluster="c1")).data["ok"]

        async def cut_off():
            return not bus.connected

        await until(cut_off)
        renewal = {"cluster": "c1", "public_key": agent.public, "nonce": "n", "proof": "00", "uid": agent.uid}
        assert (await hub.give("renew", **renewal)).data["code"] == "enrol.unknown"


async def test_a_desired_document_waits_for_its_bundles(hub, connect):
    async with hub.running():
        agent = await hub.join("c1")
        bus = await connect(agent.credentials())
        await agent.reads(bus)
        before = await hub.desired("c1")
        await hub.render(rendered(1, {("c1", "web"): "a"}), store=False)

        async def asked():
            return await hub.steward.stored_subjects(subjects.COMMANDS, "towline.command.poller.*")

        await until(asked)
        assert await hub.desired("c1") == before

        sealed = seal(b"content of a", b"s" * 32)
        await store_blob(hub.renderer, blob_place(subjects.SHARED), sealed.data)
        await agent.reads(bus, "web", "a")
