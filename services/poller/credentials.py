"""The credentials of git hosts, from a file of the hub's owner.

A list of objects: `url`, the prefix that a credential is for; `token`, or `username` and `password`. The longest prefix
wins. The file is read again when it changes, so a renewed token counts at the next look.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, ConfigDict, SecretStr, TypeAdapter, ValidationError

from shared.errors import PermanentError
from shared.git.remote import Credentials
from shared.git.urls import Location, prefix_of

USER = "towline"
"""Hosts that take a token as the password do not care for the name beside it."""


class CredentialsFileError(PermanentError):
    """The file of credentials cannot be used; nothing of its content is repeated."""

    code = "source.auth"


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid")

    url: str
    username: str = ""
    password: SecretStr | None = None
    token: SecretStr | None = None

    def credentials(self) -> Credentials:
        """Return the credential, bound to its place."""
        secret = self.token or self.password
        if secret is None or (self.token and self.password):
            raise ValueError("an entry has either a token or a password")
        return Credentials(self.username or USER, secret.get_secret_value(), prefix_of(self.url, allow_insecure=True))


_ENTRIES = TypeAdapter(list[_Entry])


@dataclass(slots=True)
class CredentialsFile:
    """The file at `path`; without one there are no credentials. All methods block."""

    path: Path
    _stamp: tuple[int, int, int] | None = None
    _known: tuple[Credentials, ...] = field(default=(), repr=False)

    def for_place(self, location: Location) -> Credentials | None:
        """Return the credential of a repository, or None.

        Raises:
            CredentialsFileError: the file cannot be read, or is malformed.
        """
        self._refresh()
        fitting = [known for known in self._known if known.place.covers(location)]
        return max(fitting, key=lambda known: len(known.place.path), default=None)

    def _refresh(self) -> None:
        try:
            found = self.path.stat()
            stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
            if stamp == self._stamp:
                return
            data = self.path.read_bytes()
        except FileNotFoundError:
            self._stamp, self._known = None, ()
            return
        except OSError as error:
            raise CredentialsFileError(f"the credentials in {self.path} cannot be read: {error.strerror}") from error
        self._known = self._parsed(data)
        self._stamp = stamp

    def _parsed(self, data: bytes) -> tuple[Credentials, ...]:
        hint = 'it is a list of {"url": PREFIX, "token": TOKEN} or {"url": PREFIX, "username": ..., "password": ...}'
        try:
            return tuple(entry.credentials() for entry in _ENTRIES.validate_json(data))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            place = ".".join(str(step) for step in first["loc"])
            raise CredentialsFileError(f"{self.path} at {place or 'its start'}: {first['msg']}", hint=hint) from None
        except (ValueError, PermanentError) as error:
            raise CredentialsFileError(f"{self.path}: {error}", hint=hint) from None
