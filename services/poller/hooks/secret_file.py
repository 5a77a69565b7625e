"""The secrets of webhooks, from a file of the hub's owner.

An object by the name of the source: a secret, or a list of them while one is exchanged for another, or an object with
`secrets` and `called`: what the forge calls the repository where that is not the URL that the source names. The file
is read again when it changes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, TypeAdapter, ValidationError

from services.poller.hooks.refusals import HookRefusedError
from services.poller.rereading import Reread
from shared.core.refusals import first_problem

_FORM = 'it is an object like {"SOURCE": "SECRET", "OTHER": ["NEW SECRET", "OLD SECRET"]}'
_Secret = Annotated[SecretStr, Field(min_length=1)]


def _listed(value: Any) -> Any:
    if isinstance(value, str):
        return {"secrets": [value]}
    return {"secrets": value} if isinstance(value, list) else value


class Hook(BaseModel):
    """What counts at the hook of one source."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    secrets: Annotated[tuple[_Secret, ...], Field(min_length=1)]
    called: tuple[str, ...] = ()

    @property
    def texts(self) -> list[str]:
        """The secrets."""
        return [secret.get_secret_value() for secret in self.secrets]


_HOOKS = TypeAdapter(dict[str, Annotated[Hook, BeforeValidator(_listed)]])


class SecretFile:
    """The file at `path`; without one there are no hooks."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._hooks = Reread[dict[str, Hook]](path, self._parsed, {})

    def hooks(self) -> dict[str, Hook]:
        """Return the hooks by their sources, as the file has them now; blocks.

        Raises:
            HookRefusedError: the file cannot be read, or is malformed; nothing of its content is repeated.
        """
        try:
            return self._hooks.value()
        except OSError as error:
            raise _unusable(f"{self.path} cannot be read: {error.strerror}") from error

    def _parsed(self, data: bytes) -> dict[str, Hook]:
        try:
            return _HOOKS.validate_json(data)
        except ValidationError as error:
            place, problem = first_problem(error)
            raise _unusable(f"{self.path} at {place or 'its start'}: {problem}") from None


def _unusable(reason: str) -> HookRefusedError:
    return HookRefusedError(f"the file of webhook secrets cannot be used: {reason}", code="hook.secrets", hint=_FORM)
