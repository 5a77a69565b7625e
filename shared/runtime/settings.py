"""Settings: read once at the start, all errors at once, secrets never shown."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AliasChoices, BeforeValidator, Field, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from shared.errors import PermanentError


class SettingsError(PermanentError):
    """The settings do not make sense; the message lists everything that is wrong."""

    code = "settings.invalid"


def _words(value: Any) -> Any:
    return tuple(value.split()) if isinstance(value, str) else value


class ServiceSettings(BaseSettings):
    """What every program is told; a program's own settings have a prefix of their own, these are `TOWLINE_...`."""

    model_config = SettingsConfigDict(frozen=True, populate_by_name=True, extra="ignore", validate_default=True)

    data: Path = Field(default=Path("data"), validation_alias=AliasChoices("data", "TOWLINE_DATA"))
    """The folder of everything that must survive a restart."""
    bus_urls: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words)] = Field(
        default=(), validation_alias=AliasChoices("bus_urls", "TOWLINE_BUS_URLS")
    )
    """Servers of the bus, with spaces between."""
    bus_credentials: Path | None = Field(
        default=None, validation_alias=AliasChoices("bus_credentials", "TOWLINE_BUS_CREDENTIALS")
    )
    """The file of this program's bus credentials, as `towline hub init` writes it; read again for each connection."""
    bus_ca: Path | None = Field(default=None, validation_alias=AliasChoices("bus_ca", "TOWLINE_BUS_CA"))
    """The authority of the bus's certificate, where it is not a public one."""
    probe_listen: str = Field(
        default="127.0.0.1:0", validation_alias=AliasChoices("probe_listen", "TOWLINE_PROBE_LISTEN")
    )
    """`HOST:PORT` of `/healthz`, `/readyz` and `/metrics`; port 0 takes any."""
    log_format: Literal["json", "console"] = Field(
        default="json", validation_alias=AliasChoices("log_format", "TOWLINE_LOG_FORMAT")
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", validation_alias=AliasChoices("log_level", "TOWLINE_LOG_LEVEL")
    )


S = TypeVar("S", bound=ServiceSettings)


def read_settings(kind: type[S], **given: Any) -> S:
    """Return the settings from what is given, else from the environment.

    Raises:
        SettingsError: something is missing or wrong; all of it is named.
    """
    try:
        return kind(**given)
    except ValidationError as error:
        lines = [_line(kind, problem) for problem in error.errors(include_url=False, include_input=False)]
        raise SettingsError("; ".join(lines), hint="see the settings in the documentation") from error


def _line(kind: type[ServiceSettings], problem: Any) -> str:
    """Return one problem with the name of its environment variable; its value could be a secret and is left out."""
    name = str(problem["loc"][0]) if problem["loc"] else ""
    prefix = str(kind.model_config.get("env_prefix") or "")
    variable = name if name.isupper() or name.startswith("TOWLINE_") else f"{prefix}{name}".upper()
    return f"{variable}: {problem['msg'].removeprefix('Value error, ')}"


def host_and_port(listen: str) -> tuple[str, int]:
    """Return the two parts of `HOST:PORT`; an IPv6 address stands in brackets.

    Raises:
        SettingsError: it is not of this form.
    """
    host, colon, port = listen.rpartition(":")
    if not colon or not host or not (port.isascii() and port.isdecimal()) or int(port) > 65535:
        raise SettingsError(f"{listen!r} is no place to listen at", hint="write HOST:PORT, such as 127.0.0.1:8080")
    return host.strip("[]"), int(port)


def data_folder(path: Path) -> Path:
    """Return the folder, made when there is none, for nobody else's eyes."""
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return Path(os.path.abspath(path))  # noqa: PTH100 - a symlink that an administrator made stays as it is
