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
