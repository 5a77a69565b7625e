"""A bus that other machines may reach speaks TLS, and clients check who it is."""

import asyncio
import ssl

import pytest

from shared.bus.connection import Bus, BusUnavailableError
from shared.bus.embedded import EmbeddedServer
from shared.bus.identities import BusKeys
from shared.bus.steward import ensure
from tests.support.bus import QUICK


async def test_programs_connect_when_they_trust_the_certificate_and_only_then(tmp_path, certificate):
    keys = BusKeys.load_or_make(tmp_path / "keys")
    steward = keys.program_credentials("steward")
    trusting = ssl.create_default_context(cafile=str(certificate.certificate))
    async with asyncio.timeout(60), EmbeddedServer(tmp_path / "nats", keys, tls=certificate) as server:
        assert server.url.startswith("tls://")
        async with Bus.connect([server.url], lambda: steward, name="steward", tls=trusting, pace=QUICK) as bus:
            made = await ensure(bus)
            assert await bus.incarnation() == made
        pace = QUICK.__class__(answer_s=0.3)
        wary = ssl.create_default_context()
        async with Bus.connect([server.url], lambda: steward, name="steward", tls=wary, pace=pace) as bus:
            with pytest.raises(BusUnavailableError, match=r"self-signed certificate.*SSL_CERT_FILE"):
                await bus.incarnation()
