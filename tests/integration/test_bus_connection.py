"""What programs and agents rely on when they talk over the bus."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from shared import subjects
from shared.bus.connection import Bus, BusUnavailableError
from tests.support.bus import QUICK


async def test_an_agent_reads_its_desired_state_after_the_hint(connect):
    releaser, agent = await connect("releaser"), await connect("c1")
    assert await agent.request(subjects.get("c1")) is None

    async with agent.subscribe(subjects.notify("c1")) as hints:
        sequence = await releaser.publish(subjects.desired("c1"), b"document", expected_last=0)
        hint = await anext(hints)
    stored = await agent.request(subjects.get("c1"))

    assert (hint.sequence, hint.data) == (sequence, b"")
    assert (stored.sequence, stored.data) == (sequence, b"document")


async def test_whoever_listens_while_the_connection_is_made_hears_everything(bus_server, connect):
    releaser = await connect("releaser")
    async with bus_server.bus("c1") as agent, AsyncExitStack() as listening:
        hints = []
        while not agent.connected and len(hints) < 500:
            hints.append(await listening.enter_async_context(agent.subscribe(subjects.notify("c1"))))
            await asyncio.sleep(0.0005)
        await agent.wait_connected()
        # The server has seen every subscription that was sent before this answer.
        assert await agent.request(subjects.get("c1")) is None
        sequence = await releaser.publish(subjects.desired("c1"), b"document", expected_last=0)

        async with asyncio.timeout(10):
            assert {(await anext(each)).sequence for each in hints} == {sequence}


async def test_whoever_waits_for_a_server_that_is_not_there_is_told_where_and_why(bus_server):
    nowhere = "nats://127.0.0.1:1"
    pace = QUICK.__class__(answer_s=0.3)
    async with Bus.connect([nowhere], lambda: bus_server.credentials("c1"), name="c1", pace=pace) as agent:
        with pytest.raises(BusUnavailableError, match=rf"at {nowhere}: .*Connect call failed"):
            await agent.request(subjects.get("c1"))
