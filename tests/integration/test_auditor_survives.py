"""The auditor killed at any moment: every event is in the ledger once, and told."""

import pytest

from services.auditor.store import Store
from shared.bus.streams import consumer_config
from shared.subjects import DURABLES
from tests.support import line_messages as made
from tests.support.armed import run_doomed
from tests.support.auditor_line import auditing, settings, speakers

WEB = {("c1", "web"): "a"}
WRITE, TELL = "services.auditor.store:Store:write", "services.auditor.store:Store:tell"
PUBLISH = "shared.bus.connection:Bus:publish"
POINTS = [
    (WRITE, 1, True),
    (WRITE, 1, False),
    (WRITE, 3, False),
    (PUBLISH, 1, False),
    (PUBLISH, 2, True),
    (TELL, 1, True),
]


async def make_impatient(bus_server):
    """Have the server give out again within a second what a killed auditor had in hand; it waits a minute otherwise."""
    async with bus_server.bus("steward") as steward:
        for durable in DURABLES:
            if durable.name == "auditor":
                config = consumer_config(durable) | {"ack_wait": 10**9}
                body = {"stream_name": durable.stream, "config": config, "action": ""}
                await steward.api(f"CONSUMER.CREATE.{durable.stream}.{durable.name}", body)


@pytest.mark.parametrize(
    "point", POINTS, ids=lambda point: f"{point[0].rpartition(':')[2]}-{point[1]}-{'before' if point[2] else 'after'}"
)
async def test_an_auditor_killed_at_any_step_keeps_each_event_once(bus_server, tmp_path, point):
    """A12, I4."""
    await make_impatient(bus_server)
    settings(tmp_path)
    async with speakers(bus_server) as line:
        await line.say(
            made.cluster("c1"),
            *(made.revision(number) for number in range(1, 4)),
            made.rendered(1, WEB),
            made.released(1, WEB),
            made.report("c1", "web", 1),
        )

        assert await run_doomed(bus_server, "auditor", point, tmp_path, data=tmp_path, listen="127.0.0.1:0") == -9

        async with auditing(bus_server, tmp_path) as asker:
            await line.say(made.report("c1", "web", 2))
            await asker.until("/api/v1/events", lambda found: len(found["items"]) >= 8)
    async with Store.open(f"sqlite+aiosqlite:///{tmp_path / 'auditor.db'}") as store:
        keys = [entry.key for entry in await store.entries(0)]
        broken = await store.verify()

    assert len(keys) == len(set(keys)) == 8
    assert broken is None
