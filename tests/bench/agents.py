"""A child that runs many agents: a file names their clusters; it ends with its parent's pipe."""

import asyncio
import json
import sys
from pathlib import Path

from services.applier.kube.access import Access
from services.applier.service import run_agent
from services.applier.settings import ApplierSettings
from shared.runtime.lifecycle import Lifecycle
from shared.runtime.logs import configure_logging


async def main(path):
    life = Lifecycle()
    async with asyncio.TaskGroup() as tasks:
        for each in json.loads(path.read_text()):
            access = Access(server=each["url"], authorization=f"Bearer {each['token']}")
            folder = path.parent / "agents" / each["name"]
            folder.mkdir(parents=True, exist_ok=True)
            tasks.create_task(run_agent(ApplierSettings(join=each["join"], access=access, data=folder), life))
        await asyncio.to_thread(sys.stdin.read)
        life.stopping.set()


if __name__ == "__main__":
    configure_logging("json", "warning")
    asyncio.run(main(Path(sys.argv[1])))
