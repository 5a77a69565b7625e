"""Say how servers are set up and addressed: the configuration of the embedded one, and what a URL must be."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

MEMORY_BYTES = 64 << 20
_SCHEMES = frozenset({"nats", "tls", "ws", "wss"})


@dataclass(frozen=True, slots=True)
class Tls:
    """Files in PEM: the server's certificate chain and key."""

    certificate: Path
    key: Path


def url_problem(url: str) -> str:
    """Return what is wrong with the URL of a server, or an empty string.

    Clients take any word for the name of a machine, and would look for it for ever.
    """
    try:
        parts = urlsplit(url)
        usable = parts.scheme in _SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    return "" if usable else f"{url!r} is no address of a bus: write nats://HOST:PORT or tls://HOST:PORT"


def server_config(
    folder: Path,
    *,
    operator_jwt: str,
    system_account: str,
    listen: str,
    tls: Tls | None,
    limit_bytes: int,
    ack_v2: bool,
) -> str:
    """Return the text of nats.conf.

    `sync_interval: always`, because the server acknowledges before it writes; the second form of ack subjects stays
    off until clients are ready for what else it changes.
    """
    lines = [
        'server_name: "towline"',
        f"listen: {_quoted(listen)}",
        'http: "127.0.0.1:-1"',
        f"pid_file: {_quoted(folder / 'nats.pid')}",
        f"ports_file_dir: {_quoted(folder)}",
        f"log_file: {_quoted(folder / 'nats.log')}",
        "logfile_size_limit: 10MB",
        "logfile_max_num: 3",
        "max_payload: 1MB",
        "max_connections: 20000",
        'write_deadline: "10s"',
        "authorization { timeout: 10 }",
        "jetstream {",
        f"  store_dir: {_quoted(folder / 'store')}, max_file: {limit_bytes}, max_mem: {MEMORY_BYTES}",
        "  sync_interval: always",
        "}",
        f"feature_flags {{ js_ack_fc_v2: {str(ack_v2).lower()} }}",
        f"operator: {operator_jwt}",
        f"system_account: {system_account}",
        f'resolver {{ type: full, dir: {_quoted(folder / "accounts")}, allow_delete: false, interval: "2m" }}',
    ]
    if tls:
        lines.append(f"tls {{ cert_file: {_quoted(tls.certificate)}, key_file: {_quoted(tls.key)}, timeout: 10 }}")
    return "\n".join(lines) + "\n"


def _quoted(value: str | Path) -> str:
    return json.dumps(str(value))
