"""The renderer as it runs: takes requests, has every target's bundle on the bus, says what came of it."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from services.renderer.archives import ChartArchives
from services.renderer.bundles import Bundles
from services.renderer.cache import RenderCache
from services.renderer.contention import Contention
from services.renderer.engines import Engines
from services.renderer.engines.child import ChildStartError, SandboxError
from services.renderer.packs import Trees
from services.renderer.requests import Requests
from services.renderer.settings import RendererSettings
from shared import subjects
from shared.bus.connection import Bus
from shared.git.store import ObjectStore
from shared.runtime import metrics
from shared.runtime.lifecycle import Lifecycle
from shared.runtime.logs import get_logger
from shared.runtime.secrets import content_secret

KEYS = "keys"
_RENDER = subjects.Durable(subjects.RENDER, "renderer")


async def serve(settings: RendererSettings, bus: Bus, life: Lifecycle) -> None:
    """Render what is asked for until the program stops; what is in hand is finished.

    Raises:
        SecretFileError: the secret from which the keys of content are derived cannot be read.
    """
    secret = await asyncio.to_thread(content_secret, settings.data / KEYS)
    cache = await asyncio.to_thread(RenderCache, settings.data / "render-cache", settings.cache_bytes)
    store = await asyncio.to_thread(ObjectStore, settings.data / "objects")
    work = settings.data / "render-work"
    await asyncio.to_thread(_emptied, work)
    # One more than a single source may have.
    workers = settings.workers + 1
    unconfined = settings.allow_unsandboxed
    engines = Engines(settings.limits, workers=workers, allow_unsandboxed=unconfined, folder=work, tell=_measure)
    async with engines:
        bundles = Bundles(engines, cache, bus, secret, share=settings.workers)
        archives = ChartArchives(bus, settings.data / "render-charts")
        requests = Requests(bus, Trees(bus, store), archives, bundles, engines.versions, contention=Contention(cache))
        await _warm_up(engines, life)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(bus.consume(_RENDER, requests.take, workers=settings.requests))
            tasks.create_task(_follow_incarnations(bus, requests))
            tasks.create_task(_end(bus, life))


def _measure(how: str, shape: str, app: str) -> None:
    metrics.kustomizations.labels(how).inc()
    if how == "different":
        get_logger().warning("kustomize_difference_found", shape=shape, app=app)


def _emptied(folder: Path) -> None:
    """Make `folder` empty: a renderer that was killed left its children's folders behind."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


async def _warm_up(engines: Engines, life: Lifecycle) -> None:
    """Say early whether this machine can render at all; if not, every target says so too."""
    try:
        await engines.warm_up()
    except (SandboxError, ChildStartError) as error:
        get_logger().error("engines_not_confined", code=error.code, error=str(error))
        life.set_ready("engines", False, error.message)
    else:
        life.set_ready("engines", True)


async def _follow_incarnations(bus: Bus, requests: Requests) -> None:
    """Believe nothing of what was on a bus that was made anew; the poller asks again by itself."""
    async for _ in bus.incarnations():
        requests.forget_bus()


async def _end(bus: Bus, life: Lifecycle) -> None:
    await life.stopping.wait()
    bus.stop_intake()
