"""Answer over HTTP: the existing application on one address, until the program stops."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

from aiohttp import web

from services.auditor.api.access import Access, Limiter
from services.auditor.api.app import Parts, application
from services.auditor.api.steering import WellKnown
from services.auditor.api.stream import Feed
from services.auditor.desk import Desk
from services.auditor.hub_identity import IdentityFile
from services.auditor.settings import AuditorSettings
from services.auditor.store import Store
from shared.errors import PermanentError
from shared.runtime.lifecycle import Lifecycle

SHUTDOWN_S = 3.0
"""So long an answer under way may take when the program stops."""


class AddressTakenError(PermanentError):
    """The address to listen on cannot be had."""

    code = "api.address"


@asynccontextmanager
async def serving(
    settings: AuditorSettings, store: Store, desk: Desk, identity: IdentityFile, life: Lifecycle
) -> AsyncIterator[str]:
    """Answer while the block runs; gives the URL.

    Raises:
        AddressTakenError: the address cannot be had.
    """
    hub = identity.read().hub
    place = WellKnown(hub=hub, bus=list(settings.agent_bus_urls or settings.bus_urls), http=settings.public_url)
    parts = Parts(
        store=store,
        desk=desk,
        access=Access(settings.token_file, time.monotonic, time.time),
        limiter=Limiter(time.monotonic),
        feed=Feed(store, hub, life.stopping),
        identity=identity.read,
        place=lambda: place,
        ready=life.readiness,
        hub=hub,
        boot=uuid4().hex[:8],
    )
    runner = web.AppRunner(application(parts), access_log=None, shutdown_timeout=SHUTDOWN_S)
    await runner.setup()
    try:
        url = await _listen(runner, settings)
        place = place.model_copy(update={"http": settings.public_url or url})
        yield url
    finally:
        # Readers of the live stream sleep until something changes.
        store.wake()
        await runner.cleanup()


async def _listen(runner: web.AppRunner, settings: AuditorSettings) -> str:
    host, port = settings.address
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        raise AddressTakenError(
            f"cannot listen on {settings.listen}: {error.strerror}", hint="name another address with --listen"
        ) from error
    taken = runner.addresses[0][1]
    return f"http://[{host}]:{taken}" if ":" in host else f"http://{host}:{taken}"
