"""Every arrow of bus.md works with its own credentials, and every other one is refused by the real server."""

import asyncio
import base64
import json
from contextlib import asynccontextmanager

import nats
import pytest

from shared import subjects
from shared.bus.connection import Bus
from shared.bus.identities import sign_with_seed
from shared.bus.permissions import (
    PROGRAMS,
    SYSTEM,
    WORK_QUEUES,
    agent_permissions,
    consumed_streams,
    inbox,
    program_permissions,
)
from shared.bus.streams import STREAMS
from tests.support.bus import running_bus

USERS = (*PROGRAMS, SYSTEM, "c1", "c2")
STREAM_NAMES = [plan.name for plan in STREAMS]
# What JetStream offers beyond what any program but the steward needs: each was a leak somewhere.
API = [
    "$JS.API.INFO",
    "$JS.API.STREAM.NAMES",
    "$JS.API.STREAM.LIST",
    "$JS.API.STREAM.CREATE.EVIL",
    "$JS.API.ACCOUNT.PURGE.HUB",
    *(
        f"$JS.API.{verb}.{stream}"
        for stream in STREAM_NAMES
        for verb in (
            "STREAM.INFO",
            "STREAM.UPDATE",
            "STREAM.DELETE",
            "STREAM.PURGE",
            "STREAM.SNAPSHOT",
            "STREAM.MSG.GET",
            "STREAM.MSG.DELETE",
            "DIRECT.GET",
            "CONSUMER.CREATE",
            "CONSUMER.NAMES",
            "CONSUMER.LIST",
        )
    ),
    *(f"$JS.API.CONSUMER.DURABLE.CREATE.{stream}.evil" for stream in STREAM_NAMES),
    *(f"$JS.API.CONSUMER.CREATE.{stream}.evil.{subjects.ROOT}.desired.c2" for stream in STREAM_NAMES),
    *(
        f"{form}.{durable.stream}.{durable.name}{rest}"
        for durable in subjects.DURABLES
        for form, rest in (
            ("$JS.API.CONSUMER.MSG.NEXT", ""),
            ("$JS.API.CONSUMER.INFO", ""),
            ("$JS.API.CONSUMER.DELETE", ""),
            ("$JS.API.CONSUMER.PAUSE", ""),
            ("$JS.ACK", ".1.1.1.1.0"),
            ("$JS.ACK._.hash", ".1.1.1.1.0"),
        )
    ),
]
OTHERS = [
    "$SYS.REQ.CLAIMS.UPDATE",
    "$SYS.REQ.CLAIMS.DELETE",
    "$SYS.REQ.SERVER.PING",
    "$SYS.REQ.ACCOUNT.X.CONNZ",
    "$SRV.PING",
    "$KV.desired.c1",
    "$O.BLOBS.C.x",
    "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.RENDER.renderer",
    "_INBOX.x",
    *(f"{inbox(user)}.x" for user in USERS),
    "towline.get.*",
    "towline.get.>",
    "towline.blob.*.*.*",
    "towline.blob.>",
    "towline.report.*.result",
    "towline.report.c1.evil",
    "towline.report.c1.result.more",
    "towline.desired.*",
    "towline.fact.*.released",
    "towline.fact.evil.released",
    "towline.command.*.1",
    "towline.command.evil.1",
    "towline.evil",
    "evil",
]
LISTENS = [
    ">",
    "*",
    "towline.>",
    "towline.*.*",
    "$JS.>",
    "$JS.EVENT.ADVISORY.>",
    "$SYS.>",
    "$SRV.>",
    "_INBOX.>",
    "_INBOX_c1.x",
    *(f"{inbox(user)}.>" for user in USERS),
    *(subject for plan in STREAMS for subject in plan.subjects if subject.startswith("towline.")),
    *(
        f"towline.{word}.{which}"
        for word in ("notify", "instruct", "heartbeat", "desired")
        for which in ("c1", "c2", "*")
    ),
]


def permissions_of(user):
    return agent_permissions(user) if user in {"c1", "c2"} else program_permissions(user)


def covers(pattern, subject):
    """Whether everything that `subject` names is in `pattern`, as NATS understands both."""
    mine, theirs = pattern.split("."), subject.split(".")
    for index, token in enumerate(mine):
        if token == ">":
            return len(theirs) > index
        if index >= len(theirs) or theirs[index] == ">" or token not in {"*", theirs[index]}:
            return False
    return len(mine) == len(theirs)


def concrete(pattern):
    """One subject that a pattern allows."""
    return ".".join("x" if token in {"*", ">"} else token for token in pattern.split("."))


@asynccontextmanager
async def raw_client(server, user):
    """A plain client that sends whatever it is told, and the errors that the server answers."""
    credentials, errors = server.credentials(user), []

    async def on_error(error):
        errors.append(str(error))

    client = await nats.connect(
        server.url,
        user_jwt_cb=lambda: bytearray(credentials.jwt.encode()),
        signature_cb=lambda nonce: base64.b64encode(sign_with_seed(credentials.seed, nonce.encode())),
        inbox_prefix=credentials.inbox,
        error_cb=on_error,
        allow_reconnect=False,
        skip_subject_validation=True,
    )
    try:
        yield client, errors
    finally:
        await client.close()


async def settled(client):
    """Return when the server answered to everything sent; a ping alone overtakes what nats-py still buffers."""
    while client.pending_data_size:  # noqa: ASYNC110 - nats-py has no event for it
        await asyncio.sleep(0)
    await client.rtt(timeout=10)


def refused_in(errors, kind):
    return {error.split('"')[1] for error in errors if f"violation for {kind}" in error}


async def test_what_is_not_granted_is_refused(bus_server):
    """S23: each user against every subject of every other, and every API of JetStream."""
    everything = {concrete(pattern) for user in USERS for pattern in permissions_of(user).publish} | {*API, *OTHERS}
    for user in USERS:
        granted = permissions_of(user)
        # The steward may do anything to streams: what it may do, it would do here.
        attempts = [s for s in everything if user != "steward" or not s.startswith("$JS.API.")]
        async with raw_client(bus_server, user) as (client, errors):
            for subject in attempts:
                await client.publish(subject, b"{}")
            await settled(client)
            for subject in LISTENS:
                await client.subscribe(subject)
            await settled(client)

        expected = {s.lower() for s in attempts if not any(covers(p, s) for p in granted.publish)}
        unheard = {s.lower() for s in LISTENS if not any(covers(p, s) for p in granted.subscribe)}
        assert (user, refused_in(errors, "publish")) == (user, expected)
        assert (user, refused_in(errors, "subscription")) == (user, unheard)


def test_no_program_but_the_steward_may_change_streams_or_read_without_a_subject():
    """The rows of the table itself, apart from what the server makes of them."""
    for user in USERS:
        if user == "steward":
            continue
        for pattern in permissions_of(user).publish:
            assert ">" not in pattern or pattern.startswith("$JS.ACK."), (user, pattern)
            for verb in ("STREAM.CREATE", "STREAM.UPDATE", "STREAM.DELETE", "CONSUMER.CREATE", "CONSUMER.DURABLE"):
                assert not pattern.startswith(f"$JS.API.{verb}"), (user, pattern)
            assert not pattern.startswith("$JS.API.DIRECT.GET.") or len(pattern.split(".")) > 5, (user, pattern)


@pytest.mark.parametrize("ack_v2", [False, True], ids=["ack-v1", "ack-v2"])
async def test_every_arrow_works(tmp_path, ack_v2):
    """Each row of the table does its work, with either form of ack subjects."""
    async with running_bus(tmp_path, ack_v2=ack_v2) as server:
        for program in ("poller", "renderer", "releaser", "auditor"):
            async with server.bus(program) as bus:
                await publish_all(bus, program)
        async with server.bus("c1") as agent:
            for pattern in agent_permissions("c1").publish:
                if ".report." in pattern or ".status." in pattern:
                    assert await agent.publish(pattern, b"{}") > 0
        for durable in subjects.DURABLES:
            async with server.bus(durable.name) as bus, server.bus("steward") as steward:
                await consume_one(bus, durable)
                info = await steward.api(f"CONSUMER.INFO.{durable.stream}.{durable.name}", {})
                assert (durable, info["num_ack_pending"]) == (durable, 0)
                assert info["ack_floor"]["stream_seq"] > 0


async def publish_all(bus: Bus, program: str):
    for pattern in program_permissions(program).publish:
        subject = concrete(pattern)
        if subject.startswith("$JS.API.STREAM.INFO."):
            await bus.api(subject.removeprefix("$JS.API."), {})
        elif subject.startswith("$JS.API.DIRECT.GET."):
            await bus.request(subject)
        elif subject.startswith("$JS.API.STREAM.MSG.GET."):
            await bus.stored_at_sequence(subject.rpartition(".")[2], 1)
        elif subject.startswith("$JS.API.CONSUMER.INFO."):
            await bus.api(subject.removeprefix("$JS.API."), {})
        elif subject.startswith("towline.instruct."):
            await bus.send(subject, b"{}")
        elif subject.startswith("towline."):
            assert await bus.publish(subject, b"{}") > 0


async def consume_one(bus: Bus, durable):
    """Take one message of a durable, once somebody wrote one; the dead letters come from the first refusals."""
    handled = []

    async def handle(delivery):
        handled.append(delivery)
        bus.stop_intake()
        if durable.stream == subjects.RENDERED:
            from shared.errors import PermanentError

            raise PermanentError("not to be read", code="test.refused")

    async with asyncio.timeout(20):
        await bus.consume(durable, handle)
    assert handled[0].sequence >= 1
    assert handled[0].delivered == 1


async def test_an_agents_reply_subjects_reach_nothing_of_the_hub(bus_server):
    """Finding 9, S23: the server answers to any reply subject, so no answer may end in a stream of the hub."""
    async with bus_server.bus("releaser") as releaser:
        for cluster in ("c1", "c2"):
            await releaser.publish(subjects.desired(cluster), b"desired of " + cluster.encode())
            await releaser.publish(subjects.blob(cluster, "0" * 64, 0), b"chunk")
    victims = [
        *(concrete(subject).replace(".x", ".c2") for plan in STREAMS for subject in plan.subjects),
        "$JS.API.STREAM.PURGE.DESIRED",
        "$JS.API.STREAM.DELETE.DESIRED",
        "$JS.API.STREAM.MSG.DELETE.RENDER",
        "$SYS.REQ.CLAIMS.UPDATE",
    ]
    sources = ["towline.get.c1", f"towline.blob.c1.{'0' * 64}.0", "towline.status.c1", "towline.report.c1.result"]

    async with bus_server.bus("steward") as steward, raw_client(bus_server, "c1") as (client, _):

        async def sequences():
            info = {name: (await steward.api(f"STREAM.INFO.{name}", {}))["state"]["last_seq"] for name in STREAM_NAMES}
            own = (info.pop(subjects.STATUS), info.pop(subjects.REPORTS))
            return info, own

        before, (statuses, reports) = await sequences()
        for victim in victims:
            for source in sources:
                await client.publish(source, b"", reply=victim)
                await client.publish(source, b'{"seq":1}', reply=victim)
        # The same way once more, with answers awaited: then all before them were answered too.
        for source in sources:
            await client.request(source, b"", timeout=10)
        after, (statuses_after, reports_after) = await sequences()
        stored = await steward.api("STREAM.MSG.GET.DESIRED", {"last_by_subj": subjects.desired("c2")})

    assert after == before
    # Its own status and reports, one a message it sent, and nobody else's.
    assert statuses_after - statuses == reports_after - reports == 2 * len(victims) + 1
    assert base64.b64decode(stored["message"]["data"]) == b"desired of c2"


async def test_literal_wildcards_in_a_direct_get_give_an_agent_nothing_of_another(bus_server):
    """A literal `*` answers the last match: within the agent's own audience that is its own."""
    async with bus_server.bus("releaser") as releaser:
        await releaser.publish(subjects.blob("c2", "0" * 64, 0), b"secret of c2")
        await releaser.publish(subjects.desired("c2"), b"secret of c2")
    async with raw_client(bus_server, "c1") as (client, errors):
        answer = await client.request("towline.blob.c1.*.*", b"", timeout=10)
        for body in (b'{"seq":1}', json.dumps({"last_by_subj": subjects.desired("c2")}).encode()):
            bypass = await client.request("towline.get.c1", body, timeout=10)
            assert b"secret" not in bypass.data
        await client.publish("towline.blob.*.*.*", b"", reply=f"{inbox('c1')}.y")
        await client.publish("towline.get.*", b"", reply=f"{inbox('c1')}.y")
        await settled(client)

    assert answer.headers["Status"] == "404"
    assert refused_in(errors, "publish") == {"towline.blob.*.*.*", "towline.get.*"}


def test_the_auditor_deletes_only_from_work_queues():
    granted = program_permissions("auditor").publish

    assert {p.rpartition(".")[2] for p in granted if ".MSG.DELETE." in p} == set(WORK_QUEUES)
    assert {p.rpartition(".")[2] for p in granted if ".MSG.GET." in p} == set(consumed_streams())
