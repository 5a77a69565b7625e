"""The bus breaks, forgets, or comes back older: nothing is lost, everything converges, nothing is deleted (A13, A14)."""

import shutil

import pytest

from shared import subjects
from tests.support import history
from tests.support.line import PROGRAMS, until

MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{text: {text}}}\n"
CLUSTERS = ("c1", "c2")


@pytest.fixture
async def filled(apart, local_git):
    """A line whose clusters run the first commit of two objects."""
    first = commit(local_git, "first")
    line = await apart(clusters=CLUSTERS, sources={"fleet": str(local_git.path("fleet"))})
    await line.wait(first)
    line.tips = [first]
    return line


def commit(git, text):
    return git.commit("fleet", {f"{name}.yaml": MAP.format(name=name, text=text) for name in ("one", "two")})


async def goes_on(line, text):
    """A further commit arrives everywhere, nobody deleted anything, and agents wrote no more than two objects each."""
    made = commit(line.git, text)
    line.tips.append(made)
    await line.wait(made)
    for cluster in line.clusters:
        assert cluster.store.get("v1", "ConfigMap", "default", "two")["data"] == {"text": text}
        assert history.deletes(cluster) == []


async def judged(line):
    await history.clusters_hold(line, line.git.path("fleet"))
    codes = await line.stop()
    ledger = await history.ledger_of(line.data)
    history.every_tip_is_told(ledger, "fleet", line.tips)
    history.every_render_is_one(ledger)
    history.generations_rise(ledger)

    assert set(codes.values()) == {0}, codes


async def drifted(line, name):
    """Return once a manual change in a cluster is healed."""
    store = line.cluster(name).store
    store.patch(store.get("v1", "ConfigMap", "default", "one"), {"data": {"text": "changed by hand"}})

    def healed():
        return store.get("v1", "ConfigMap", "default", "one")["data"]["text"] != "changed by hand"

    await until(healed, what=f"{name} heals")


@pytest.mark.slow
async def test_a_bus_that_dies_again_and_again_under_load_loses_nothing(filled):
    """A13, F06: killed fifty times while commits travel; every tip reaches the clusters or is superseded."""
    for number in range(50):
        filled.tips.append(commit(filled.git, f"load {number}"))
        await filled.crash("nats-server")
        # Those that come back first have begun to work by then.
        async with filled.bus():
            pass
    await goes_on(filled, "calm")

    await judged(filled)


@pytest.mark.slow
async def test_what_the_bus_forgets_or_remembers_wrongly_is_repaired(filled):
    """A14, F07: wiped; an older store put back; a stream, then consumers deleted: each converges without a delete."""
    before = {cluster.name: len(history.writes(cluster)) for cluster in filled.clusters}

    await filled.wipe_bus()
    await drifted(filled, "c1")
    await goes_on(filled, "after the wipe")

    await filled.server.kill()
    store, copy = filled.data / "nats" / "store", filled.folder / "copy"
    shutil.copytree(store, copy)
    await filled.server.start()
    await goes_on(filled, "after the copy")
    await filled.server.kill()
    shutil.rmtree(store)
    shutil.copytree(copy, store)
    await filled.server.start()
    await goes_on(filled, "after the older store")

    async with filled.bus() as steward:
        for stream in (subjects.DESIRED, subjects.RENDERED):
            await steward.api(f"STREAM.DELETE.{stream}", {})
        await goes_on(filled, "after the streams")
        for durable in subjects.DURABLES:
            await steward.api(f"CONSUMER.DELETE.{durable.stream}.{durable.name}", {})
        await goes_on(filled, "after the consumers")

    # Five commits of two objects, one healed by hand; a wipe makes nobody write again what runs.
    for cluster in filled.clusters:
        assert len(history.writes(cluster)) - before[cluster.name] <= 5 * 2 + 1
    await judged(filled)


@pytest.mark.slow
async def test_a14_a_cluster_on_an_older_bundle_goes_on_after_the_bus_is_lost(apart, local_git):
    """A14: one app was taken back, so the present commit does not bring its bundle: the others are not held back."""

    def commit(web, api):
        files = {f"apps/{name}/a.yaml": MAP.format(name=name, text=text) for name, text in (("web", web), ("api", api))}
        return local_git.commit("fleet", {"fleet.yaml": "version: 1\n", **files})

    first = commit("old", "old")
    line = await apart(clusters=["c1"], sources={"fleet": str(local_git.path("fleet"))})
    await line.wait(first)
    await line.wait(commit("new", "new"))

    def runs(web, api):
        found = [line.cluster("c1").store.get("v1", "ConfigMap", "default", name) for name in ("web", "api")]
        return [each["data"]["text"] for each in found] == [web, api]

    await line.command("releaser", "rollback", cluster="c1", app="web", to=first, reason="incident 42")
    await until(lambda: runs("old", "new"), what="it is taken back")

    await line.wipe_bus()
    for name in ("blobs", "records"):
        shutil.rmtree(line.data / "render-cache" / name)
        (line.data / "render-cache" / name).mkdir()
    commit("new", "newer")
    await until(lambda: runs("old", "newer"), what="the other app goes on")

    assert history.deletes(line.cluster("c1")) == []


@pytest.mark.slow
async def test_clusters_stay_and_heal_while_everything_else_is_gone(filled):
    """A01: programs killed, bus and database gone, git away: no write but healing, no delete; then all comes back."""
    for program in PROGRAMS:
        await filled.children[program].kill()
    await filled.hub.kill()
    await filled.server.kill()
    filled.git.path("fleet").rename(filled.folder / "away.git")
    shutil.rmtree(filled.data / "nats" / "store")
    releaser = filled.folder / "releaser.db"
    for path in filled.data.glob("releaser.db*"):
        path.rename(releaser.with_name(path.name))
    before = {cluster.name: len(history.writes(cluster)) for cluster in filled.clusters}

    await drifted(filled, "c1")
    await filled.children["c2"].stop()
    await filled.children["c2"].start()
    await drifted(filled, "c2")

    for cluster in filled.clusters:
        assert len(history.writes(cluster)) == before[cluster.name] + 1
        assert history.deletes(cluster) == []

    for path in releaser.parent.glob("releaser.db*"):
        path.rename(filled.data / path.name)
    await filled.start_hub()
    (filled.folder / "away.git").rename(filled.git.path("fleet"))
    await goes_on(filled, "back again")

    await judged(filled)
