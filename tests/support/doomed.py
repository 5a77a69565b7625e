"""A real program that ends itself, as SIGKILL would, at a call that the test names."""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE

from tests.support.data import PROJECT

CHILD = """
import asyncio, importlib, inspect, json, os, signal, sys
from pathlib import Path

job = json.loads(sys.stdin.readline())

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def armed(owner, name, count, before):
    real, calls = getattr(owner, name), iter(range(1, 10_000))

    async def waiting(*args, **how):
        last = next(calls) == count
        if last and before:
            die()
        result = await real(*args, **how)
        if last:
            die()
        return result

    def blocking(*args, **how):
        last = next(calls) == count
        if last and before:
            die()
        result = real(*args, **how)
        if last:
            die()
        return result

    setattr(owner, name, waiting if inspect.iscoroutinefunction(real) else blocking)

module, owner, name = job["point"].split(":")
armed(getattr(importlib.import_module(module), owner), name, job["count"], job["before"])

from shared.bus.connection import Bus, Credentials
from shared.runtime.lifecycle import Lifecycle

async def main():
    program = importlib.import_module(f"services.{job['program']}.service")
    settings = importlib.import_module(f"services.{job['program']}.settings")
    made = getattr(settings, job["program"].capitalize() + "Settings")(**job["settings"])
    async with Bus.connect([job["bus"]], lambda: Credentials(**job["credentials"]), name=job["program"]) as bus:
        await program.serve(made, bus, Lifecycle())

asyncio.run(main())
"""


async def run_doomed(server, program, point, settings):
    """Run a program until it kills itself; `point` is (module:class:function, which call, before it)."""
    credentials = server.credentials(program)
    job = {
        "program": program,
        "point": point[0],
        "count": point[1],
        "before": point[2],
        "bus": server.url,
        "credentials": {"jwt": credentials.jwt, "seed": credentials.seed, "inbox": credentials.inbox},
        "settings": settings,
    }
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", CHILD, stdin=PIPE, stderr=PIPE, cwd=PROJECT)
    try:
        async with asyncio.timeout(30):
            await child.communicate(json.dumps(job).encode() + b"\n")
    finally:
        if child.returncode is None:
            child.kill()
            await child.communicate()
    return child.returncode
