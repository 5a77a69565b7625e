"""Read an address to listen on, which somebody wrote as `HOST:PORT`."""

from __future__ import annotations

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
