"""Run the measurements of the agent: `python -m tests.bench.applier [--only near,far,idle,...] [--rounds 5]`."""

import argparse
import asyncio
import os
import tempfile
from pathlib import Path

from shared.runtime.logs import configure_logging
from tests.bench.applier import few, heal, memory, push, rate
from tests.bench.table import show

PARTS = {
    "near": rate.near,
    "far": rate.far,
    "idle": few.idle,
    "one": few.one,
    "push": push.push,
    "heal": heal.heal,
    "memory": memory.memory,
}


async def main():
    parser = argparse.ArgumentParser(prog="python -m tests.bench.applier")
    parser.add_argument("--only", default=",".join(PARTS), help="parts, with commas between")
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    configure_logging("json", "error")
    for name in chosen.only.split(","):
        print(f"\n{name}: load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores", flush=True)
        with tempfile.TemporaryDirectory(prefix="towline-bench-") as folder:
            show(await PARTS[name](Path(folder), chosen.rounds))


asyncio.run(main())
