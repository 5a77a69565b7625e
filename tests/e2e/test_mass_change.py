"""A commit that takes most of a fleet away waits for a person (A06)."""

import pytest

from services.cli.hubs import CommandError
from tests.support.line import until

CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{text: {name}}}\n"
APPS = ("one", "two", "three")
FLEET = {
    "fleet.yaml": "version: 1\n",
    "clusters/all.yaml": "clusters:\n- {name: c1}\n- {name: c2}\n",
    **{f"apps/{name}/config.yaml": CONFIG.format(name=name) for name in APPS},
}
FOREIGN = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "foreign", "namespace": "default"}}


def deletions(line):
    """Return what was deleted in the apps' namespace."""
    asked = (each for sim in line.clusters for each in sim.requests if each.method == "DELETE")
    return [each.path for each in asked if "/namespaces/default/" in each.path]


async def holds(line, count):
    """Return what waits for a person, once it is so many."""
    last = []

    async def there():
        nonlocal last
        last = (await line.get("/api/v1/holds"))["items"]
        return len(last) == count

    await until(there, what=lambda: f"{count} holds: {last}\n{line.hub.tail(5)}", deadline_s=30)
    return last


async def test_a06_an_emptied_fleet_waits_and_an_approval_releases_exactly_that(line, local_git):
    """A06: nothing is deleted until somebody approves the digest that was shown; another digest opens nothing."""
    first = local_git.commit("fleet", FLEET)
    running = await line(clusters=["c1", "c2"], sources={"fleet": str(local_git.path("fleet"))})
    await running.wait(first, "applied")
    for name in ("c1", "c2"):
        running.cluster(name).store.create(FOREIGN)
    before = {name: running.owned(name) for name in ("c1", "c2")}

    local_git.commit("fleet", dict.fromkeys(path for path in FLEET if path.startswith("apps/")))
    (hold,) = await holds(running, 1)
    with pytest.raises(CommandError) as refused:
        await running.command("releaser", "approve", hold=hold["name"], approval="0" * 64)

    assert refused.value.code == "approval.changed"
    assert {name: running.owned(name) for name in before} == before
    assert deletions(running) == []

    await running.command("releaser", "approve", hold=hold["name"], approval=hold["digest"])
    await until(lambda: not any(running.owned(name) for name in before), what=lambda: f"{deletions(running)}")
    assert len(deletions(running)) == len(APPS) * len(before)
    assert all(running.cluster(name).store.get("v1", "ConfigMap", "default", "foreign") for name in before)
    await holds(running, 0)
