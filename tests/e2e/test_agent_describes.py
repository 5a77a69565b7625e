"""People ask an app's agent through the hub, and see each object."""

import asyncio
import os
import sys

from tests.support.line import until

OBJECTS = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: good}
---
apiVersion: nowhere.example.org/v1
kind: Thing
metadata: {name: bad}
"""


async def told(running, *arguments):
    """Return (exit code, stdout, stderr) of `towline`."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.cli", *arguments, "--data", str(running.data)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "NO_COLOR": "1"},
    )
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def test_describe_shows_each_object_of_a_target(line, local_git):
    """R2: its state, and why the one that failed did."""
    commit = local_git.commit("fleet", {"objects.yaml": OBJECTS})
    running = await line(clusters=["c1"], sources={"fleet": str(local_git.path("fleet"))})
    await running.wait(commit, stage="released")

    async def failed():
        return [each for each in await running.items("targets") if each["sync"] == "OutOfSync"]

    await until(failed, what="the bad object reported")
    code, out, err = await told(running, "describe", "fleet@c1")
    states = {row.split()[0]: row for row in out.partition("OBJECT ")[2].splitlines()[1:]}

    assert code == 0, err
    assert states["/ConfigMap:default/good"].split()[1] == "applied"
    assert any("Thing" in key and "UnknownKind: " in row for key, row in states.items())


async def test_a_diff_names_what_an_apply_would_change_and_no_secret(line, local_git):
    """P1, R2: while an app is only planned, its agent tells what it would do."""
    app = "namespace: web\nsync: {mode: plan}\n"
    made = "apiVersion: v1\nkind: Secret\nmetadata: {name: hidden}\nstringData: {password: canary-wanted}\n"
    commit = local_git.commit(
        "fleet",
        {
            "fleet.yaml": "version: 1\n",
            "clusters/all.yaml": "clusters: [{name: c1}]\n",
            "apps/web/app.yaml": app,
            "apps/web/secret.yaml": made,
            "apps/web/map.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: new}\n",
        },
    )
    running = await line(clusters=["c1"], sources={"fleet": str(local_git.path("fleet"))})
    store = running.cluster("c1").store
    store.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "web"}})
    live = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "hidden", "namespace": "web"}}
    store.create({**live, "data": {"password": "Y2FuYXJ5LWxpdmU="}})
    await running.wait(commit, stage="released")
    await until(lambda: running.items("targets", app="web"), what="the target")
    code, out, err = await told(running, "diff", "--live", "web@c1")

    assert code == 1, err
    assert "/ConfigMap:web/new: missing" in out.splitlines()
    assert "/Secret:web/hidden: differs" in out.splitlines()
    assert ".data.password: " in out
    assert "canary" not in out
    assert "Y2FuYXJ5" not in out
    assert store.get("v1", "ConfigMap", "web", "new") is None
