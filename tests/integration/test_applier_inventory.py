"""What the agent does when the cluster gives back another memory than it was given."""

import gzip
from base64 import b64decode, b64encode

import pytest

from shared.core.canonical import decode, encode
from tests.support.agents import config_map, running


def shelf(sim):
    """Return the Secret that holds the inventory of `web`."""
    return sim.store.get("v1", "Secret", "towline", "towline-inventory-web-0")


def data_of(sim, name):
    found = sim.store.get("v1", "ConfigMap", "web", name)
    return found and found["data"]


def rewritten(change):
    """Return a damage that changes the inventory's document."""

    def damage(data):
        return gzip.compress(encode(change(decode(gzip.decompress(data)))))

    return damage


DAMAGES = {
    "cut": lambda data: data[: len(data) // 2],
    "flipped": lambda data: data[:20] + bytes([data[20] ^ 0xFF]) + data[21:],
    "no archive": lambda _: b"{}",
    "newer": rewritten(lambda document: {**document, "schema": 99}),
    "a Secret is missing": rewritten(lambda document: {**document, "shards": 2}),
    "short rows": rewritten(lambda document: {**document, "entries": [row[:4] for row in document["entries"]]}),
    "another document": rewritten(lambda _: []),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
async def test_with_a_damaged_inventory_nothing_of_its_app_is_touched(pen, sim, damage):
    """M8: Held by name; other apps go on."""
    async with running(pen.settings(sim)):
        await pen.release("web", [config_map("one"), config_map("two")])
        await pen.reported(result="succeeded")
    data = b64encode(damage(b64decode(shelf(sim)["data"]["inventory"]))).decode()
    sim.store.patch(shelf(sim), {"data": {"inventory": data}})
    async with running(pen.settings(sim)):
        await pen.release("web", [config_map("one", a="2")], publish=False)
        await pen.release("other", [config_map("free")])
        await pen.stands("web", sync="Held", reason="InventoryDamaged")
        await pen.reported("other", result="succeeded")

    assert (data_of(sim, "one"), data_of(sim, "two"), data_of(sim, "free")) == ({"a": "1"}, {"a": "1"}, {"a": "1"})
    assert shelf(sim)["data"]["inventory"] == data
