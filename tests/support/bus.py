"""A real nats-server for tests: one a test, with the accounts, permissions and streams of the product."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shared.bus.connection import Bus, Credentials, Pace
from shared.bus.embedded import EmbeddedServer
from shared.bus.identities import BusKeys, agent_credentials, agent_jwt, new_user_seed
from shared.bus.steward import ensure

QUICK = Pace(retry_s=(0.01,), pause_s=0.05, reconnect_s=0.05, incarnation_s=0.05)
"""Retries that a test can watch."""


@dataclass(frozen=True)
class BusServer:
    """A running server whose streams are made."""

    server: EmbeddedServer
    keys: BusKeys
    incarnation: str

    @property
    def url(self) -> str:
        return self.server.url

    def credentials(self, who: str) -> Credentials:
        """Credentials of a program of the hub, else of an agent of the cluster with that name."""
        if who in {"poller", "renderer", "releaser", "auditor", "steward", "system"}:
            return self.keys.program_credentials(who)
        return self.agent(who)

    def agent(self, cluster: str, seed: str = "", public: str = "", hours: float = 1) -> Credentials:
        """Fresh credentials of an agent, with a new key unless one is given."""
        if not seed:
            seed, public = new_user_seed()
        now = datetime.now(UTC)
        jwt = agent_jwt(
            cluster,
            public,
            signing_seed=self.keys.agents_signing_seed,
            account=self.keys.agents_account,
            issued=now,
            expires=now + timedelta(hours=hours),
        )
        return agent_credentials(cluster, jwt, seed)

    def bus(self, who: str | Credentials, pace: Pace = QUICK) -> AbstractAsyncContextManager[Bus]:
        """A connection of a program, an agent, or whoever has these credentials."""
        credentials = self.credentials(who) if isinstance(who, str) else who
        return Bus.connect([self.url], lambda: credentials, name=credentials.inbox, pace=pace)


@asynccontextmanager
async def running_bus(folder: Path, *, ack_v2: bool = False) -> AsyncIterator[BusServer]:
    """A server in `folder` whose streams are made."""
    keys = BusKeys.load_or_make(folder / "bus-keys")
    async with EmbeddedServer(folder / "nats", keys, ack_v2=ack_v2) as server:
        steward = keys.program_credentials("steward")
        async with Bus.connect([server.url], lambda: steward, name="steward", pace=QUICK) as bus:
            incarnation = await ensure(bus)
        yield BusServer(server, keys, incarnation)


@pytest.fixture
async def bus_server(tmp_path: Path) -> AsyncIterator[BusServer]:
    """A server with the product's streams, in the test's own folder."""
    async with running_bus(tmp_path) as server:
        yield server


@pytest.fixture
async def connect(bus_server: BusServer) -> AsyncIterator[Callable[..., object]]:
    """A function: name of a program or cluster, or Credentials → Bus (awaitable), closed at the test's end."""
    async with AsyncExitStack() as stack:

        async def opened(who: str | Credentials, pace: Pace = QUICK) -> Bus:
            bus = await stack.enter_async_context(bus_server.bus(who, pace))
            await bus.wait_connected()
            return bus

        yield opened
