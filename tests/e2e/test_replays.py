"""Real histories of real repositories, delivered commit by commit to three clusters; old API versions are served."""

import pytest

from services.kubesim.server import SimulatedClusters
from services.renderer.engines import Engines
from tests.support.line import until
from tests.support.replays import (
    ENVIRONMENTS,
    Replay,
    arrived,
    differences,
    foreign,
    install_kinds,
    owned,
    place,
    plant,
    replays_allowed,
)

ON_DEMAND = {"TOWLINE_POLLER_INTERVAL_S": "3600"}
"""Each round asks for its own look: looks in between would take the processors from what is tested."""
TELLING = (0, 1, 11, 12, 70, 75, 91, 179)
"""Rounds in which much happens: nothing builds, Flux's staging breaks and is mended, all overlays appear, ..."""


class Journey:
    """A replay under way, and what it must leave alone."""

    def __init__(self, line, replay, apart):
        self.line, self.replay, self.apart = line, replay, apart
        self.others = {name: plant(line.cluster(name)) for name in ENVIRONMENTS}
        self.held = {name: {} for name in ENVIRONMENTS}
        """What every cluster had after the last round."""
        self.digests = {}
        self.failed = 0

    async def round(self, number):
        commits = self.replay.move(number)
        await self.line.command("poller", "sync")
        await arrived(self.line, commits)
        wanted = await self.replay.wanted(number)
        reported = {(each["cluster"], each["app"]): each for each in await self.line.items("targets")}
        for (cluster, app), target in wanted.items():
            self.judge(cluster, app, target, reported[cluster, app])
        for name in ENVIRONMENTS:
            self.held[name] = owned(self.line, name)
            assert self.others[name].items() <= foreign(self.line.cluster(name)).items()
            assert set(self.held[name]) <= {app for cluster, app in wanted if cluster == name}

    def judge(self, cluster, app, target, reported):
        now, before = owned(self.line, cluster).get(app, {}), self.held[cluster].get(app, {})
        render, ran = reported["render"], (reported["result"], reported["message"], reported["failures"])
        if target.finding:
            self.failed += 1
            told = render["problems"][0]
            assert render["failed"]
            assert (told["code"], told["file"], told["line"]) == (
                target.finding.code,
                target.finding.file,
                target.finding.line,
            )
            assert now == before
            return
        assert not render["failed"]
        assert ran[0] == "succeeded", ran
        assert render["bundle"] == reported["bundle"] == target.digest
        assert now.keys() == {place(self.line.cluster(cluster), each, app) for each in target.objects}
        if self.digests.get((cluster, app)) == target.digest:
            assert now == before
        else:
            assert differences(self.line, cluster, self.apart, app, target.objects) == []
        self.digests[cluster, app] = target.digest


async def listed(line, count):
    return len(await line.items("targets")) == count


@pytest.fixture
async def journey(line, local_git, replay, monkeypatch):
    """A function: rounds (all by default) → the histories at their first commit on a running line."""
    for name, value in replays_allowed(local_git.root).items():
        monkeypatch.setenv(name, value)
    async with Engines(workers=1) as engines, SimulatedClusters(names=["apart"], legacy=True) as apart:
        install_kinds(apart.clusters[0])

        async def start(rounds=None):
            served = Replay(local_git, engines)
            served.serve(replay, rounds)
            sources = {"fleet": str(local_git.path("fleet"))}
            running = await line(clusters=ENVIRONMENTS, sources=sources, legacy=True, environment=ON_DEMAND)
            for cluster in running.clusters:
                install_kinds(cluster)
            await until(lambda: listed(running, len(served.plan(0).targets)), what="all targets are known")
            return Journey(running, served, apart.clusters[0])

        yield start


@pytest.mark.slow
async def test_telling_commits_of_real_histories_arrive_and_nothing_else_changes(journey):
    travelled = await journey(TELLING)

    for number in range(travelled.replay.rounds):
        await travelled.round(number)

    assert travelled.failed


@pytest.mark.long
async def test_every_commit_of_real_histories_arrives_and_nothing_else_changes(journey):
    travelled = await journey()

    for number in range(travelled.replay.rounds):
        await travelled.round(number)

    assert travelled.failed > 11
