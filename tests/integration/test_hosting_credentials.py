"""The connections of a hub's programs: as steady as the keys they are made from."""

from contextlib import AsyncExitStack
from itertools import count
from types import SimpleNamespace

from services.cli import hosting
from shared.bus import connection, identities


async def test_programs_of_a_hub_present_the_same_credentials_at_each_look(bus_server, monkeypatch):
    """Others, if only by their time of issue, would mean a new connection at each look, every 10 s."""
    seconds = count(1_700_000_000)
    monkeypatch.setattr(identities, "time", SimpleNamespace(time=lambda: next(seconds)))
    looks = []

    class Watched(connection.Link):
        def __init__(self, urls, credentials, **how):
            looks.append(credentials)
            super().__init__(urls, credentials, **how)

    monkeypatch.setattr(connection, "Link", Watched)
    async with AsyncExitStack() as stack:
        bus = await hosting._bus(stack, (bus_server.url,), bus_server.keys, "poller")
        await bus.wait_connected()

    assert looks[0]() == looks[0]()
