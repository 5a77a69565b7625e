"""Resident memory of an agent process with 1,000 and with 10,000 objects, before and after all of them changed."""

import asyncio
import sys

from tests.bench.applier.objects import config_maps
from tests.bench.applier.stage import agent, stage
from tests.bench.process import rss_mib

SIZES = (1000, 10_000)
TRIMMED_S = 12.0
"""An agent gives memory back every ten seconds."""
PROGRAMS = {
    "python -m services.applier": ("services.applier",),
}
OTHERS = "import kubernetes_asyncio, sys; sys.stdin.read()"


async def memory(folder, _rounds):
    """Return a row for each size, and what importing the usual client costs alone."""
    found = []
    for size in SIZES:
        # A process of its own for each: what a large bundle left behind would count for a small one.
        async with stage(folder / str(size)) as on, agent(on) as ours:
            found.append(await _measured(on, ours, size))
    found.append(dict.fromkeys(found[0], "") | {"agent": "import kubernetes_asyncio", "started": await _other()})
    return found


async def _measured(on, ours, size):
    namespace = await on.namespace()
    row = {"agent": f"{size} objects", "started": rss_mib(ours.pid)}
    for name, text in (("first", "first"), ("all changed", "second"), ("again", "third")):
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
