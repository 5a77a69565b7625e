"""A child that simulates clusters and tells, a line of JSON each, when a measured object changed.

Each line in is answered with the memory that one cluster costs.
"""

import asyncio
import json
import sys
import time

from services.kubesim.server import SimulatedClusters
from tests.bench.process import rss_mib

OBJECT = "marker"


def tell(**what):
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def listener(cluster):
    def changed(_storage, change):
        if change.name.name.startswith(OBJECT) and change.kind != "DELETED":
            tell(cluster=cluster.name, value=change.after.decode()["data"]["text"], at=time.monotonic())

    return changed


async def main(count):
    before = rss_mib("self")
    async with SimulatedClusters(count) as simulated:
        for cluster in simulated.clusters:
            cluster.state.store.on_change.append(listener(cluster))
        tell(clusters=[{"name": each.name, "url": each.url, "token": each.token} for each in simulated.clusters])
        while await asyncio.to_thread(sys.stdin.readline):
            tell(kib=(rss_mib("self") - before) * 1024 / count)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
