"""What people may rely on: an orderly end, one hub a folder, no step back, no work twice."""

import asyncio
import random
import shutil
import sys

import pytest

from tests.support.agents import config_map
from tests.support.line import PROJECT, Child, until

MAP = 'apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{text: "{text}"}}\n'


async def said(*arguments):
    """Run a command to its end, and return its code and what it said."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.cli", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=PROJECT,
    )
    async with asyncio.timeout(30):
        out, _ = await child.communicate()
    return child.returncode, out.decode()


async def ended_in_time(child):
    async with asyncio.timeout(10):
        return await child.stop()


async def test_hub_and_agent_end_in_good_order_and_one_hub_has_a_folder(line, local_git, tmp_path):
    """A36."""
    first = local_git.commit("fleet", {"one.yaml": MAP.format(name="one", text="1")})
    running = await line(clusters=["c1"], sources={"fleet": str(local_git.path("fleet"))})
    await running.stop_agent("c1")
    folder = running.folder / "agents" / "c1"
    arguments = ("agent", "run", "--kubeconfig", str(folder / "kubeconfig"), "--data", str(folder))
    agent = Child(arguments, tmp_path / "agent.log")
    await agent.start()
    try:
        await running.wait(first)
        code, out = await said("hub", "run", "--data", str(running.data), "--listen", "127.0.0.1:0")
        local_git.commit("fleet", {"one.yaml": MAP.format(name="one", text="2")})
    finally:
        codes = [await ended_in_time(agent), await ended_in_time(running.hub)]

    assert code == 2
    assert f"hub runs already in {running.data} (process {running.hub.process.pid})" in out
    assert codes == [0, 0]
    assert "program_cancelled" not in running.hub.log.read_text()
    assert not (running.data / "hub.json").exists()


async def test_a_thousand_documents_in_any_order_move_a_cluster_forward_only(pen, agent, sim):
    """A03, I5: shuffled, repeated, delayed; what is applied has ever higher generations, and the newest is the last."""
    dice = random.Random(3)
    made = []
    for number in range(1, 201):
        await pen.release("web", [config_map("a", number=str(number))], publish=False, generation=number)
        pen.generation = number
        made.append(await pen.envelope())
    order = [each for each in made for _ in range(5)]
    dice.shuffle(order)

    for envelope in [*order, made[0], made[-1]]:
        await pen.send(envelope)
    await pen.reported(generation=200, result="succeeded")
    await pen.send(made[0])
    await pen.instruct("sync")

    applied = [each.generation for each in pen.reports if each.app == "web"]
    assert applied == sorted(set(applied))
    assert sim.store.get("v1", "ConfigMap", "web", "a")["data"] == {"number": "200"}


async def events(running, kind, **filters):
    return [each for each in await running.items("events", **filters) if kind in each["type"]]


@pytest.mark.slow
async def test_a_hub_that_starts_again_does_nothing_again(line, local_git):
    """Killed, then started with the same folder: nothing is rendered or released anew, agents write nothing."""
    first = local_git.commit("fleet", {"one.yaml": MAP.format(name="one", text="1")})
    other = local_git.commit("other", {"two.yaml": MAP.format(name="two", text="1")})
    sources = {name: str(local_git.path(name)) for name in ("fleet", "other")}
    running = await line(clusters=["c1"], sources=sources)
    await running.wait(first)
    await running.wait(other)
    # Both were asked for again when the cluster joined: what follows is new.
    before = await events(running, "e")

    await running.hub.kill()
    await running.start_hub()
    await running.wait(local_git.commit("other", {"two.yaml": MAP.format(name="two", text="2")}))

    known = {each["id"] for each in before}
    fresh = [each["type"] for each in await events(running, "e", source="fleet") if each["id"] not in known]
    assert not [kind for kind in fresh if "revision" in kind or "target" in kind or "apply" in kind], fresh


@pytest.mark.slow
async def test_a_database_from_a_backup_releases_nothing_until_it_is_adopted(line, local_git):
    """F31: the hub is up and says so; `towline hub adopt` lets it go on above everything that was ever signed."""
    running = await line(clusters=["c1"], sources={"fleet": str(local_git.path("fleet"))})
    await running.wait(local_git.commit("fleet", {"one.yaml": MAP.format(name="one", text="1")}))
    await running.hub.stop()
    backup = running.folder / "backup.db"
    shutil.copy(running.data / "releaser.db", backup)
    await running.start_hub()
    await running.wait(local_git.commit("fleet", {"one.yaml": MAP.format(name="one", text="2")}))
    await running.hub.stop()
    for path in running.data.glob("releaser.db*"):
        path.unlink()
    shutil.copy(backup, running.data / "releaser.db")

    await running.start_hub()

    async def noticed():
        return await events(running, "database.restored")

    await until(noticed, what=running.hub.tail)
    newest = local_git.commit("fleet", {"one.yaml": MAP.format(name="one", text="3")})
    await running.wait(newest, "rendered")
    text = running.cluster("c1").store.get("v1", "ConfigMap", "default", "one")["data"]["text"]
    code, out = await said("hub", "adopt", "--data", str(running.data))
    await running.wait(newest)

    assert text == "2"
    assert code == 0, out
    assert running.cluster("c1").store.get("v1", "ConfigMap", "default", "one")["data"] == {"text": "3"}
