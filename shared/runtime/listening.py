"""Answer over HTTP on an address that somebody wrote as `HOST:PORT`."""

from __future__ import annotations

from aiohttp import web

MAX_PORT = 65535


def address_of(listen: str) -> tuple[str, int]:
    """Return host and port of a text.

    Raises:
        ValueError: it is no `HOST:PORT`.
    """
    host, colon, port = listen.rpartition(":")
    if not (colon and host and port.isascii() and port.isdecimal() and int(port) <= MAX_PORT):
        raise ValueError(f"{listen!r} is no HOST:PORT, such as 127.0.0.1:8080 or [::1]:0")
    return host.strip("[]"), int(port)


async def start_site(runner: web.AppRunner, listen: str) -> str:
    """Let `runner`, which is set up, answer on `listen`; return its URL.

    Raises:
        OSError: the address cannot be had.
        ValueError: it is no `HOST:PORT`.
    """
    host, port = address_of(listen)
    await web.TCPSite(runner, host, port).start()
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{runner.addresses[0][1]}"
