"""What becomes of a message by what its handler does, and while the bus breaks."""

import asyncio
import json
import time
from contextlib import asynccontextmanager
from dataclasses import replace

from shared import subjects
from shared.bus.claims import minted, user_claims
from shared.bus.connection import Credentials
from shared.bus.identities import new_user_seed
from shared.bus.permissions import Permissions
from shared.bus.values import Pace
from shared.errors import PermanentError, TransientError
from shared.subjects import Durable
from tests.support.bus import QUICK

RENDER = Durable(subjects.RENDER, "renderer")
FACTS = Durable(subjects.FACTS, "auditor")
DEAD = Durable(subjects.DLQ, "auditor")


async def left(steward, durable):
    """How many messages a durable has not finished: waiting, and in somebody's hands."""
    info = await steward.api(f"CONSUMER.INFO.{durable.stream}.{durable.name}", {})
    return info["num_pending"], info["num_ack_pending"]


async def consumed(bus, durable, handle, **options):
    async with asyncio.timeout(30):
        await bus.consume(durable, handle, **options)


async def test_done_retried_and_crashed_messages(connect):
    poller, renderer, steward = await connect("poller"), await connect("renderer"), await connect("steward")
    seen = []

    async def handle(delivery):
        seen.append((delivery.subject, delivery.delivered))
        if delivery.subject == subjects.render("retry") and delivery.delivered < 3:
            raise TransientError("git is away")
        if delivery.subject == subjects.render("bug") and delivery.delivered < 2:
            raise ZeroDivisionError
        if len(seen) == 6:
            renderer.stop_intake()

    for source in ("done", "retry", "bug"):
        await poller.publish(subjects.render(source), b"{}")
    await consumed(renderer, RENDER, handle)

    assert sorted(seen) == [
        ("towline.render.bug", 1),
        ("towline.render.bug", 2),
        ("towline.render.done", 1),
        ("towline.render.retry", 1),
        ("towline.render.retry", 2),
        ("towline.render.retry", 3),
    ]
    assert await left(steward, RENDER) == (0, 0)


async def test_a_refused_message_is_kept_with_its_reason(connect):
    poller, renderer, auditor = await connect("poller"), await connect("renderer"), await connect("auditor")

    async def refuse(_delivery):
        renderer.stop_intake()
        raise PermanentError("fleet.yaml is\nno mapping", code="fleet.invalid")

    dead = []

    async def keep(delivery):
        dead.append(json.loads(delivery.data))
        auditor.stop_intake()

    await poller.publish(subjects.render("fleet"), b"request")
    await consumed(renderer, RENDER, refuse)
    await consumed(auditor, DEAD, keep)

    advisory = dead[0]
    assert advisory["reason"] == "fleet.invalid: fleet.yaml is no mapping [towline.render.fleet]"
    assert (advisory["stream"], advisory["deliveries"]) == (subjects.RENDER, 1)


async def test_a_message_that_fails_six_times_reaches_the_dead_letters(connect):
    """Finding 6: the server abandons it silently otherwise."""
    poller, renderer, auditor = await connect("poller"), await connect("renderer"), await connect("auditor")
    tries = []

    async def crash(delivery):
        tries.append(delivery.delivered)
        if len(tries) == 6:
            renderer.stop_intake()
        raise ZeroDivisionError

    dead = []

    async def keep(delivery):
        dead.append(json.loads(delivery.data))
        auditor.stop_intake()

    await poller.publish(subjects.render("fleet"), b"request")
    await consumed(renderer, RENDER, crash)
    # The server notices when somebody asks for more.
    other = await connect("renderer")
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(consumed(other, RENDER, crash))
        await consumed(auditor, DEAD, keep)
        other.stop_intake()
        await asking

    assert tries == [1, 2, 3, 4, 5, 6]
    advisory = dead[0]
    assert (advisory["type"].rpartition(".")[2], advisory["stream_seq"]) == ("max_deliver", 1)
    stored = await auditor.stored_at_sequence(advisory["stream"], advisory["stream_seq"])
    assert (stored.subject, stored.data) == (subjects.render("fleet"), b"request")
    assert stored.headers["Nats-Msg-Id"]
    await auditor.delete_message(advisory["stream"], advisory["stream_seq"])
    await auditor.delete_message(advisory["stream"], advisory["stream_seq"])
    assert await auditor.stored_at_sequence(advisory["stream"], advisory["stream_seq"]) is None


async def test_errors_in_a_group_count_as_what_they_all_are(connect):
    poller, renderer = await connect("poller"), await connect("renderer")
    deliveries = []

    async def handle(delivery):
        deliveries.append(delivery.delivered)
        if delivery.delivered == 1:
            raise ExceptionGroup("both", [TransientError("a"), TransientError("b")])
        renderer.stop_intake()

    await poller.publish(subjects.render("fleet"), b"")
    await consumed(renderer, RENDER, handle)

    assert deliveries == [1, 2]


async def test_long_work_is_announced_to_the_server(bus_server, connect):
    """The steward's account sees the announcement on the ack subject; no second delivery follows."""
    poller, renderer = await connect("poller"), await connect("renderer", replace(QUICK, progress_s=0.01))
    async with watching_acks(bus_server) as acks:

        async def handle(delivery):
            while await acks.get() != b"+WPI":
                pass
            assert delivery.delivered == 1
            renderer.stop_intake()

        await poller.publish(subjects.render("fleet"), b"")
        await consumed(renderer, RENDER, handle)


@asynccontextmanager
async def watching_acks(server):
    """A queue of what is said on ack subjects, seen by a user of the account who may see everything."""
    account, (seed, public) = server.keys.seeds["hub"], new_user_seed()
    jwt = minted(account, public, user_claims(Permissions((">",), (">",))), name="watcher", iat=int(time.time()))
    said = asyncio.Queue(100)
    async with server.bus(Credentials(jwt, seed, "_INBOX_watcher")) as bus:
        await bus.wait_connected()
        async with bus.subscribe("$JS.ACK.>") as messages, asyncio.TaskGroup() as group:

            async def pump():
                async for message in messages:
                    await said.put(message.data)

            task = group.create_task(pump())
            yield said
            task.cancel()


async def test_batches_take_what_is_there_and_single_out_the_bad_one(connect):
    renderer, auditor, steward = await connect("renderer"), await connect("auditor"), await connect("steward")
    batches = []

    async def handle(deliveries):
        batches.append([delivery.data for delivery in deliveries])
        if b"bad" in batches[-1]:
            raise PermanentError("one of them is bad")
        if sum(len(batch) for batch in batches if b"bad" not in batch) == 9:
            auditor.stop_intake()

    for number in range(10):
        await renderer.publish(subjects.fact("renderer", "x"), b"bad" if number == 4 else str(number).encode())
    async with asyncio.timeout(30):
        await auditor.consume_batches(FACTS, handle)

    assert len(batches[0]) == 10
    assert [len(batch) for batch in batches[1:]] == [1] * 10
    assert await left(steward, FACTS) == (0, 0)


async def test_a_batch_that_works_is_acknowledged_whole(connect):
    renderer, auditor, steward = await connect("renderer"), await connect("auditor"), await connect("steward")

    async def handle(deliveries):
        if deliveries[-1].data == b"99":
            auditor.stop_intake()

    for number in range(100):
        await renderer.publish(subjects.fact("renderer", "x"), str(number).encode())
    async with asyncio.timeout(30):
        await auditor.consume_batches(FACTS, handle)

    assert await left(steward, FACTS) == (0, 0)


async def test_stopping_finishes_what_is_in_hand_and_leaves_the_rest(connect):
    """F28"""
    poller, renderer, steward = await connect("poller"), await connect("renderer"), await connect("steward")
    finished = []

    async def handle(delivery):
        renderer.stop_intake()
        await poller.publish(subjects.revision("s", "refs/heads/main"), b"still working")
        finished.append(delivery.subject)

    for number in range(8):
        await poller.publish(subjects.render(f"s{number}"), b"")
    await consumed(renderer, RENDER, handle, workers=2)

    assert 1 <= len(finished) <= 2
    assert await left(steward, RENDER) == (8 - len(finished), 0)


async def test_cancelled_work_is_handed_back_at_once(connect):
    """F28: another replica gets it without waiting for the server to lose patience."""
    poller, first, second = await connect("poller"), await connect("renderer"), await connect("renderer")
    begun = asyncio.Event()

    async def hang(_delivery):
        begun.set()
        await asyncio.Event().wait()

    deliveries = []

    async def handle(delivery):
        deliveries.append(delivery.delivered)
        second.stop_intake()

    await poller.publish(subjects.render("fleet"), b"")
    async with asyncio.TaskGroup() as group:
        task = group.create_task(first.consume(RENDER, hang))
        await begun.wait()
        task.cancel()
    await consumed(second, RENDER, handle)

    assert deliveries == [2]


async def test_a_newer_request_replaces_a_waiting_one(connect):
    poller, renderer = await connect("poller"), await connect("renderer")
    seen = []

    async def handle(delivery):
        seen.append(delivery.data)
        renderer.stop_intake()

    for number in range(5):
        await poller.publish(subjects.render("fleet"), str(number).encode())
    await consumed(renderer, RENDER, handle)

    assert seen == [b"4"]


async def test_a_killed_program_costs_seconds_and_long_work_nothing(connect):
    """A12: the server soon gives out again what nobody speaks of any more, and hears of work in hand well before."""
    steward = await connect("steward")

    info = await steward.api("CONSUMER.INFO.RENDER.renderer", {})

    wait_s = info["config"]["ack_wait"] / 1e9
    assert 3 * Pace().progress_s < wait_s <= 10
