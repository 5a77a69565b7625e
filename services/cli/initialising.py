"""Set a bus up for a hub: keys, credentials, a server's configuration, streams and consumers."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from services.cli.hosting import credentials_made, ensured
from services.cli.output import say
from services.cli.stopping import stopped_by_signals
from shared.bus import steward
from shared.bus.accounts import write_accounts
from shared.bus.config import server_config
from shared.bus.connection import Bus
from shared.bus.identities import BusKeys
from shared.bus.streams import LIMIT_BYTES
from shared.runtime.lifecycle import Lifecycle

DEFAULT_LISTEN = "127.0.0.1:4222"


async def initialise(data: Path, urls: tuple[str, ...], *, watch: bool) -> None:
    """Write what servers and programs need; with URLs make the streams, and with `watch` keep them made."""
    keys = credentials_made(data)
    write_server_configuration(data / "nats", keys, listen_at(urls))
    if not urls:
        say(f"wrote {data}/keys/bus/*.json (credentials) and {data}/nats/nats.conf")
        say(f"start the bus:  nats-server -c {data}/nats/nats.conf")
        say(f"then its streams:  towline hub init --data {data} --bus nats://127.0.0.1:4222 --watch")
        return
    life = Lifecycle()
    # Made once: others than before would mean a new connection.
    credentials = keys.program_credentials("steward")
    async with Bus.connect(urls, lambda: credentials, name="steward") as bus:
        with stopped_by_signals(life, bus.stop_intake):
            incarnation = await ensured(bus, life)
            if incarnation:
                say(f"the bus is ready (incarnation {incarnation})")
            if watch:
                await steward.watch(bus)


def listen_at(urls: tuple[str, ...]) -> str:
    """Return where a server on this machine shall listen: where programs will look for it, if that is here."""
    first = urlsplit(urls[0]) if urls else None
    if first is None or first.hostname not in {"127.0.0.1", "localhost", "::1"} or not first.port:
        return DEFAULT_LISTEN
    return first.netloc.rpartition("@")[2]


def write_server_configuration(folder: Path, keys: BusKeys, listen: str = DEFAULT_LISTEN) -> Path:
    """Write what nats-server needs to serve this hub, and return the configuration's path; one that is there stays."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_accounts(folder / "accounts", keys)
    path = folder / "nats.conf"
    if not path.exists():
        path.write_text(
            server_config(
                folder.resolve(),
                operator_jwt=keys.operator_jwt(),
                system_account=keys.public("sys"),
                listen=listen,
                tls=None,
                limit_bytes=LIMIT_BYTES,
                ack_v2=False,
            )
        )
    return path
