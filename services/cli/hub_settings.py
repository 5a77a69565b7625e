"""What `towline hub run` is told: options, and a TOML file for what does not fit on a line."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.cli.hosting import HubOptions
from services.cli.hubs import CommandError
from services.poller.settings import Source, parse_source
from shared.bus.config import Tls, url_problem
from shared.runtime.listening import address_of

_TEXTS = {"listen", "hooks_listen", "bus_listen", "bus_cert", "bus_key", "bus"}
_KEYS = {*_TEXTS, "sources", "verify"}
DEFAULT_LISTEN = "127.0.0.1:8080"


@dataclass(frozen=True, slots=True)
class Given:
    """The options of the command line; what is empty may stand in the file."""

    data: Path
    listen: str
    hooks_listen: str
    bus_listen: str
    bus_cert: Path | None
    bus_key: Path | None
    sources: tuple[str, ...]
    bus: str
    config: Path | None


def hub_options(given: Given) -> HubOptions:
    """Return the options of a hub; the command line wins over the file.

    Raises:
        CommandError: the file cannot be read, or an option does not fit.
    """
    file = _read(given.config) if given.config else {}
    sources = [parse_source(text) for text in (*_listed(file.get("sources", {})), *given.sources)]
    hooks = given.hooks_listen or file.get("hooks_listen", "")
    cert, key = given.bus_cert or file.get("bus_cert"), given.bus_key or file.get("bus_key")
    if bool(cert) != bool(key):
        raise CommandError("a certificate needs its key", code="cli.tls", hint="give --bus-cert and --bus-key")
    return HubOptions(
        data=given.data.absolute(),
        listen=_address(given.listen or file.get("listen", "") or DEFAULT_LISTEN),
        hooks_listen=_address(hooks) if hooks else "",
        sources=tuple(_newest(sources)),
        verify=tuple(_listed(file.get("verify", {}))),
        bus=servers(given.bus or file.get("bus", "")),
        bus_listen=given.bus_listen or file.get("bus_listen", ""),
        bus_tls=Tls(Path(cert), Path(key)) if cert and key else None,
    )


def servers(bus: str) -> tuple[str, ...]:
    """Return the URLs of the servers of a bus, given with spaces between.

    Raises:
        CommandError: one can be no server's address.
    """
    urls = tuple(bus.split())
    for problem in filter(None, map(url_problem, urls)):
        raise CommandError(problem, code="cli.config", hint="or leave --bus out: the hub then runs a bus of its own")
    return urls


def _address(listen: str) -> str:
    try:
        address_of(listen)
    except ValueError as error:
        raise CommandError(
            f"{listen!r} is no address to listen on", code="cli.config", hint="write HOST:PORT, such as 127.0.0.1:8080"
        ) from error
    return listen


def _read(path: Path) -> dict[str, Any]:
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}", code="cli.config") from error
    except tomllib.TOMLDecodeError as error:
        raise CommandError(f"{path}: {error}", code="cli.config") from error
    unknown = sorted(set(found) - _KEYS)
    if unknown:
        raise CommandError(
            f"{path}: unknown setting {unknown[0]!r}", code="cli.config", hint=f"known are {', '.join(sorted(_KEYS))}"
        )
    wrong = sorted(name for name in found if not isinstance(found[name], str if name in _TEXTS else dict))
    if wrong:
        tables = {"sources": 'a table: name = "URL#REF"', "verify": 'a table: name = "head:SIGNER+SIGNER"'}
        form = tables.get(wrong[0], "a text")
        raise CommandError(f"{path}: {wrong[0]!r} has another form", code="cli.config", hint=f"write it as {form}")
    return found


def _listed(sources: dict[str, Any]) -> list[str]:
    """Return a table of the file in the form of the command line: `name = "URL#REF"`."""
    return [f"{name}={url}" for name, url in sources.items()]


def _newest(sources: list[Source]) -> list[Source]:
    """Return one source a name; a later one replaces an earlier one."""
    return list({source.name: source for source in sources}.values())
