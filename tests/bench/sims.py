"""A child that simulates clusters and tells, a line of JSON each, when a measured object changed; asked, it counts.

Lines in: `count` answers with the requests since the last one, `rss` with what one cluster costs.
"""

import asyncio
import json
import sys
import time

from services.kubesim.server import SimulatedClusters
from tests.bench.process import rss_mib

OBJECT = "marker"
WRITES = frozenset({"PATCH", "POST", "PUT", "DELETE"})
LEASES = "/leases/"


def tell(**what):
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def listener(cluster):
    def changed(_storage, change):
        if change.name.name.startswith(OBJECT) and change.kind != "DELETED":
            tell(cluster=cluster.name, value=change.after.decode()["data"]["text"], at=time.monotonic())

    return changed


def counted(cluster):
    """Return the requests since the last count, those that keep a lease apart."""
    seen = [each for each in cluster.requests if LEASES not in each.path]
    leases = len(cluster.requests) - len(seen)
    cluster.requests.clear()
    return {
        "requests": len(seen),
        "writes": sum(each.method in WRITES for each in seen),
        "leases": leases,
        "told": [f"{each.method} {each.path}" for each in seen[:12]],
    }


async def main(count):
    before = rss_mib("self")
    async with SimulatedClusters(count) as simulated:
        for cluster in simulated.clusters:
            cluster.state.store.on_change.append(listener(cluster))
        tell(clusters=[{"name": each.name, "url": each.url, "token": each.token} for each in simulated.clusters])
        while line := (await asyncio.to_thread(sys.stdin.readline)).strip():
            if line == "count":
                tell(counted=counted(simulated.clusters[0]))
            else:
                tell(kib=(rss_mib("self") - before) * 1024 / count)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
