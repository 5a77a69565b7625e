"""Read a program's settings from its environment, and say everything that is wrong at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from shared.bus.config import url_problem
from shared.bus.connection import Credentials
from shared.errors import Finding, FindingsError, PermanentError
from shared.runtime.files import replace_file
from shared.runtime.logs import Level

SHARED_PREFIX = "TOWLINE_"

S = TypeVar("S", bound="ServiceSettings")


class SettingsError(FindingsError):
    """Settings are missing or wrong; each is named with its variable."""

    code = "settings.invalid"


class CredentialsFileError(PermanentError):
    """The file with a program's bus credentials cannot be used."""

    code = "settings.credentials"


def listed(value: Any) -> Any:
    """Return the items of `a,b,c`; environments have texts only."""
    return tuple(item.strip() for item in value.split(",") if item.strip()) if isinstance(value, str) else value


Texts = Annotated[tuple[str, ...], NoDecode, BeforeValidator(listed)]
"""Several texts; in the environment separated by commas."""


def _servers(urls: tuple[str, ...]) -> tuple[str, ...]:
    for problem in filter(None, map(url_problem, urls)):
        raise ValueError(problem)
    return urls


class ServiceSettings(BaseSettings):
    """What every program of the hub needs to know.

    A subclass names its program: `model_config = settings_for("poller")`. Its fields are read from
    `TOWLINE_POLLER_<FIELD>`, then from `TOWLINE_<FIELD>`, which all programs share.
    """

    model_config = SettingsConfigDict(env_prefix=SHARED_PREFIX, frozen=True, extra="ignore")

    data: Path
    """The data folder."""
    bus_urls: Annotated[Texts, AfterValidator(_servers)] = ("nats://127.0.0.1:4222",)
    """Where the bus is."""
    bus_credentials: Path
    """File made by `towline hub init`: JSON with `jwt`, `seed`, `inbox`."""
    probe_listen: str = "127.0.0.1:0"
    """`HOST:PORT` of /healthz, /readyz and /metrics."""
    log_format: Literal["json", "console"] = "json"
    log_level: Level = "info"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources, the closest first: arguments, the program's variables, the shared ones."""
        del dotenv_settings, file_secret_settings
        shared = EnvSettingsSource(settings_cls, env_prefix=SHARED_PREFIX)
        return init_settings, env_settings, shared

    def credentials(self) -> Credentials:
        """Return the bus credentials as the file has them now: a renewed file counts at the next connection."""
        return read_credentials(self.bus_credentials)


def settings_for(program: str) -> SettingsConfigDict:
    """Return the configuration of a program's settings class."""
    return SettingsConfigDict(env_prefix=f"{SHARED_PREFIX}{program.upper()}_", frozen=True, extra="ignore")


def read_settings(kind: type[S], **given: Any) -> S:
    """Return the settings that are `given`, and for the rest those that the environment holds.

    Raises:
        SettingsError: with a finding for every variable that is missing or wrong.
    """
    try:
        return kind(**given)
    except ValidationError as error:
        prefix = str(kind.model_config.get("env_prefix", SHARED_PREFIX))
        findings = []
        # Without the input: what was typed into the wrong variable may be a secret.
        for problem in error.errors(include_url=False, include_input=False, include_context=False):
            field = ".".join(str(step) for step in problem["loc"]) or "settings"
            shared = field in ServiceSettings.model_fields
            name = f"{SHARED_PREFIX if shared else prefix}{field.upper()}"
            missing = problem["type"] == "missing"
            findings.append(
                Finding(
                    code="settings.missing" if missing else "settings.invalid",
                    message=f"{name}: {'is not set' if missing else problem['msg'].removeprefix('Value error, ')}",
                    hint=f"set {name}" if missing else "",
                )
            )
        raise SettingsError(findings) from None


def read_credentials(path: Path) -> Credentials:
    """Return the credentials in a file.

    Raises:
        CredentialsFileError: it is not there, or not what `towline hub init` makes.
    """
    try:
        body = json.loads(path.read_text("utf-8"))
        return Credentials(jwt=body["jwt"], seed=body["seed"], inbox=body["inbox"])
    except OSError as error:
        raise CredentialsFileError(f"{path}: {error.strerror}", hint="`towline hub init` makes it") from error
    except (ValueError, KeyError, TypeError) as error:
        # Not the error's own text: it may quote the file.
        raise CredentialsFileError(
            f"{path} is no credentials file: JSON with jwt, seed and inbox is expected",
            hint="`towline hub init` makes it",
        ) from error


def write_credentials(path: Path, credentials: Credentials) -> None:
    """Write a credentials file that only its owner reads."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    body = {"jwt": credentials.jwt, "seed": credentials.seed, "inbox": credentials.inbox}
    replace_file(path, json.dumps(body).encode())
