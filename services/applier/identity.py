"""Who this agent is, and where that is kept: a file of its data folder, or a Secret of its cluster.

The key is made here and never leaves; what the hub gave for it is public.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from services.applier.vault import Vault
from services.applier.verify import Trust, trusted_keys
from shared.bus.keys import new_seed, public_of
from shared.bus.values import Credentials
from shared.core.canonical import NotJSONError, decode, encode
from shared.errors import PermanentError, TransientError

SECRET = "towline-agent"  # noqa: S105 - the name of it
FILE = "identity.json"


class IdentityError(PermanentError):
    """What was kept of the agent's identity cannot be used."""

    code = "identity.damaged"


class FolderError(TransientError):
    """The data folder cannot be written."""

    code = "agent.folder"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """An enrolled agent."""

    cluster: str
    hub: str
    """Fingerprint of the hub's root key."""
    url: str
    """Where the hub answers."""
    seed: str = field(repr=False)
    digest_key: str = field(repr=False)
    """Hex; makes digests of Secrets worthless to others."""
    user_jwt: str = field(repr=False)
    expires: str
    key_set: str
    bus: tuple[str, ...]
    uid: str
    """UID of the namespace kube-system when it enrolled."""
    ca: str = ""
    """sha256 in hex of the certificate that the hub showed; empty where its CA is known."""

    def trust(self) -> Trust:
        """Return whom this agent believes.

        Raises:
            RefusedError: the key set is not signed by the hub's root.
        """
        return Trust(self.hub, self.cluster, trusted_keys(self.key_set.encode(), self.hub))

    def bus_credentials(self) -> Credentials:
        """Return what the bus is shown."""
        return Credentials(jwt=self.user_jwt, seed=self.seed, inbox=f"_INBOX_{self.cluster}")

    def expires_in_s(self, now: datetime) -> float:
        """Return the seconds until the bus credential ends."""
        return (datetime.fromisoformat(self.expires) - now).total_seconds()

    def renewed(self, told: Mapping[str, Any]) -> Identity:
        """Return this identity with what the hub gave anew: credential, key set, places of the bus."""
        return replace(
            self,
            user_jwt=str(told.get("user_jwt") or self.user_jwt),
            expires=str(told.get("expires") or self.expires),
            key_set=str(told.get("key_set") or self.key_set),
            bus=tuple(told.get("bus") or self.bus),
        )


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was just made: for the bus, and for digests."""

    seed: str = field(default_factory=lambda: new_seed("user"), repr=False)
    digest_key: str = field(default_factory=lambda: secrets.token_hex(32), repr=False)

    @property
    def public(self) -> str:
        """Return the public half."""
        return public_of(self.seed)


class Place(Protocol):
    """Where an identity is kept."""

    async def load(self) -> Identity | None:
        """Return what is kept, None when there is nothing."""

    async def save(self, identity: Identity) -> None:
        """Keep it."""


@dataclass(frozen=True, slots=True)
class FilePlace:
    """A file of the data folder, readable by its owner only."""

    folder: Path

    async def load(self) -> Identity | None:
        """Return what the file holds."""
        return await asyncio.to_thread(self._load)

    async def save(self, identity: Identity) -> None:
        """Write the file whole or not at all."""
        await asyncio.to_thread(write_whole, self.folder / FILE, _bytes(identity))

    def _load(self) -> Identity | None:
        try:
            return _identity((self.folder / FILE).read_bytes(), str(self.folder / FILE))
        except FileNotFoundError:
            return None


@dataclass(frozen=True, slots=True)
class SecretPlace:
    """The Secret `towline-agent` of the agent's namespace."""

    vault: Vault

    async def load(self) -> Identity | None:
        """Return what the Secret holds."""
        held = await self.vault.read(SECRET)
        return _identity(held, f"Secret {SECRET}") if held else None

    async def save(self, identity: Identity) -> None:
        """Write the Secret."""
        await self.vault.write(SECRET, _bytes(identity))


def write_whole(file: Path, content: bytes) -> None:
    """Write a file that only its owner reads, so that it is there whole or not at all.

    Raises:
        FolderError: the folder does not take it.
    """
    try:
        _write_whole(file, content)
    except OSError as error:
        raise FolderError(f"{file} cannot be written: {error.strerror or error}", hint="is the disk full?") from error


def _write_whole(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, name = tempfile.mkstemp(dir=file.parent)
    with os.fdopen(handle, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    Path(name).rename(file)


def moment_of(text: str) -> datetime:
    """Return a moment in UTC."""
    return datetime.fromisoformat(text).astimezone(UTC)


def _bytes(identity: Identity) -> bytes:
    return encode(asdict(identity))


def _identity(data: bytes, place: str) -> Identity:
    try:
        told = decode(data)
        return Identity(**{**told, "bus": tuple(told["bus"])})
    except (NotJSONError, TypeError, KeyError) as error:
        raise IdentityError(f"{place} holds no identity: {error}", hint="remove it and join again") from error
