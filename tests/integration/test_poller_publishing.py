"""What is published while the poller goes on looking: every tip that was seen is asked for."""

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

from services.poller.keeping import StateStore
from services.poller.observation import Sighting, needed, observed
from services.poller.publishing import Publisher
from services.poller.refs import Chosen
from services.poller.settings import Source
from services.poller.watcher import Watcher
from shared.messages.sources import Commit, History, Needs, Wanted
from tests.support.poller_line import behind

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BRANCH = "refs/heads/main"


def sighting(git, name):
    tip = git.open(name).references[BRANCH].peel()
    commit = Commit(id=str(tip.id), tree=str(tip.tree_id), committed_at=NOW)
    return Sighting((str(git.path(name)), ""), Chosen(BRANCH, commit.id), commit, History.FIRST, ())


class Seeing(Watcher):
    """A watcher that sees another tip right after the first packs were stored."""

    late = None

    async def change(self, decide):
        await super().change(decide)
        if self.late and self.state.main.chain:
            late, self.late = self.late, None
            await super().change(lambda state, now: observed(state, self.name, [late], now))


async def test_a_tip_seen_while_packs_are_stored_is_asked_for_with_its_own(bus_server, local_git, tmp_path):
    """A request without them would count as made for that tip too, and nobody would ask again."""
    local_git.commit("fleet", {"a": "1"})
    library = local_git.commit("library", {"b": "2"})
    wanted = (Wanted(repository=str(local_git.path("library")), ref=""),)
    watcher = Seeing.load(Source("fleet", str(local_git.path("fleet"))), StateStore(tmp_path / "poller"))
    await watcher.change(lambda state, _: needed(state, Needs(source="fleet", number=1, repositories=wanted), NOW))
    await watcher.change(lambda state, now: observed(state, "fleet", [sighting(local_git, "fleet")], now))
    watcher.late = sighting(local_git, "library")
    async with behind(bus_server) as line, bus_server.bus("poller") as bus:
        # The repositories serve as their own mirrors.
        await Publisher(watcher, bus, SimpleNamespace(mirror=Path), b"s" * 32).publish()
        request = await line.next("requests")

    assert [other.commit.id for other in request.others] == [library]
    assert request.others[0].packs
    assert request.number == watcher.state.request_number
