"""The bus breaks in every way it can, and comes back; nobody is restarted, nothing is missed."""

import asyncio
import os
import shutil
import signal
import sys
from contextlib import asynccontextmanager

import pytest

from shared import subjects
from shared.bus.connection import Bus, BusRefusedError, BusUnavailableError, MissingError
from shared.bus.embedded import EmbeddedServer, ServerError
from shared.bus.identities import BusKeys
from shared.bus.session import Session
from shared.bus.steward import ensure, watch
from shared.bus.streams import LIMIT_BYTES, STREAMS
from shared.errors import PermanentError
from shared.subjects import Durable
from tests.support.bus import QUICK, BusServer, running_bus

FACTS = Durable(subjects.FACTS, "auditor")


@asynccontextmanager
async def watched(server):
    """The steward at work while the block runs."""
    async with server.bus("steward") as bus, asyncio.TaskGroup() as group:
        group.create_task(watch(bus, every_s=0.05))
        yield bus
        bus.stop_intake()


async def published(bus, subject, data):
    """Publish, trying again while the bus is away, as every outbox does."""
    while True:
        try:
            return await bus.publish(subject, data)
        except BusUnavailableError:
            await bus.pause(0.05)


async def test_consumers_go_on_after_the_server_was_killed(bus_server, connect):
    """F06: kill -9; the same consumers get what is published afterwards, and what was acknowledged is still there."""
    renderer, auditor = await connect("renderer"), await connect("auditor")
    arrived = asyncio.Queue(10)

    async def handle(delivery):
        await arrived.put(delivery.data)

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        group.create_task(auditor.consume(FACTS, handle))
        await published(renderer, subjects.fact("renderer", "x"), b"before")
        assert await arrived.get() == b"before"
        first = bus_server.server.pid
        os.kill(first, signal.SIGKILL)
        await published(renderer, subjects.fact("renderer", "x"), b"after")
        # What was not acknowledged in time comes again: that is what idempotent handlers are for.
        while await arrived.get() != b"after":
            pass
        auditor.stop_intake()

    assert bus_server.server.pid != first


async def test_whoever_pulls_in_the_moment_of_the_break_is_told_that_the_bus_is_away(bus_server):
    """F06: the client is closed before it tells so; a program that pulls just then waits, and does not crash."""
    session = Session(bus_server.credentials("auditor"))
    await session.open([bus_server.url], "auditor", None)
    os.kill(bus_server.server.pid, signal.SIGKILL)
    told = []

    async with asyncio.timeout(30):
        while not session.closed.is_set():
            try:
                await session.pull_inbox(object(), "pull")
            except BusUnavailableError as error:
                told.append(str(error))
            await asyncio.sleep(0)
    with pytest.raises(BusUnavailableError):
        await session.pull_inbox(object(), "pull")
    await session.close()

    assert told
    assert set(told) == {"pull: the connection to the bus broke"}


async def test_a_subscription_outlives_the_server(bus_server, connect):
    releaser, agent = await connect("releaser"), await connect("c1")
    async with asyncio.timeout(60), agent.subscribe(subjects.notify("c1")) as hints:
        looks = agent.connections()
        assert await anext(looks) == 1
        os.kill(bus_server.server.pid, signal.SIGKILL)
        assert await anext(looks) == 2
        await published(releaser, subjects.desired("c1"), b"document")
        hint = await anext(hints)

    assert hint.subject == subjects.desired("c1")


async def test_a_lost_store_is_made_again_and_everybody_hears_of_it(bus_server, connect, tmp_path):
    """F07c, rule 9: new incarnation, streams and durables back, consumers resume."""
    renderer, auditor = await connect("renderer"), await connect("auditor")
    arrived = asyncio.Queue(10)

    async def handle(delivery):
        await arrived.put((delivery.sequence, delivery.data))

    async with asyncio.timeout(60), watched(bus_server), asyncio.TaskGroup() as group:
        group.create_task(auditor.consume(FACTS, handle))
        incarnations = renderer.incarnations()
        assert await anext(incarnations) == bus_server.incarnation
        await published(renderer, subjects.fact("renderer", "x"), b"before")
        assert await arrived.get() == (1, b"before")
        shutil.rmtree(tmp_path / "nats" / "store")
        os.kill(bus_server.server.pid, signal.SIGKILL)
        assert await anext(incarnations) != bus_server.incarnation
        await published(renderer, subjects.fact("renderer", "x"), b"after")
        assert await arrived.get() == (1, b"after")
        auditor.stop_intake()


@pytest.mark.parametrize("stream", [plan.name for plan in STREAMS])
async def test_one_deleted_stream_is_a_new_incarnation(bus_server, connect, stream):
    """F07b"""
    steward = await connect("steward")
    await steward.api(f"STREAM.DELETE.{stream}", {})

    made = await ensure(steward)

    assert made != bus_server.incarnation
    for program in ("poller", "renderer", "releaser", "auditor"):
        assert await (await connect(program)).incarnation() == made
    assert await ensure(steward) == made


async def test_an_older_store_is_a_new_incarnation(bus_server, connect):
    """F07a, finding 5: sequences that went back mean that something was put back."""
    releaser, steward = await connect("releaser"), await connect("steward")
    seen = {}
    await releaser.publish(subjects.desired("c1"), b"document")
    assert await ensure(steward, seen=seen) == bus_server.incarnation

    seen[subjects.DESIRED] += 1

    assert await ensure(steward, seen=seen) != bus_server.incarnation


async def test_changed_streams_and_deleted_durables_are_repaired_in_the_same_incarnation(bus_server, connect):
    """F07d"""
    steward = await connect("steward")
    config = (await steward.api("STREAM.INFO.EVENTS", {}))["config"]
    await steward.api("STREAM.UPDATE.EVENTS", config | {"max_age": 10**12})
    await steward.api("CONSUMER.DELETE.FACTS.auditor", {})

    assert await ensure(steward) == bus_server.incarnation

    assert (await steward.api("STREAM.INFO.EVENTS", {}))["config"]["max_age"] == config["max_age"]
    assert (await steward.api("CONSUMER.INFO.FACTS.auditor", {}))["config"]["max_deliver"] == 6


async def test_the_steward_touches_nothing_that_is_right(bus_server, connect):
    steward = await connect("steward")
    asked = []
    original = steward.api

    class Recorded(Bus):
        async def api(self, name, body):
            asked.append(name)
            return await original(name, body)

    await ensure(Recorded(steward._link))

    assert {name.split(".")[1] for name in asked} == {"INFO"}


async def test_a_consumer_waits_for_a_bus_that_is_not_made_yet(tmp_path):
    """Programs start in any order."""
    keys = BusKeys.load_or_make(tmp_path / "keys")
    arrived = asyncio.Queue(1)

    async def handle(delivery):
        await arrived.put(delivery.data)

    async with asyncio.timeout(60), EmbeddedServer(tmp_path / "nats", keys) as raw:
        server = BusServer(raw, keys, "")
        async with server.bus("auditor") as auditor, server.bus("renderer") as renderer, asyncio.TaskGroup() as group:
            group.create_task(auditor.consume(FACTS, handle))
            with pytest.raises(MissingError):
                await renderer.incarnation()
            async with server.bus("steward") as steward:
                await ensure(steward)
            await published(renderer, subjects.fact("renderer", "x"), b"first")
            assert await arrived.get() == b"first"
            auditor.stop_intake()


async def test_without_a_bus_calls_fail_soon_and_say_where_it_should_be(tmp_path):
    keys = BusKeys.load_or_make(tmp_path)
    credentials = keys.program_credentials("poller")
    pace = QUICK.__class__(answer_s=0.05)

    async with Bus.connect(["nats://127.0.0.1:9"], lambda: credentials, name="poller", pace=pace) as bus:
        assert not bus.connected
        with pytest.raises(BusUnavailableError, match=r"poller is not connected.*127\.0\.0\.1:9"):
            await bus.publish(subjects.render("fleet"), b"")


async def test_errors_of_the_callers_block_arrive_as_they_are(bus_server):
    async def failing():
        async with bus_server.bus("poller") as bus:
            await bus.wait_connected()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await failing()


async def test_port_and_data_survive_a_restart(tmp_path):
    async with running_bus(tmp_path) as first, first.bus("releaser") as releaser:
        url, made = first.url, first.incarnation
        await releaser.publish(subjects.desired("c1"), b"document")
    async with running_bus(tmp_path) as second, second.bus("releaser") as releaser:
        stored = await releaser.last(subjects.DESIRED, subjects.desired("c1"))

    assert (second.url, second.incarnation) == (url, made)
    assert stored.data == b"document"


async def test_a_server_left_behind_by_a_killed_hub_is_ended(tmp_path):
    """Two servers on one store would destroy it."""
    keys = BusKeys.load_or_make(tmp_path / "keys")
    async with EmbeddedServer(tmp_path / "nats", keys) as left:
        old = left.pid
        left._keeper.cancel()
        async with EmbeddedServer(tmp_path / "nats", keys) as fresh:
            assert fresh.pid != old
            assert await left._process.wait() == -signal.SIGKILL


HUB = """
import asyncio, sys
from pathlib import Path
from shared.bus.embedded import EmbeddedServer
from shared.bus.identities import BusKeys
async def main():
    folder = Path(sys.argv[1])
    async with EmbeddedServer(folder / "nats", BusKeys.load_or_make(folder / "keys")) as server:
        print("pid", server.pid, flush=True)
        await asyncio.Event().wait()
asyncio.run(main())
"""


async def test_the_server_ends_with_a_killed_hub(tmp_path):
    hub = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HUB, str(tmp_path), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    async with asyncio.timeout(60):
        line = b""
        while not line.startswith(b"pid "):
            line = await hub.stdout.readline()
        gone = asyncio.Event()
        descriptor = os.pidfd_open(int(line.split()[1]))
        asyncio.get_running_loop().add_reader(descriptor, gone.set)
        hub.kill()
        await gone.wait()
        asyncio.get_running_loop().remove_reader(descriptor)
        os.close(descriptor)
        await hub.communicate()


async def test_a_full_stream_keeps_what_it_has_and_says_so(tmp_path):
    """Last words are never pushed out; the sender hears why."""
    keys = BusKeys.load_or_make(tmp_path / "keys")
    async with EmbeddedServer(tmp_path / "nats", keys) as raw:
        server = BusServer(raw, keys, "")
        async with server.bus("steward") as steward, server.bus("releaser") as releaser:
            await ensure(steward, limit_bytes=4 << 20)
            first = await releaser.publish(subjects.blob("c1", "0" * 64, 0), b"x" * 400_000)
            with pytest.raises(BusUnavailableError, match="file limit") as caught:
                await asyncio.gather(
                    *(releaser.publish(subjects.blob("c1", "0" * 64, index), b"x" * 400_000) for index in range(1, 9))
                )
            assert caught.value.code == "bus.full"
            assert (await steward.stored_at_sequence(subjects.BLOBS, first)).data == b"x" * 400_000
            assert await releaser.publish(subjects.desired("c1"), b"another stream") == 1


async def test_what_the_bus_will_never_take_is_a_permanent_error(connect):
    releaser = await connect("releaser")

    with pytest.raises(BusRefusedError, match="maximum"):
        await releaser.publish(subjects.desired("c1"), b"x" * (65 << 10))
    with pytest.raises(BusRefusedError, match="more than the bus takes"):
        await releaser.publish(subjects.blob("c1", "0" * 64, 0), b"x" * (2 << 20))


async def test_credentials_that_come_late_are_found(bus_server):
    """F16: a file that somebody mounts later needs no restart."""
    failures = [PermanentError("no file yet"), FileNotFoundError("no file yet")]

    def credentials():
        if failures:
            raise failures.pop()
        return bus_server.credentials("poller")

    async with (
        asyncio.timeout(60),
        Bus.connect([bus_server.url], credentials, name="poller", pace=QUICK) as bus,
    ):
        await bus.wait_connected()
        assert await bus.publish(subjects.render("fleet"), b"") == 1


def test_the_bus_is_not_opened_to_others_without_tls(tmp_path):
    with pytest.raises(ServerError, match="without TLS"):
        EmbeddedServer(tmp_path, BusKeys.load_or_make(tmp_path), listen="0.0.0.0:4222")


def test_all_streams_together_fit_the_file_limit():
    assert sum(plan.share for plan in STREAMS) <= 64
    assert LIMIT_BYTES % 64 == 0
