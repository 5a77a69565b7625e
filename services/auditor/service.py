"""The auditor as it runs: stores what the line says, answers over HTTP, relays commands, tells of every event."""

from __future__ import annotations

import asyncio
import secrets
import time

from services.auditor.attending import Attendant
from services.auditor.desk import Desk
from services.auditor.hub_identity import IdentityFile
from services.auditor.intake import Intake
from services.auditor.letters import Letters
from services.auditor.measuring import Measured
from services.auditor.serving import serving
from services.auditor.settings import AuditorSettings
from services.auditor.store import Store
from services.auditor.telling import Teller
from shared import subjects
from shared.bus.connection import Bus
from shared.runtime.lifecycle import Lifecycle
from shared.runtime.lock import hold_lock
from shared.runtime.logs import get_logger
from shared.runtime.secrets import write_once

BATCH = 64
TOKEN_BYTES = 32


async def serve(settings: AuditorSettings, bus: Bus, life: Lifecycle) -> None:
    """Audit until the program stops.

    Raises:
        AlreadyRunningError: another auditor works on the same folder.
        AddressTakenError: the address of the API cannot be had.
    """
    with hold_lock(settings.data / "auditor.lock", "auditor"):
        # At the first start, unless whoever started us made it.
        await asyncio.to_thread(write_once, settings.token_file, secrets.token_urlsafe(TOKEN_BYTES))
        async with Store.open(settings.database_url) as store, asyncio.TaskGroup() as tasks:
            await Measured().begin(store)
            desk = Desk(store, bus.publish)
            handlers = {**Intake(store, desk, bus).handlers(), subjects.DLQ: Letters(store, bus).take}
            for stream, handle in handlers.items():
                tasks.create_task(bus.consume_batches(subjects.Durable(stream, "auditor"), handle, batch=BATCH))
            tasks.create_task(Attendant(store, bus, time.monotonic).run(life))
            tasks.create_task(_face_the_world(settings, store, desk, bus, life))
            life.set_ready("auditor", True)


async def _face_the_world(settings: AuditorSettings, store: Store, desk: Desk, bus: Bus, life: Lifecycle) -> None:
    """Answer and tell, once it is known which hub this is."""
    identity = IdentityFile(settings.identity_file)
    found = await identity.wait(life)
    if found is None:
        return
    async with serving(settings, store, desk, identity, life) as url, asyncio.TaskGroup() as tasks:
        tasks.create_task(Teller(store, bus, lambda: found.hub).run(life))
        life.set_ready("identity", True)
        get_logger().info("api_ready", url=url)
        if settings.announce is not None:
            settings.announce(url)
        await life.stopping.wait()
        store.wake()
