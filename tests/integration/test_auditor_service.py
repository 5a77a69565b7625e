"""The auditor with a real bus: what the line says is in the ledger once, shown, told, and nothing else is believed."""

import asyncio
import sqlite3
import stat
from base64 import b64encode
from contextlib import closing
from datetime import UTC, datetime

import pytest
from nacl.encoding import HexEncoder
from nacl.public import PublicKey, SealedBox

from services.auditor.attending import Attendant
from services.auditor.presence import Attendance
from services.auditor.store import Store
from shared import subjects
from shared.bus.blobs import blob_place
from shared.bus.storing import store_blob
from shared.core.canonical import encode
from shared.core.seal import compress
from shared.core.status import Health, Sync
from shared.errors import PermanentError, TransientError
from shared.messages.facts import CloudEvent, Command, Fact
from shared.messages.releases import Enrolment
from shared.messages.reports import Answer, Heartbeat
from tests.support import line_messages as made
from tests.support.auditor_line import DEADLINE_S, auditing, speakers

WEB = {("c1", "web"): "a"}


@pytest.fixture
async def line(bus_server):
    async with speakers(bus_server) as found:
        yield found


def whole_line(number=1):
    return (
        made.cluster("c1"),
        made.revision(number),
        made.rendered(number, WEB),
        made.released(number, WEB),
        made.report("c1", "web", number),
        made.status("c1", {"web": (number, Sync.SYNCED, Health.CURRENT)}, second=number + 1),
    )


def healthy(revision):
    return revision["state"] == "healthy"


async def told(server, count):
    """Return the first `count` events as a subscriber reads them."""
    async with server.bus("steward") as steward, asyncio.timeout(DEADLINE_S):
        found = []
        while len(found) < count:
            stored = await steward.stored_at_sequence(subjects.EVENTS, len(found) + 1)
            if stored is None:
                await steward.pause(0.02)
            else:
                found.append((stored.subject, CloudEvent.from_bytes(stored.data)))
        return found


async def test_a_commit_is_followed_from_git_to_its_clusters(bus_server, line, tmp_path):
    async with auditing(bus_server, tmp_path) as asker:
        await line.say(*whole_line())
        found = await asker.until("/api/v1/revisions", lambda found: any(map(healthy, found["items"])))
        target = await asker.get("/api/v1/targets/c1/web")

    assert found["items"][0]["commit"] == made.commit_id(1)
    assert (target["sync"], target["health"], target["generation"]) == ("Synced", "Current", 1)


async def test_what_is_delivered_again_changes_nothing(bus_server, line, tmp_path):
    """I4: the same messages thrice, over a restart of the auditor."""
    for _ in range(2):
        await line.say(*whole_line())
        async with auditing(bus_server, tmp_path) as asker:
            await asker.until("/api/v1/events?types=apply", lambda found: found["items"])
            await line.say(*whole_line(), made.report("c1", "web", 2))
            await asker.until("/api/v1/events?types=apply", lambda found: len(found["items"]) == 2)
    async with Store.open(f"sqlite+aiosqlite:///{tmp_path / 'auditor.db'}") as store:
        keys = [entry.key for entry in await store.entries(0)]
        broken = await store.verify()

    assert len(keys) == len(set(keys)) == 6
    assert broken is None


async def test_every_event_is_told_in_the_order_of_the_ledger(bus_server, line, tmp_path):
    async with auditing(bus_server, tmp_path):
        await line.say(*(made.revision(number) for number in range(1, 81)))
        first = await told(bus_server, 80)
    async with auditing(bus_server, tmp_path):
        await line.say(made.revision(81))
        last = (await told(bus_server, 81))[-1]

    assert [event.id for _, event in first] == [str(number) for number in range(1, 81)]
    assert {event.source for _, event in first} == {"/towline/hub1"}
    assert last[0] == "towline.event.hub.-.-.revision-observed"
    assert last[1].id == "81"


async def test_a_large_listing_is_fetched(bus_server, line, tmp_path):
    rendered = made.rendered(1, WEB)
    stored = await store_blob(
        line.renderer, blob_place(subjects.HUB), compress(encode(rendered.listing.model_dump(mode="json")))
    )
    async with auditing(bus_server, tmp_path) as asker:
        await line.say(rendered.model_copy(update={"listing": None, "listing_blob": stored}))
        await asker.until("/api/v1/events", lambda found: found["items"])
        targets = await asker.get("/api/v1/targets")

    assert [each["app"] for each in targets["items"]] == ["web"]


async def test_a_listing_that_is_gone_makes_no_target_vanish(bus_server, line, tmp_path):
    gone = made.rendered(2, WEB).model_copy(
        update={"listing": None, "listing_blob": made.rendered(2, WEB).listing.bundles[made.bundle_id("a")].blob}
    )
    async with auditing(bus_server, tmp_path) as asker:
        await line.say(made.rendered(1, WEB))
        await asker.until("/api/v1/events", lambda found: len(found["items"]) == 1)
        await line.say(gone)
        events = await asker.until("/api/v1/events", lambda found: len(found["items"]) == 2)
        targets = await asker.get("/api/v1/targets")

    assert events["items"][0]["data"]["complete"] is False
    assert [each["app"] for each in targets["items"]] == ["web"]


async def test_an_agent_cannot_speak_for_another_cluster(bus_server, line, tmp_path):
    async with auditing(bus_server, tmp_path) as asker:
        await line.say(made.report("c2", "web", 1), made.status("c2", {}, second=1))
        dropped = await asker.until("/api/v1/events?types=message", lambda found: len(found["items"]) == 2)
        events = await asker.events()

    assert set(events) == {"message.dropped"}
    assert all("'c1' sent a message in the name of 'c2'" in each["data"]["message"] for each in dropped["items"])


def letters_in(folder):
    with closing(sqlite3.connect(folder / "auditor.db")) as database:
        return database.execute("SELECT stream, subject, reason, content FROM dead_letters").fetchall()


async def test_a_message_that_is_none_is_kept_without_its_keys(bus_server, line, tmp_path):
    subject = subjects.revision("fleet", "refs/heads/main")
    async with auditing(bus_server, tmp_path) as asker:
        await line.poller.publish(subject, b'{"source": "fleet", "packs": [{"digest": "d", "key": "k3y"}]}')
        dropped = await asker.until("/api/v1/events?types=message", lambda found: found["items"])

    (stream, named, reason, content), *others = letters_in(tmp_path)
    assert "Revision: number: Field required" in dropped["items"][0]["data"]["message"]
    assert (stream, named, others) == ("REVISIONS", subject, [])
    assert "message.invalid" in reason
    assert b"fleet" in content
    assert b"k3y" not in content


@pytest.mark.parametrize("refuses", [True, False], ids=["refused", "delivered too often"])
async def test_what_a_program_gave_up_leaves_the_work_queue(bus_server, line, tmp_path, refuses):
    await line.poller.publish(subjects.render("fleet"), b"{}")

    async def give_up(_):
        raise PermanentError("no request") if refuses else TransientError("not now")

    async with auditing(bus_server, tmp_path) as asker, asyncio.TaskGroup() as tasks:
        tasks.create_task(line.renderer.consume(subjects.Durable(subjects.RENDER, "renderer"), give_up))
        await asker.until("/api/v1/events?types=message", lambda found: found["items"])
        line.renderer.stop_intake()
    async with bus_server.bus("steward") as steward:
        left = await steward.stored_at_sequence(subjects.RENDER, 1)

    assert letters_in(tmp_path)[0][:2] == ("RENDER", "towline.render.fleet")
    assert left is None


async def test_an_agents_answer_and_a_report_of_an_unknown_cluster_are_events(bus_server, line, tmp_path):
    answer = Answer(id="i1", cluster="c1", ok=True, message="done", at=made.at(1))
    async with auditing(bus_server, tmp_path) as asker:
        await line.say(answer, made.report("c1", "web", 1))
        found = await asker.until("/api/v1/events", lambda found: len(found["items"]) == 2)

    assert {each["type"] for each in found["items"]} == {
        "dev.towline.instruction.answered.v1",
        "dev.towline.apply.succeeded.v1",
    }


def beat(cluster="c1"):
    return Heartbeat(cluster=cluster, session="s1", at=datetime.now(UTC))


async def test_a_heartbeat_makes_a_cluster_connected(bus_server, line, tmp_path):
    async with auditing(bus_server, tmp_path) as asker:
        await line.say(made.cluster("c1"))
        await asker.until("/api/v1/clusters", lambda found: found["items"])
        await line.agent.send(subjects.heartbeat("c1"), beat("c2").to_bytes())
        await line.agent.send(subjects.heartbeat("c1"), beat().to_bytes())
        cluster = await asker.until("/api/v1/clusters/c1", lambda found: found["state"] == "connected")
        events = await asker.events("cluster")

    assert cluster["last_seen"]
    assert events == ["cluster.registered", "cluster.connected"]


async def test_a_silent_agent_is_gone_and_its_last_sign_is_kept(bus_server, tmp_path):
    clock = [0.0]
    async with bus_server.bus("auditor") as bus, Store.open(f"sqlite+aiosqlite:///{tmp_path / 'a.db'}") as store:
        await bus.wait_connected()
        attendant = Attendant(store, bus, lambda: clock[0], Attendance())
        async with bus_server.bus("c1") as agent, bus.subscribe(subjects.heartbeat("*")) as signs:
            await agent.send(subjects.heartbeat("c1"), beat().to_bytes())
            attendant.take(await anext(signs))
        await attendant.write()
        # The next auditor gives it the full time again.
        clock[0] = 1000.0
        later = Attendant(store, bus, lambda: clock[0], Attendance())
        await later.remember()
        clock[0] = 1089.0
        later.look_round()
        await later.write()
        still = [entry.type for entry in await store.entries(0)]
        clock[0] = 1091.0
        later.look_round()
        await later.write()
        gone = [entry.type for entry in await store.entries(0)]
    with closing(sqlite3.connect(tmp_path / "a.db")) as database:
        row = database.execute("SELECT present, session, last_seen FROM presences").fetchone()

    assert (still, gone) == (["cluster.connected"], ["cluster.connected", "cluster.lost"])
    assert row[:2] == (0, "s1")
    assert row[2]


async def answer_commands(bus, commands, answers):
    """Answer commands as the releaser would: verb → function of the command to the fact's data."""

    async def take(delivery):
        command = Command.from_bytes(delivery.data)
        commands.append(command)
        fact = Fact(
            id=f"done-{command.id}",
            program="releaser",
            type="command-done",
            command=command.id,
            data={"ok": True, "code": "", "result": answers[command.verb](command)},
            at=datetime.now(UTC),
        )
        await bus.publish(subjects.fact("releaser", "command-done"), fact.to_bytes())

    durable = subjects.Durable(subjects.COMMANDS, "releaser")
    await bus.consume(durable, take)


async def test_a_cluster_is_added_and_its_agent_enrols_over_the_bus(bus_server, line, tmp_path):
    enrolment = Enrolment(
        cluster="c1", hub="hub1", user_jwt="canary-jwt", expires=made.at(0), key_set="{}", bus=("nats://127.0.0.1:1",)
    )
    answers = {
        "cluster-add": lambda command: {
            "sealed": b64encode(
                SealedBox(PublicKey(command.arguments["reply_key"].encode(), HexEncoder)).encrypt(b"canary-token")
            ).decode(),
            "expires_at": "2026-11-25T00:00:00.000Z",
        },
        "enrol": lambda _: enrolment.model_dump(mode="json", by_alias=True),
    }
    asked = {
        "cluster": "c1",
        "secret": "canary-secret",
        "public_key": "U",
        "nonce": "n",
        "proof": "00",
        "uid": "u",
    }
    commands = []
    async with auditing(bus_server, tmp_path) as asker, asyncio.TaskGroup() as tasks:
        tasks.create_task(answer_commands(line.releaser, commands, answers))
        async with asker.session.post(asker.url + "/api/v1/clusters", json={"name": "c1"}) as added:
            token = await added.json()
        async with asker.session.post(asker.url + "/enrol/v1", json=asked) as enrolled:
            got = Enrolment.model_validate(await enrolled.json())
        well_known = await asker.get("/.well-known/towline")
        hub = await asker.get("/enrol/v1/hub")
        line.releaser.stop_intake()

    assert token["token"] == "canary-token"
    assert got.user_jwt == "canary-jwt"
    assert well_known == {"hub": "hub1", "bus": ["nats://127.0.0.1:4222"], "http": asker.url}
    assert hub == {"hub": "hub1", "key_set": "{}"}
    for file in tmp_path.glob("auditor.db*"):
        assert b"canary" not in file.read_bytes()
    assert "secret" not in commands[1].arguments


async def test_the_token_is_made_once_for_the_hubs_user_only(bus_server, tmp_path):
    async with auditing(bus_server, tmp_path) as asker:
        await asker.get("/api/v1/clusters")
    token = (tmp_path / "admin.token").read_text()
    async with auditing(bus_server, tmp_path) as asker:
        await asker.get("/api/v1/clusters")

    assert (tmp_path / "admin.token").read_text() == token
    assert stat.S_IMODE((tmp_path / "admin.token").stat().st_mode) == 0o600


async def test_a_second_auditor_on_the_same_folder_is_refused_by_name(bus_server, tmp_path):
    async with auditing(bus_server, tmp_path):
        with pytest.raises(ExceptionGroup) as failed:
            async with auditing(bus_server, tmp_path):
                pass

    assert "auditor runs already" in str(failed.value.exceptions[0])
