"""The credentials of git hosts, from a file of the hub's owner.

A list of objects: `url`, the prefix that a credential is for; `token`, or `username` and `password`; for ssh `key` or
`key_file`, with a `passphrase` where it has one. The longest prefix wins. The file is read again when it changes and
the file of a key at each use, so what was renewed counts at the next look.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, SecretStr, TypeAdapter, ValidationError

from services.poller.rereading import Reread
from shared.core.refusals import first_problem
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
    key: SecretStr | None = None
    key_file: Path | None = None
    passphrase: SecretStr = SecretStr("")

    def place(self) -> Location:
        """Return what the entry is for, once it holds what that place takes."""
        place = prefix_of(self.url, allow_insecure=True)
        given = [each for each in (self.token, self.password, self.key, self.key_file) if each is not None]
        if len(given) != 1:
            raise ValueError("an entry has one of token, password, key and key_file")
        if (place.scheme == "ssh") != (self.key is not None or self.key_file is not None):
            raise ValueError("ssh takes a key or key_file, other places a token or password")
        return place

    def credentials(self, place: Location, folder: Path) -> Credentials:
        """Return the credential, bound to its place; a relative `key_file` is beside the file in `folder`."""
        secret = self.token or self.password
        if secret is not None:
            return Credentials(self.username or USER, secret.get_secret_value(), place)
        key = self.key.get_secret_value() if self.key else ""
        if self.key_file is not None:
            path = folder / self.key_file
            try:
                key = path.read_text()
            except (OSError, UnicodeDecodeError) as error:
                why = getattr(error, "strerror", None) or "it is no text"
                raise CredentialsFileError(f"the key {path} of {self.url} cannot be read: {why}") from error
        return Credentials(self.username or place.user, self.passphrase.get_secret_value(), place, key)


_ENTRIES = TypeAdapter(list[_Entry])


_Known = tuple[tuple[Location, _Entry], ...]


class CredentialsFile:
    """The file at `path`; without one there are no credentials. All methods block."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = Reread[_Known](path, self._parsed, ())

    def for_place(self, location: Location) -> Credentials | None:
        """Return the credential of a repository, or None.

        Raises:
            CredentialsFileError: the file cannot be read, or is malformed.
        """
        fitting = [known for known in self._known() if known[0].covers(location)]
        if not fitting:
            return None
        place, entry = max(fitting, key=lambda known: len(known[0].path))
        return entry.credentials(place, self.path.parent)

    def key_files(self) -> list[Path]:
        """Return the files of the keys that it names.

        Raises:
            CredentialsFileError: the file cannot be read, or is malformed.
        """
        return [self.path.parent / entry.key_file for _, entry in self._known() if entry.key_file is not None]

    def _known(self) -> _Known:
        try:
            return self._file.value()
        except OSError as error:
            raise CredentialsFileError(f"the credentials in {self.path} cannot be read: {error.strerror}") from error

    def _parsed(self, data: bytes) -> _Known:
        hint = (
            'it is a list of {"url": PREFIX, "token": TOKEN}, {"url": PREFIX, "username": ..., "password": ...} '
            'or {"url": "ssh://HOST", "key_file": FILE}'
        )
        try:
            return tuple((entry.place(), entry) for entry in _ENTRIES.validate_json(data))
        except ValidationError as error:
            place, problem = first_problem(error)
            raise CredentialsFileError(f"{self.path} at {place or 'its start'}: {problem}", hint=hint) from None
        except (ValueError, PermanentError) as error:
            raise CredentialsFileError(f"{self.path}: {error}", hint=hint) from None
