"""One real agent process: its memory with 1,000 objects, and its requests for a change of one and for none."""

import asyncio
import tempfile
import time
from pathlib import Path

import yaml

from services.cli.client import Hub
from tests.bench.fleet import ENVIRONMENT, START_S, child, running_fleet
from tests.bench.process import rss_mib

OBJECTS, SETTLED_S, IDLE_S, BUNDLES = 1000, 4.0, 20.0, 5
HALF = 500


def files(text, changed=OBJECTS, objects=OBJECTS):
    """Return the app's objects, of which the first `changed` have the new text."""

    def one(number):
        value = text if number < changed else "first"
        return (
            f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: o-{number}}}\n"
            f"data: {{text: {value}, filler: {'x' * 400}}}\n"
        )

    marker = f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: marker}}\ndata: {{text: {text}}}\n"
    return {"m.yaml": "---\n".join([marker, *(one(each) for each in range(1, objects))])}


def command(way, folder, cluster):
    """Return arguments and environment of a real agent."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": cluster["url"]}}],
        "users": [{"name": "u", "user": {"token": cluster["token"]}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "c",
    }
    (folder / "kubeconfig").write_text(yaml.safe_dump(config))
    (folder / "token").write_text(cluster["join"])
    paths = {"JOIN_FILE": folder / "token", "KUBECONFIG": folder / "kubeconfig", "DATA": folder / "agent"}
    if way == "towline agent run":
        options = [part for name, path in paths.items() for part in ("--" + name.lower().replace("_", "-"), str(path))]
        return ("services.cli", "agent", "run", *options), {}
    return ("services.applier",), {f"TOWLINE_AGENT_{name}": str(path) for name, path in paths.items()}


async def commit(fleet, text, **how):
    started = time.monotonic()
    fleet.git.commit("fleet", files(text, **how))
    async with Hub(fleet.address) as hub, asyncio.timeout(START_S), asyncio.TaskGroup() as tasks:
        tasks.create_task(hub.command("poller", "sync", {"source": "fleet"}))
        last = await fleet.heard(1, text)
    await settled(fleet)
    return last - started, fleet.seen


async def settled(fleet):
    """Return when the agent was quiet for a while; `fleet.seen` then has all that it asked since the last time."""
    fleet.seen = {"requests": 0, "writes": 0, "leases": 0, "told": []}
    while True:
        await asyncio.sleep(SETTLED_S)
        found = (await fleet.ask("count"))["counted"]
        fleet.seen = {name: fleet.seen[name] + found[name] for name in fleet.seen}
        if not found["requests"]:
            return


async def memory(way):
    """Return the figures of one agent that was started in this `way`."""
    with tempfile.TemporaryDirectory(prefix="towline-bench-") as name:
        folder = Path(name)
        async with running_fleet(folder, 1, files("first"), agents=False) as fleet:
            arguments, environment = command(way, folder, fleet.clusters[0])
            ENVIRONMENT.update(environment)
            try:
                async with child(*arguments, log=folder / "agent.log") as agent:
                    return await measured(fleet, agent.pid)
            finally:
                for key in environment:
                    ENVIRONMENT.pop(key)


async def measured(fleet, pid):
    async with asyncio.timeout(START_S):
        await fleet.heard(1, "first")
    await settled(fleet)
    found = {"first_mib": rss_mib(pid)}
    for number in range(BUNDLES):
        await commit(fleet, f"all-{number}")
    found |= {f"after_{BUNDLES}_mib": rss_mib(pid), "peak_mib": rss_mib(pid, "VmHWM")}
    await commit(fleet, "half", changed=0, objects=HALF)
    # The marker is the one object that differs.
    found["one_of_500_s"], one = await commit(fleet, "single", changed=0, objects=HALF)
    found |= {"requests_one_of_500": one["requests"], "writes": one["writes"]}
    await asyncio.sleep(IDLE_S)
    idle = (await fleet.ask("count"))["counted"]
    found |= {"requests_idle_20s": idle["requests"], "lease_requests_20s": idle["leases"]}
    return found | {"told": " ".join(one["told"])}
