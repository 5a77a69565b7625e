"""Agents as processes that are cheap to start: forked from one that has loaded everything, each to be killed alone.

What they run is `run_agent`, as `towline agent run` does; a life may end itself by SIGKILL after its n-th API call.
"""

import asyncio
import multiprocessing
import os
import signal
from contextlib import asynccontextmanager
from pathlib import Path

CALL = "services.applier.kube.session:Session:_exchange"
_FORKED = multiprocessing.get_context("forkserver")
_FORKED.set_forkserver_preload(["services.applier.service", "tests.support.armed", "tests.support.lives", "pytest"])


def _live(settings, calls, log):
    """Be an agent until told to stop, or until the `calls`-th API call was answered."""
    from services.applier.service import run_agent
    from shared.runtime.lifecycle import Lifecycle
    from tests.support.armed import arm

    os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 1)
    if calls:
        arm(CALL, calls, before=False)

    async def live():
        life = Lifecycle()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, life.stopping.set)
        await run_agent(settings, life)

    asyncio.run(live())


class Life:
    """One process."""

    def __init__(self, process):
        self._process = process
        self.killed = False
        """It ended by SIGKILL."""

    @property
    def pid(self):
        return self._process.pid

    def signal(self, number):
        os.kill(self._process.pid, number)

    async def ends(self):
        """Return once the process has ended."""
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(self._process.sentinel, ended.set)
        try:
            await ended.wait()
        finally:
            loop.remove_reader(self._process.sentinel)
        self._process.join()
        self.killed = self._process.exitcode == -signal.SIGKILL


@asynccontextmanager
async def living(settings, *, calls=0, log=Path(os.devnull)):
    """Yield an agent's process, which dies at its `calls`-th API call; leaving the block stops it as SIGTERM does."""
    process = _FORKED.Process(target=_live, args=(settings, calls, str(log)), daemon=True)
    process.start()
    life = Life(process)
    try:
        yield life
    finally:
        if process.exitcode is None:
            process.terminate()
        await life.ends()
        process.close()
