"""From `git push` with a hint to the object changed in the cluster, through poller, renderer, releaser, bus and agent."""

import asyncio
import os
import statistics
import subprocess
import time
from contextlib import AsyncExitStack

import yaml

from services.applier.kube.credentials import FixedCredentials
from services.applier.kube.session import JSON
from services.cli.client import Hub
from tests.bench.applier.objects import config_map
from tests.bench.fleet import address_of, child, joined
from tests.support.api_server import asking
from tests.support.control_plane import running_control_plane
from tests.support.git_server import GitServer

SIZES = (4, 500)
PUSHES = 20
PAUSE_S = 1.0
FIRST_S = 120.0
PUSHED_S = 30.0
NAMESPACE = "pushed"
CLUSTER = "real"


async def push(folder, _rounds):
    """Return a row for each size of the app."""
    return [await _pushes(folder / str(size), size) for size in SIZES]


async def _pushes(folder, size):
    git = GitServer(folder / "git")
    try:
        async with AsyncExitStack() as stack:
            plane = await stack.enter_async_context(running_control_plane(folder / "plane"))
            git.commit("fleet", _fleet(size))
            hub = await stack.enter_async_context(_hub(folder, git.url("fleet")))
            address = await address_of(folder / "hub")
            client = await stack.enter_async_context(Hub(address))
            await stack.enter_async_context(await _agent(folder, plane, client))
            server = await stack.enter_async_context(asking(FixedCredentials(plane.access)))
            assert hub.returncode is None
            await _until_there(server)
            clone = _clone(folder, git.url("fleet"))
            took = [await _pushed(server, client, clone, size, number) for number in range(PUSHES + 1)][1:]
    finally:
        git.close()
    return {
        "changed": f"1 of {size}",
        "pushes": PUSHES,
        "p50": statistics.median(took),
        "p95": statistics.quantiles(took, n=20)[-1],
        "longest": max(took),
    }


def _fleet(size, text="first"):
    return {
        "fleet.yaml": "version: 1\n",
        "clusters/all.yaml": f"clusters:\n  - name: {CLUSTER}\n",
        "apps/web/app.yaml": f"namespace: {NAMESPACE}\n",
        "apps/web/m.yaml": _manifests(size, text),
    }


def _manifests(size, text):
    objects = [config_map(NAMESPACE, number, text if number == 0 else "first") for number in range(size)]
    return yaml.safe_dump_all(objects)


def _hub(folder, url):
    source = ("--source", f"fleet={url}")
    told = ("services.cli", "hub", "run", "--data", str(folder / "hub"), "--listen", "127.0.0.1:0", "--log", "json")
    return child(*told, *source, log=folder / "hub.log")


async def _agent(folder, plane, hub):
    """Return an agent that joins the hub, started as a user would."""
    cluster = {"name": CLUSTER}
    await joined(hub, cluster, asyncio.Semaphore(1))
    (folder / "token").write_text(cluster["join"])
    told = {"JOIN_FILE": folder / "token", "KUBECONFIG": plane.kubeconfig, "DATA": folder / "agent"}
    options = [part for name, path in told.items() for part in ("--" + name.lower().replace("_", "-"), str(path))]
    return child("services.cli", "agent", "run", *options, log=folder / "agent.log")


async def _until_there(server):
    async with asyncio.timeout(FIRST_S):
        while await server.get(f"/api/v1/namespaces/{NAMESPACE}/configmaps/o-0") is None:  # noqa: ASYNC110 - as a script would
            await asyncio.sleep(0.2)
    await asyncio.sleep(5)


def _clone(folder, url):
    _git(folder, "clone", "--quiet", url, "clone")
    return folder / "clone"


def _git(folder, *arguments):
    who = {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in IDENTITY.items()}
    subprocess.run(["git", *arguments], cwd=folder, env={**os.environ, **who}, check=True)


IDENTITY = {"NAME": "Ada", "EMAIL": "ada@example.org"}


async def _pushed(server, hub, clone, size, number):
    """Push a commit that changes one object; return the seconds from the push's end to the change in the cluster."""
    await asyncio.sleep(PAUSE_S)
    text = f"push-{number}"
    (clone / "apps/web/m.yaml").write_text(_manifests(size, text))
    await asyncio.to_thread(_git, clone, "commit", "--quiet", "--all", "--message", text)
    async with asyncio.timeout(PUSHED_S), asyncio.TaskGroup() as tasks:
        changed = tasks.create_task(_changed(server, text))
        await asyncio.to_thread(_git, clone, "push", "--quiet")
        started = time.monotonic()
        tasks.create_task(hub.command("poller", "sync", {"source": "fleet"}))
        return await changed - started


async def _changed(server, text):
    """Return when the object had this text."""
    path = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
    query = {"watch": "true", "fieldSelector": "metadata.name=o-0"}
    async with server.session.stream(path, query, accept=JSON) as (head, events):
        assert head.ok
        async for event in events:
            if event["object"]["data"]["text"] == text:
                return time.monotonic()
    raise AssertionError("the watch ended")
