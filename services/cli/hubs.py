"""Find the hub: by a context of the settings file, by the environment, or in a data folder on this machine."""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from cyclopts import Parameter

from shared.errors import PermanentError

if TYPE_CHECKING:
    from services.cli.client import Hub

T = TypeVar("T")


class CommandError(PermanentError):
    """A command cannot do what it was asked; `exit_code` is part of the contract."""

    code = "cli.failed"
    exit_code = 2


class NoHubError(CommandError):
    """Nothing says which hub is meant, or what it says is not there."""

    code = "cli.no-hub"


class NotFoundError(CommandError):
    """The hub does not have it."""

    code = "cli.not-found"
    exit_code = 3


class NotAllowedError(CommandError):
    """The hub does not know the token, or it may not do this."""

    code = "cli.not-allowed"
    exit_code = 4


class TimedOutError(CommandError):
    """It took longer than the caller wanted to wait."""

    code = "cli.timeout"
    exit_code = 5


class UnreachableError(CommandError):
    """The hub does not answer."""

    code = "cli.unreachable"


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Where:
    """Which hub to ask."""

    context: Annotated[str, Parameter(help="A context of the settings file.")] = ""
    data: Annotated[Path | None, Parameter(help="The data folder of a hub on this machine.")] = None


@dataclass(frozen=True, slots=True)
class HubAddress:
    """Where a hub answers, and the token that it knows."""

    url: str
    token: str


def asked(where: Where | None, ask: Callable[[Hub], Awaitable[T]]) -> T:
    """Return what `ask` returns with the hub that is meant.

    Whoever shows the help of a command needs neither the client nor an event loop: both are loaded here.

    Raises:
        CommandError: the hub cannot be found, does not answer, or refuses.
    """
    import asyncio

    from services.cli.client import Hub

    async def go() -> T:
        async with Hub(find_hub(where or Where())) as hub:
            return await ask(hub)

    return asyncio.run(go())


def find_hub(where: Where) -> HubAddress:
    """Return the hub that is meant: an option wins over the environment, and that over the settings' default.

    Raises:
        NoHubError: none is named, or the named one cannot be found.
    """
    if where.data is not None:
        return _in_folder(where.data)
    if not where.context and (url := os.environ.get("TOWLINE_HUB", "")):
        return HubAddress(url.rstrip("/"), os.environ.get("TOWLINE_TOKEN", ""))
    return _of_context(where.context)


def _in_folder(folder: Path) -> HubAddress:
    try:
        url = json.loads((folder / "hub.json").read_text())["http"]
        token = (folder / "admin.token").read_text().strip()
    except FileNotFoundError as error:
        missing = Path(error.filename).name
        raise NoHubError(
            f"no hub runs in {folder}: there is no {missing}", hint=f"start it: towline hub run --data {folder}"
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NoHubError(
            f"the hub in {folder} cannot be found: its hub.json or admin.token cannot be read: {error}",
            hint="start the hub again, which writes them anew",
        ) from error
    return HubAddress(str(url).rstrip("/"), token)


def settings_file() -> Path:
    """Return where contexts are kept."""
    home = os.environ.get("XDG_CONFIG_HOME", "")
    base = Path(home) if home else Path.home() / ".config"
    return Path(os.environ.get("TOWLINE_CONFIG", "") or base / "towline" / "config.toml")


def _of_context(name: str) -> HubAddress:
    path = settings_file()
    settings = _settings(path)
    chosen = name or str(settings.get("context", ""))
    if not chosen:
        raise NoHubError(
            "no hub is named", hint=f"use --data DIR, set TOWLINE_HUB and TOWLINE_TOKEN, or write a context into {path}"
        )
    context = settings.get("contexts", {}).get(chosen)
    if not isinstance(context, dict) or not context.get("hub"):
        raise NoHubError(f"{path} has no context {chosen!r} with a hub", hint=f"add [contexts.{chosen}] hub = '...'")
    token = str(context.get("token", ""))
    if file := context.get("token_file"):
        try:
            token = Path(file).expanduser().read_text().strip()
        except OSError as error:
            raise NoHubError(f"the token of context {chosen!r} cannot be read: {error}") from error
    return HubAddress(str(context["hub"]).rstrip("/"), token)


def _settings(path: Path) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise NoHubError(f"{path} cannot be read: {error}") from error
