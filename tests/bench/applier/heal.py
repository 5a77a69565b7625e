"""A foreign change, and a foreign deletion: seconds until everything is as it was, beside what a bare watch needs to tell."""

import asyncio
import random
import statistics
import time
from contextlib import asynccontextmanager

from services.applier.kube.session import JSON
from tests.bench.applier.objects import config_maps
from tests.bench.applier.stage import QUIET_S, agent, stage
from tests.support.api_server import MERGE_PATCH

OBJECTS, EACH = 1000, 40
FOREIGN = "foreign"


async def heal(folder, _rounds):
    """Return a row for changes and one for deletions."""
    async with stage(folder) as on, agent(on) as ours:
        namespace = await on.namespace()
        await ours.deliver("web", namespace, config_maps(namespace, OBJECTS))
        await asyncio.sleep(QUIET_S)
        # Each object once: of several changes in a row the later ones are put off on purpose.
        names = random.sample([f"o-{number}" for number in range(OBJECTS)], 2 * EACH)
        async with _watched(on, namespace) as seen:
            changed = [await _changed(on, namespace, seen, name) for name in names[:EACH]]
            deleted = [await _deleted(on, namespace, seen, name) for name in names[EACH:]]
    return [_row("changed", changed), _row("deleted", deleted)]


def _row(what, found):
    told, healed = zip(*found, strict=True)
    return {
        "foreign": f"{len(found)} {what}",
        "watch told p50": statistics.median(told),
        "reverted p50": statistics.median(healed),
        "reverted p95": statistics.quantiles(healed, n=20)[-1],
        "longest": max(healed),
    }


async def _changed(on, namespace, seen, name):
    """Change an object as somebody else; return the seconds until a watch told of it, and until it was reverted."""
    await asyncio.sleep(random.uniform(0.1, 0.6))
    path, started = f"/api/v1/namespaces/{namespace}/configmaps/{name}", time.monotonic()
    patch = {"data": {"text": FOREIGN}}
    assert (await on.server.ask("PATCH", path, patch, content_type=MERGE_PATCH, fieldManager="somebody")).ok
    told = await seen(name, lambda event: event["object"]["data"]["text"] == FOREIGN)
    healed = await seen(name, lambda event: event["object"]["data"]["text"] != FOREIGN)
    return told - started, healed - started


async def _deleted(on, namespace, seen, name):
    await asyncio.sleep(random.uniform(0.1, 0.6))
    path, started = f"/api/v1/namespaces/{namespace}/configmaps/{name}", time.monotonic()
    assert (await on.server.ask("DELETE", path)).ok
    told = await seen(name, lambda event: event["type"] == "DELETED")
    healed = await seen(name, lambda event: event["type"] == "ADDED")
    return told - started, healed - started


@asynccontextmanager
async def _watched(on, namespace):
    """Yield a function that waits for the next event of an object that fits, and returns when it came."""
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    version = (await on.server.get(path))["metadata"]["resourceVersion"]
    events = asyncio.Queue()

    async def follow():
        query = {"watch": "true", "resourceVersion": version}
        async with on.server.session.stream(path, query, accept=JSON) as (head, lines):
            assert head.ok
            async for event in lines:
                events.put_nowait((time.monotonic(), event))

    async def seen(name, fits):
        async with asyncio.timeout(60):
            while True:
                at, event = await events.get()
                if event["object"]["metadata"]["name"] == name and fits(event):
                    return at

    async with asyncio.TaskGroup() as tasks:
        following = tasks.create_task(follow())
        yield seen
        following.cancel()
