"""The command `towline`, killing itself as SIGKILL would at a call that the first argument names.

`python -m tests.support.armed '["module:Class:function", COUNT, BEFORE]' run poller`
"""

import asyncio
import importlib
import inspect
import json
import os
import signal
import sys
from contextlib import contextmanager
from functools import wraps
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]


def armed(point, *arguments):
    """Return a command line of `towline`; `point` is which call, its number, and whether before it did its work."""
    return (sys.executable, "-m", "tests.support.armed", json.dumps(point), *arguments)


async def run_doomed(server, program, point, folder, **settings):
    """Run a program of a hub until it kills itself, and return its code."""
    identity = server.credentials(program)
    credentials = folder / f"{program}.json"
    credentials.write_text(json.dumps({"jwt": identity.jwt, "seed": identity.seed, "inbox": identity.inbox}))
    settings |= {"bus_urls": server.url, "bus_credentials": credentials}
    told = {f"TOWLINE_{program.upper()}_{name.upper()}": str(value) for name, value in settings.items()}
    child = await asyncio.create_subprocess_exec(*armed(point, "run", program), env=os.environ | told, cwd=PROJECT)
    try:
        async with asyncio.timeout(90):
            return await child.wait()
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()


def arm(point, count, before):
    """Let the process die at the `count`-th call of a method, before or after it did its work."""
    module, owner_name, name = point.split(":")
    owner = getattr(importlib.import_module(module), owner_name)
    real, calls = getattr(owner, name), iter(range(1, 1_000_000))

    def die():
        os.kill(os.getpid(), signal.SIGKILL)

    @contextmanager
    def mortal():
        last = next(calls) == count
        if last and before:
            die()
        yield
        if last:
            die()

    @wraps(real)
    async def waiting(*args, **how):
        with mortal():
            return await real(*args, **how)

    @wraps(real)
    def blocking(*args, **how):
        with mortal():
            return real(*args, **how)

    setattr(owner, name, waiting if inspect.iscoroutinefunction(real) else blocking)


if __name__ == "__main__":
    arm(*json.loads(sys.argv[1]))
    sys.argv = ["towline", *sys.argv[2:]]
    from services.cli.main import main

    main()
