"""Programs killed with SIGKILL while a real history is replayed: the end is the same as without (A12, F01-F04)."""

import asyncio
import shutil

import pytest

from tests.support import history
from tests.support.apart import Killer
from tests.support.line import PROGRAMS

KUSTOMIZATION = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [{files}]\n"
WITHOUT_HPA = KUSTOMIZATION.format(files="deployment.yaml, service.yaml")
CLUSTERS = ("c1", "c2")


@pytest.fixture
def podinfo(local_git, replay):
    """A function: count of commits → the commits of a real history, of which the repository shows the first."""

    def made(count):
        shutil.copytree(replay("podinfo-kustomize", count), local_git.path("podinfo"))
        repository = local_git.open("podinfo")
        # The first commit of the history is empty.
        commits = [str(each.id) for each in repository.walk(repository.head.target)][::-1][1:]
        local_git.point("podinfo", "refs/heads/main", commits[0])
        return commits

    return made


async def replayed(line, git, commits):
    """Show one commit after the other, each when the one before was released; the last removes something."""
    tips = list(commits)
    for commit in commits:
        git.point("podinfo", "refs/heads/main", commit)
        await line.wait(commit, "released")
    tips.append(git.commit("podinfo", {"hpa.yaml": None, "kustomization.yaml": WITHOUT_HPA}))
    await line.wait(tips[-1])
    return tips


async def judged(line, tips):
    """Stop everything and judge what it left."""
    await history.clusters_hold(line, line.git.path("podinfo"))
    history.targets_have_one_record(await history.renders_of_the_bus(line, "podinfo"))
    for cluster in line.clusters:
        history.deletes_are_ours(cluster, {("horizontalpodautoscalers", "podinfo")})
    codes = await line.stop_hub()
    ledger = await history.ledger_of(line.data)
    history.every_tip_is_told(ledger, "podinfo", tips)
    history.every_render_is_one(ledger)
    history.generations_rise(ledger)

    assert set(codes.values()) == {0}, codes


PUBLISH = "shared.bus.connection:Bus:publish"
POINTS = [
    ("poller", PUBLISH, 1, False),
    ("renderer", PUBLISH, 1, True),
    ("releaser", PUBLISH, 1, True),
    ("auditor", "services.auditor.store:Store:write", 1, False),
    ("poller", "services.poller.keeping:StateStore:save", 1, True),
    ("renderer", PUBLISH, 2, False),
    ("releaser", PUBLISH, 2, False),
    ("auditor", "services.auditor.store:Store:tell", 1, True),
]


@pytest.mark.long
async def test_programs_that_die_at_named_points_change_nothing(apart, local_git, podinfo):
    """A12, F01-F03: each dies in the middle of a commit's way, before or after it said or stored something."""
    commits = podinfo(len(POINTS) + 2)
    line = await apart(clusters=CLUSTERS, sources={"podinfo": str(local_git.path("podinfo"))}, legacy=True)
    await line.wait(commits[0])
    for (program, *point), commit in zip(POINTS, commits[1:], strict=True):
        await line.doom(program, point)
        local_git.point("podinfo", "refs/heads/main", commit)
        await line.dead(program)
        await line.wait(commit, "released")
    tips = commits + await replayed(line, local_git, ())

    await judged(line, tips)


@pytest.mark.long
async def test_kills_at_random_moments_change_nothing(apart, local_git, podinfo):
    """A12, F01-F04: programs and agents are killed all the time while commits travel."""
    commits = podinfo(12)
    line = await apart(clusters=CLUSTERS, sources={"podinfo": str(local_git.path("podinfo"))}, legacy=True)
    await line.wait(commits[0])
    killer, over = Killer(line, 7, (*PROGRAMS, *CLUSTERS)), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(killer.run(over))
        tips = await replayed(line, local_git, commits[1:])
        over.set()
    tips.append(local_git.commit("podinfo", {"README.md": "the end"}))
    await line.wait(tips[-1])

    assert killer.kills >= len(PROGRAMS)
    await judged(line, [commits[0], *tips])
