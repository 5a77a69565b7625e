"""What is asked of the API server while nothing happens, and for one object that changed."""

import asyncio
from collections import Counter

from services.renderer.engines.tools import kubectl
from tests.bench.applier.objects import config_map, config_maps
from tests.bench.applier.stage import QUIET_S, agent, stage, write_manifests

OBJECTS, HALF = 1000, 500
IDLE_S = 60.0
READS = frozenset({"get", "list", "watch"})


async def idle(folder, _rounds):
    """Return what an idle interval costs, next to a pass that dry-runs every object."""
    async with stage(folder) as on, agent(on) as ours:
        namespace = await on.namespace()
        objects = config_maps(namespace, OBJECTS)
        await ours.deliver("web", namespace, objects)
        await asyncio.sleep(QUIET_S)
        nothing = await _interval(on)
        file = on.folder / "all.yaml"
        write_manifests(file, objects)
        process = await asyncio.create_subprocess_exec(
            *(str(kubectl()), "--kubeconfig", str(on.plane.kubeconfig)),
            *("apply", "--server-side", "--dry-run=server", "--force-conflicts", "-f", str(file)),
            stdout=asyncio.subprocess.DEVNULL,
        )
        assert await process.wait() == 0
        dry = len(on.plane.asked("kubectl"))
    share = f"{100 * nothing['requests'] / dry:.2f} %"
    return [
        {"what": f"{IDLE_S:.0f} s idle, {OBJECTS} objects", **nothing, "requests of a dry run": dry, "share": share}
    ]


async def _interval(on):
    since = on.moment()
    await asyncio.sleep(IDLE_S)
    seen, every = on.asked(since), on.moment() - since
    return {
        "requests": len(seen),
        "mutating": sum(each["verb"] not in READS for each in seen),
        "leases": every - len(seen),
    }


async def one(folder, rounds):
    """Return what was asked for when one object of 500 changed, by its kind."""
    async with stage(folder) as on, agent(on) as ours:
        namespace = await on.namespace()
        objects = config_maps(namespace, HALF)
        await ours.deliver("web", namespace, objects)
        rows = []
        for number in range(rounds):
            await asyncio.sleep(QUIET_S)
            since = on.moment()
            objects[number] = config_map(namespace, number, "second")
            took = await ours.deliver("web", namespace, objects)
            await asyncio.sleep(QUIET_S)
            seen = Counter(f"{each['verb']} {_place(each)}" for each in on.asked(since))
            told = ", ".join(f"{count} x {what}" for what, count in sorted(seen.items()))
            rows.append({"changed": f"1 of {HALF}", "s": took, "requests": seen.total(), "which": told})
    return rows


def _place(event):
    where = event.get("objectRef") or {}
    return f"{where.get('resource', event['requestURI'])} {where.get('name', '')}".strip()
