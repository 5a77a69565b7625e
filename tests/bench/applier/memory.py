"""Resident memory of an agent process with 1,000 and with 10,000 objects, before and after all of them changed."""

import asyncio
import sys

from tests.bench.applier.objects import config_maps
from tests.bench.applier.stage import agent, stage
from tests.bench.process import rss_mib

TRIMMED_S = 12.0
"""An agent gives memory back every ten seconds."""
OTHERS = "import kubernetes_asyncio, sys; sys.stdin.read()"


async def memory(folder, _rounds):
    """Return the row of 1,000 objects, and what importing the usual client costs alone."""
    row = await _measured(folder, 1000)
    return [row, dict.fromkeys(row, "") | {"process": "import kubernetes_asyncio", "started": await _other()}]


async def large(folder, _rounds):
    """Return the row of 10,000 objects."""
    return [await _measured(folder, 10_000)]


async def _measured(folder, size):
    async with stage(folder) as on, agent(on) as ours:
        namespace = await on.namespace()
        row = {"process": f"agent, {size} objects", "started": rss_mib(ours.pid)}
        for name, text in (("first bundle", "first"), ("all changed", "second"), ("again", "third")):
            await ours.deliver("web", namespace, config_maps(namespace, size, text))
            await asyncio.sleep(TRIMMED_S)
            row[name] = rss_mib(ours.pid)
        return row | {"peak": rss_mib(ours.pid, "VmHWM")}


async def _other():
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", OTHERS, stdin=pipe)
    await asyncio.sleep(5)
    try:
        return rss_mib(process.pid)
    finally:
        process.stdin.close()
        await process.wait()
