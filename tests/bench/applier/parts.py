"""The measurements of the agent by name, each of which stands alone."""

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
    "large": memory.large,
}


async def measure(names, rounds):
    """Run parts one after the other and print what each found."""
    configure_logging("json", "error")
    for name in names:
        print(f"\n{name}: load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores", flush=True)
        with tempfile.TemporaryDirectory(prefix="towline-bench-") as folder:
            show(await PARTS[name](Path(folder), rounds))
