"""A program: let engines have the poison corpus, so that a test can watch their system calls."""

import asyncio
import sys
from pathlib import Path

from services.renderer.engines import Engines
from services.renderer.sandbox import Limits
from tests.support.poison import CORPUS, files_of, outside
from tests.support.rendering import outcome

# Loops go on until they are cut off: watched, they need not do so for long.
LIMITS = Limits(wall_s=10, cpu_s=2, memory_bytes=512 << 20)


async def main(folder, port):
    """Render everything, two at a time."""
    out = outside(folder / "outside")
    async with Engines(LIMITS, workers=2, folder=folder) as engines, asyncio.TaskGroup() as tasks:
        for name in CORPUS:
            tasks.create_task(outcome(engines, files_of(name, port=port, out=out)))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
