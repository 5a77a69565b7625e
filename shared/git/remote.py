"""What a git server says about its repository, and why it may not."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field

from shared.errors import TransientError
from shared.git.urls import Location

HEADS = "refs/heads/"
TAGS = "refs/tags/"


class SourceError(TransientError):
    """A repository could not be had.

    `code` is one of `source.auth`, `source.unreachable`, `source.not-found`, `source.ref-missing`, `source.not-allowed`,
    `source.timeout`, `source.too-large`, `source.redirect`, `source.tls`, `source.host-key`, `source.protocol`.
    """

    code = "source.unreachable"


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user name and a password, token or private key, and below which place they may be given away."""

    username: str
    password: str = field(repr=False)
    """With a key its passphrase."""
    place: Location
    key: str = field(default="", repr=False)
    """A private key of ssh, as its file has it."""

    @property
    def basic(self) -> str:
        """What the header `Authorization` says, where a user name and a password count."""
        return "Basic " + b64encode(f"{self.username}:{self.password}".encode()).decode()


@dataclass(frozen=True, slots=True)
class RemoteRef:
    """One ref that a server names."""

    name: str
    """The full name, or `HEAD`."""
    id: str
    """The object it points to: a commit, or an annotated tag."""
    peeled: str = ""
    """The commit that an annotated tag points to."""
    symref: str = ""
    """The ref that it stands for; `HEAD` has one."""

    @property
    def commit(self) -> str:
        """The commit that it leads to."""
        return self.peeled or self.id


@dataclass(frozen=True, slots=True)
class Remote:
    """A repository and how to reach it."""

    location: Location
    credentials: Credentials | None = None


@dataclass(frozen=True, slots=True)
class TransferLimits:
    """How much one exchange with a server may take."""

    list_deadline_s: float = 30.0
    fetch_deadline_s: float = 300.0
    listing_bytes: int = 32 << 20
    refs: int = 200_000
    fetch_bytes: int = 2 << 30
    fetch_objects: int = 5_000_000
