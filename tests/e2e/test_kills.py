"""Programs and agents killed with SIGKILL while a real history is replayed: the end is the same (A12, F01-F04)."""

import asyncio
import shutil

import pytest

from tests.support import history
from tests.support.apart import Killer
from tests.support.line import PROGRAMS

MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: extra}\ndata: {text: more}\n"
KUSTOMIZATION = """\
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [deployment.yaml, service.yaml, extra.yaml]
commonAnnotations: {changed: "yes"}
"""
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


def exchange(git):
    """Commit one object less, one more, and two that differ."""
    return git.commit("podinfo", {"hpa.yaml": None, "extra.yaml": MAP, "kustomization.yaml": KUSTOMIZATION})


async def judged(line, tips):
    """Stop everything and judge what it left."""
    await history.clusters_hold(line, line.git.path("podinfo"))
    history.targets_have_one_record(await history.renders_of_the_bus(line, "podinfo"))
    for cluster in line.clusters:
        history.deletes_are_ours(cluster, {("horizontalpodautoscalers", "podinfo")})
    codes = await line.stop()
    ledger = await history.ledger_of(line.data)
    history.every_tip_is_told(ledger, "podinfo", tips)
    history.every_render_is_one(ledger)
    history.generations_rise(ledger)

    assert set(codes.values()) == {0}, codes


PUBLISH = "shared.bus.connection:Bus:publish"
SAVE = "services.poller.keeping:StateStore:save"
WRITE, TELL = "services.auditor.store:Store:write", "services.auditor.store:Store:tell"
POINTS = {
    "poller": [(PUBLISH, 1, False), (SAVE, 1, True), (PUBLISH, 3, True)],
    "renderer": [(PUBLISH, 1, True), (PUBLISH, 2, False)],
    "releaser": [(PUBLISH, 1, True), (PUBLISH, 2, False)],
    "auditor": [(WRITE, 1, False), (TELL, 1, True)],
}


@pytest.mark.slow
async def test_programs_that_die_at_named_points_change_nothing(apart, local_git, podinfo):
    """A12, F01-F03: each dies in the middle of a commit's way, before or after it said or stored something."""
    commits = podinfo(15)
    line = await apart(clusters=CLUSTERS, sources={"podinfo": str(local_git.path("podinfo"))}, legacy=True)
    await line.wait(commits[0])
    tips = commits[:1]
    async with asyncio.TaskGroup() as group:
        deaths = [group.create_task(line.die(program, points)) for program, points in POINTS.items()]
        for commit in commits[1:]:
            if all(each.done() for each in deaths):
                break
            tips.append(commit)
            local_git.point("podinfo", "refs/heads/main", commit)
            await line.wait(commit, "released")
    tips.append(exchange(local_git))
    await line.wait(tips[-1])

    await judged(line, tips)


WRITES = range(1, 7)
"""The claim, three applies, a delete, the inventory."""
RUN_ENDED = "services.applier.reporting:Reporting:run_ended"
AGENT_POINTS = {
    "fetched": [("services.applier.content:Content:bundle", 2, False)],
    "silent": [(RUN_ENDED, 2, True)],
    "spoken": [(RUN_ENDED, 2, False)],
}


@pytest.mark.slow
async def test_agents_that_die_at_any_step_of_a_commit_finish_it(apart, local_git, podinfo):
    """A12, F04, M4, I6: killed at each write to their clusters, and before and after they tell; one report of the end."""
    first = podinfo(2)[0]
    at_write = {f"write-{number}": number for number in WRITES}
    line = await apart(
        clusters=(*at_write, *AGENT_POINTS),
        sources={"podinfo": str(local_git.path("podinfo"))},
        legacy=True,
        points=AGENT_POINTS,
    )
    await line.wait(first)
    for name, number in at_write.items():
        line.kill_at_write(name, number)
    tips = [first, exchange(local_git)]
    async with asyncio.TaskGroup() as group:
        for name in (*at_write, *AGENT_POINTS):
            group.create_task(line.children[name].revived())
    await line.wait(tips[-1])

    await judged(line, tips)


@pytest.mark.slow
async def test_kills_at_random_moments_change_nothing(apart, local_git, podinfo):
    """A12, F01-F04: a program or an agent is killed while each commit travels."""
    commits = podinfo(2 + len((*PROGRAMS, *CLUSTERS)))
    line = await apart(clusters=CLUSTERS, sources={"podinfo": str(local_git.path("podinfo"))}, legacy=True)
    await line.wait(commits[0])
    killer, tips = Killer(line, 7, (*PROGRAMS, *CLUSTERS)), list(commits)
    for commit in commits[1:]:
        local_git.point("podinfo", "refs/heads/main", commit)
        await killer.strike()
        await line.wait(commit, "released")
    tips.append(exchange(local_git))
    await line.wait(tips[-1])

    await judged(line, tips)
