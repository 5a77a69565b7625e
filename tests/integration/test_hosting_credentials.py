"""The connections of a hub's programs: as steady as the keys they are made from.

Other credentials at each look, if only by their time of issue, would mean a new connection every 10 s.
"""

import shutil
from contextlib import AsyncExitStack
from itertools import count
from types import SimpleNamespace

import pytest

from services.cli import hosting
from services.cli.initialising import initialise
from shared.bus import connection, identities


@pytest.fixture
def looks(monkeypatch):
    """How each connection asks for its credentials; every second is a second later than the one before."""
    seconds = count(1_700_000_000)
    monkeypatch.setattr(identities, "time", SimpleNamespace(time=lambda: next(seconds)))
    looks = []

    class Watched(connection.Link):
        def __init__(self, urls, credentials, **how):
            looks.append(credentials)
            super().__init__(urls, credentials, **how)

    monkeypatch.setattr(connection, "Link", Watched)
    return looks


async def test_programs_of_a_hub_present_the_same_credentials_at_each_look(bus_server, looks):
    async with AsyncExitStack() as stack:
        bus = await hosting._bus(stack, (bus_server.url,), bus_server.keys, "poller")
        await bus.wait_connected()

    assert looks[0]() == looks[0]()


async def test_who_keeps_a_bus_set_up_presents_the_same_credentials_at_each_look(bus_server, looks, tmp_path):
    shutil.copytree(tmp_path / "bus-keys", tmp_path / "hub" / "keys" / "bus")
    await initialise(tmp_path / "hub", (bus_server.url,), watch=False)

    assert looks[0]() == looks[0]()
