"""The auditor's web application over a real database, without a bus."""

import asyncio
import time
from contextlib import asynccontextmanager

from aiohttp.test_utils import TestClient, TestServer

from services.auditor.api.access import Access, Limiter
from services.auditor.api.app import Parts, application
from services.auditor.api.steering import HubIdentity, WellKnown
from services.auditor.api.stream import Feed
from services.auditor.desk import Desk
from services.auditor.store import Store
from shared.messages.facts import Command

TOKEN = "the-administrators-token"


class Sent:
    """What was published, to be taken in order."""

    def __init__(self):
        self._queue = asyncio.Queue(maxsize=100)

    async def publish(self, subject, data):
        await self._queue.put((subject, data))

    async def next_command(self):
        """Return (subject, command) of the next command that is published."""
        async with asyncio.timeout(5):
            subject, data = await self._queue.get()
        return subject, Command.from_bytes(data)


@asynccontextmanager
async def serving(folder):
    """Give (client, parts, sent) of an application with an empty ledger."""
    token_file = folder / "admin.token"
    token_file.write_text(TOKEN + "\n")
    sent, stopping = Sent(), asyncio.Event()
    async with Store.open(f"sqlite+aiosqlite:///{folder / 'auditor.db'}") as store:
        parts = Parts(
            store=store,
            desk=Desk(store, sent.publish, answer_timeout_s=5),
            access=Access(token_file, time.monotonic, time.time),
            limiter=Limiter(time.monotonic),
            feed=Feed(store, "hub1", stopping),
            identity=lambda: HubIdentity(hub="hub1", key_set="{}"),
            place=lambda: WellKnown(hub="hub1", bus=["nats://127.0.0.1:4222"], http="http://127.0.0.1"),
            ready=lambda: {"ready": True},
            hub="hub1",
            boot="boot1",
        )
        async with TestClient(TestServer(application(parts))) as client:
            try:
                yield client, parts, sent
            finally:
                stopping.set()
                store.wake()


def bearer(token=TOKEN):
    return {"Authorization": f"Bearer {token}"}
