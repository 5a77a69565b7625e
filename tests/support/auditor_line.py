"""A running auditor with a real bus: fed as the programs of the line do, asked over HTTP."""

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp

from services.auditor.service import serve
from services.auditor.settings import AuditorSettings
from shared import subjects
from shared.bus.connection import Bus
from shared.runtime.lifecycle import Lifecycle
from tests.support.bus import BusServer

DEADLINE_S = 20.0


def settings(folder, **changes):
    """Settings of an auditor in `folder`, whose hub has an identity."""
    keys = folder / "keys"
    keys.mkdir(parents=True, exist_ok=True)
    (keys / "identity.json").write_text(json.dumps({"hub": "hub1", "key_set": "{}"}))
    return AuditorSettings(data=folder, bus_credentials=folder / "none", listen="127.0.0.1:0", **changes)


@dataclass
class Asker:
    """Asks the API as the administrator."""

    url: str
    session: aiohttp.ClientSession

    async def get(self, path):
        async with self.session.get(self.url + path) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def events(self, types=""):
        """Return the types of all events, oldest first."""
        found = await self.get(f"/api/v1/events?limit=500&types={types}")
        return [each["type"].removeprefix("dev.towline.").removesuffix(".v1") for each in reversed(found["items"])]

    async def until(self, path, wanted):
        """Ask again after each event until the answer is `wanted`, and return it."""
        headers = {"Accept": "text/event-stream"}
        async with asyncio.timeout(DEADLINE_S), self.session.get(self.url + "/api/v1/stream", headers=headers) as feed:
            while True:
                found = await self.get(path)
                if wanted(found):
                    return found
                await feed.content.readline()


@asynccontextmanager
async def auditing(server: BusServer, folder, **changes):
    """Run an auditor; gives who asks it."""
    life = Lifecycle()
    url = asyncio.get_running_loop().create_future()
    made = settings(folder, announce=url.set_result, **changes)
    async with server.bus("auditor") as bus, asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(serve(made, bus, life))
        running.add_done_callback(lambda _: url.cancel())
        try:
            address = await url
            token = made.token_file.read_text().strip()
            async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as session:
                yield Asker(address, session)
        finally:
            life.stopping.set()
            bus.stop_intake()


@dataclass
class Line:
    """The programs and one agent that speak to the auditor."""

    poller: Bus
    renderer: Bus
    releaser: Bus
    agent: Bus
    """Of the cluster `c1`."""

    async def say(self, *messages):
        """Publish messages as their programs do."""
        for message in messages:
            bus, subject = self._place(message)
            await bus.publish(subject, message.to_bytes())

    def _place(self, message):
        kind = type(message).__name__
        if kind == "Fact":
            return getattr(self, message.program), subjects.fact(message.program, message.type)
        return {
            "Revision": lambda: (self.poller, subjects.revision(message.source, message.ref)),
            "Rendered": lambda: (self.renderer, subjects.rendered(message.source)),
            "Cluster": lambda: (self.releaser, subjects.cluster(message.cluster)),
            "Report": lambda: (self.agent, subjects.report("c1", "result")),
            "Answer": lambda: (self.agent, subjects.report("c1", "answer")),
            "Status": lambda: (self.agent, subjects.status("c1")),
        }[kind]()


@asynccontextmanager
async def speakers(server: BusServer):
    """Connect everybody who speaks to the auditor."""
    async with (
        server.bus("poller") as poller,
        server.bus("renderer") as renderer,
        server.bus("releaser") as releaser,
        server.bus("c1") as agent,
    ):
        yield Line(poller, renderer, releaser, agent)
