"""The poller killed at any moment, and the bus lost: nothing that was observed is lost."""

import pytest

from shared.bus.steward import ensure
from shared.bus.streams import STREAMS
from shared.git.store import ObjectStore
from tests.support.armed import run_doomed
from tests.support.poller_line import behind, polling

SAVE, PUBLISH = "services.poller.keeping:StateStore:save", "shared.bus.connection:Bus:publish"
FETCH, KEEP = "shared.git.transport:Transport:fetch", "shared.git.mirror:Mirror:keep_tip"
POINTS = [
    (FETCH, 1, False),
    (KEEP, 1, False),
    (SAVE, 1, True),
    (SAVE, 1, False),
    (PUBLISH, 1, False),
    (SAVE, 2, False),
    (PUBLISH, 2, False),
    (SAVE, 3, True),
    (PUBLISH, 3, True),
    (PUBLISH, 3, False),
    (SAVE, 4, True),
]


@pytest.fixture
async def line(bus_server):
    async with behind(bus_server) as found:
        yield found


@pytest.mark.parametrize(
    "point", POINTS, ids=lambda p: f"{p[0].rpartition(':')[2]}-{p[1]}-{'before' if p[2] else 'after'}"
)
async def test_a_poller_killed_at_any_step_loses_no_tip(bus_server, line, local_git, tmp_path, point):
    """A12, I1."""
    commit = local_git.commit("fleet", {"a": "1"})
    source = f"fleet={local_git.path('fleet')}"
    settings = {"data": tmp_path / "hub", "sources": source, "interval_s": 0.05}

    assert await run_doomed(bus_server, "poller", point, tmp_path, **settings) == -9

    async with polling(bus_server, tmp_path / "hub", source):
        await line.command("sync")
        request = await line.request_at(commit)
        tree = await line.tree(request, request.checkout, ObjectStore(tmp_path / "renderer"))
        newer = local_git.commit("fleet", {"a": "2"})
        last = await line.request_at(newer)
        revisions = [await line.next("revisions") for _ in range(2)]
        while not line.revisions.empty():
            revisions.append(line.revisions.get_nowait())

    assert tree.read("a") == b"1"
    assert last.number > request.number
    # Said once or twice, always as the same observation.
    assert len({(each.number, each.commit.id) for each in revisions}) == 2
    assert {each.commit.id for each in revisions} == {commit, newer}


async def test_a_bus_that_was_lost_is_filled_again(bus_server, line, local_git, tmp_path):
    """A14: everything that the poller owns is said again, packs included, and the numbers go on."""
    local_git.commit("fleet", {"a": "1", "b": "1"})
    async with polling(bus_server, tmp_path / "hub", f"fleet={local_git.path('fleet')}"):
        await line.next("requests")
        commit = local_git.commit("fleet", {"a": "2"})
        before = await line.request_at(commit)
        # Both tips are told before the bus is lost: what comes afterwards was said again.
        await line.next("revisions")
        await line.next("revisions")
        async with bus_server.bus("steward") as steward:
            for plan in STREAMS:
                await steward.api(f"STREAM.DELETE.{plan.name}", {})
            await ensure(steward)
        request = await line.request_at(commit)
        revision = await line.next("revisions")
        tree = await line.tree(request, request.checkout, ObjectStore(tmp_path / "renderer"))

    assert revision.commit.id == commit
    assert request.number > before.number
    assert len(request.checkout.packs) == 1
    assert (tree.read("a"), tree.read("b")) == (b"2", b"1")
