"""What agents are asked to do at once: who is asked, and what is signed."""

import pytest

from shared.core import dsse
from shared.core.canonical import decode
from shared.core.status import Health, Result, Sync

BAD = {"result": Result.FAILED, "sync": Sync.OUT_OF_SYNC, "health": Health.CURRENT}


@pytest.fixture
def told(three):
    """The instructions that were sent: (cluster, verb, arguments, id)."""
    sent, keys = [], three.parts.keys

    def read(transaction):
        for cluster, envelope in transaction.instructions:
            body = dsse.opened(dsse.INSTRUCTION, envelope, {keys.key_id: bytes(keys.release.verify_key)}).body
            found = decode(body)
            sent.append((cluster, found["verb"], found["arguments"], found["id"]))

    three.store.after = read
    return sent


async def test_only_where_an_app_failed_it_is_tried_again(three, told):
    """Q3: retry."""
    await three.report("c2", "web", **BAD)
    await three.report("c3", "api", **BAD)
    done = await three.command("retry", "retry-1", app="web")
    nothing = await three.command("retry", app="db")

    assert told == [("c2", "sync", {"app": "web"}, "retry-1")]
    assert (done.data["result"], nothing.data["result"]) == ({"clusters": 1}, {"clusters": 0})


async def test_everything_is_verified_on_one_cluster_or_where_an_app_runs(three, told):
    """Q3: resync."""
    await three.command("sync", "sync-1", cluster="c1")
    await three.command("sync", "sync-2", app="web")
    again = await three.command("sync", "sync-2", app="web")

    assert [(cluster, arguments["app"], number) for cluster, _, arguments, number in told] == [
        ("c1", "", "sync-1"),
        *((cluster, "web", "sync-2") for cluster in ("c1", "c2", "c3")),
    ]
    assert again.data["result"] == {"clusters": 3}


async def test_one_object_on_one_cluster_is_made_anew(three, told):
    """Q3: force-recreate."""
    await three.command("recreate", "new-1", cluster="c1", app="web", key="/ConfigMap:web/one")
    wrong = await three.command("recreate", app="web", key="/ConfigMap:web/one")

    assert told == [("c1", "recreate", {"app": "web", "key": "/ConfigMap:web/one"}, "new-1")]
    assert (wrong.data["ok"], wrong.data["code"]) == (False, "command.argument")
