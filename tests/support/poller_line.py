"""A running poller with a real bus, and what the programs behind it would read."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import uuid4

from services.poller.service import serve
from services.poller.settings import PollerSettings, parse_source
from shared import subjects
from shared.bus.blobs import fetch_blob, pack_place
from shared.bus.connection import Bus
from shared.core.seal import unseal
from shared.git.store import ObjectStore
from shared.messages.facts import Command, Fact
from shared.messages.sources import RenderRequest, Revision
from shared.runtime.lifecycle import Lifecycle
from tests.support.bus import BusServer

DEADLINE_S = 20.0
LIMIT = 1 << 30


def queue():
    return asyncio.Queue(maxsize=10_000)


@dataclass
class Behind:
    """What arrives behind the poller, in order."""

    bus: Bus
    """With the credentials of the renderer."""
    commander: Bus
    """With the credentials of the auditor."""
    requests: asyncio.Queue[RenderRequest] = field(default_factory=queue)
    revisions: asyncio.Queue[Revision] = field(default_factory=queue)
    facts: asyncio.Queue[Fact] = field(default_factory=queue)

    async def next(self, what):
        async with asyncio.timeout(DEADLINE_S):
            return await getattr(self, what).get()

    async def request_at(self, commit: str) -> RenderRequest:
        """Return the next request whose own checkout is at a commit."""
        while (request := await self.next("requests")).checkout.commit.id != commit:
            pass
        return request

    async def fact_of(self, kind: str) -> Fact:
        """Return the next fact of a type."""
        while (fact := await self.next("facts")).type != kind:
            pass
        return fact

    async def command(self, verb: str, **arguments) -> Fact:
        """Give the poller a command and return its answer."""
        command = Command(id=str(uuid4()), verb=verb, arguments=arguments, actor="admin", at=datetime.now(UTC))
        await self.commander.publish(subjects.command("poller", command.id), command.to_bytes())
        fact = await self.fact_of("command-done")
        assert fact.command == command.id
        return fact

    async def tree(self, request: RenderRequest, checkout, store: ObjectStore):
        """Take the packs of a checkout as the renderer does, and return its tree."""
        for pack in checkout.packs:
            sealed = await fetch_blob(self.bus, pack_place(request.source), pack, limit_bytes=LIMIT)
            store.add_pack(unseal(sealed, bytes.fromhex(pack.key), LIMIT))
        return store.tree(checkout.commit.tree)


@asynccontextmanager
async def behind(server: BusServer):
    """Read what a poller says."""
    async with server.bus("renderer") as renderer, server.bus("auditor") as auditor, asyncio.TaskGroup() as tasks:
        found = Behind(renderer, auditor)

        async def keep(inbox, kind, messages):
            for message in messages:
                await inbox.put(kind.from_bytes(message.data))

        for bus, stream, name, kind, inbox in (
            (renderer, subjects.RENDER, "renderer", RenderRequest, found.requests),
            (auditor, subjects.REVISIONS, "auditor", Revision, found.revisions),
            (auditor, subjects.FACTS, "auditor", Fact, found.facts),
        ):
            durable = subjects.Durable(stream, name)
            tasks.create_task(bus.consume_batches(durable, lambda m, i=inbox, k=kind: keep(i, k, m)))
        try:
            yield found
        finally:
            renderer.stop_intake()
            auditor.stop_intake()


def settings(folder, *sources, **changes):
    """Settings of a poller in `folder` that looks every 50 ms."""
    sources = tuple(parse_source(source) for source in sources)
    changes = {"interval_s": 0.05, **changes}
    return PollerSettings(data=folder, bus_credentials=folder / "none", sources=sources, **changes)


@asynccontextmanager
async def polling(server: BusServer, folder, *sources, deadline_s=60, **changes):
    """Run a poller; gives its lifecycle and its bus."""
    life = Lifecycle()
    async with server.bus("poller") as bus, asyncio.timeout(deadline_s), asyncio.TaskGroup() as tasks:
        tasks.create_task(serve(settings(folder, *sources, **changes), bus, life))
        try:
            yield life, bus
        finally:
            life.stopping.set()
            bus.stop_intake()
