"""Keep bytes where a restart finds them: in the data folder, or in Secrets of the agent's namespace.

What a keeper does not take (a full disk, a bundle that is too large for a Secret) is no failure: who wants it after a
restart asks the bus.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import structlog

from services.applier.identity import FolderError, write_whole
from services.applier.vault import Vault
from shared.errors import TowlineError

LABEL = "towline.dev/kept"
MOST_BYTES = 900_000
"""A Secret holds 1 MiB."""

log = structlog.get_logger("services.applier")


class Keeper(Protocol):
    """Keeps bytes under names; a name is a word, or two with a slash."""

    async def read(self, name: str) -> bytes | None:
        """Return what is kept, None when there is nothing or it cannot be read."""

    async def write(self, name: str, data: bytes) -> bool:
        """Keep it; tell whether that worked."""

    async def clear(self, group: str, kept: set[str]) -> None:
        """Drop everything named `group/...` but these."""


@dataclass(frozen=True, slots=True)
class FolderKeeper:
    """Files of the data folder."""

    folder: Path

    async def read(self, name: str) -> bytes | None:
        """Return a file's content."""
        try:
            return await asyncio.to_thread((self.folder / name).read_bytes)
        except OSError:
            return None

    async def write(self, name: str, data: bytes) -> bool:
        """Write a file whole or not at all."""
        try:
            await asyncio.to_thread(write_whole, self.folder / name, data)
        except FolderError as error:
            log.warning("content_not_kept", name=name, error=error.message)
            return False
        return True

    async def clear(self, group: str, kept: set[str]) -> None:
        """Remove the other files of a folder."""
        await asyncio.to_thread(_clear, self.folder / group, kept)


@dataclass(slots=True)
class SecretKeeper:
    """Secrets of the agent's namespace, `towline-kept-...`."""

    vault: Vault
    _names: set[str] | None = field(default=None)

    async def read(self, name: str) -> bytes | None:
        """Return a Secret's content."""
        try:
            return await self.vault.read(_secret(name))
        except TowlineError as error:
            log.info("kept_content_unread", name=name, error=error.message)
            return None

    async def write(self, name: str, data: bytes) -> bool:
        """Write a Secret, unless it would be too large."""
        if len(data) > MOST_BYTES:
            log.info("content_too_large_to_keep", name=name, size_bytes=len(data))
            return False
        try:
            await self.vault.write(_secret(name), data, LABEL)
        except TowlineError as error:
            log.warning("content_not_kept", name=name, error=error.message)
            return False
        if self._names is not None:
            self._names.add(_secret(name))
        return True

    async def clear(self, group: str, kept: set[str]) -> None:
        """Remove the other Secrets of a group; they are listed once, and counted from then on."""
        keep = {_secret(f"{group}/{name}") for name in kept}
        try:
            if self._names is None:
                self._names = await self.vault.names(LABEL)
            for name in sorted(self._names - keep):
                if name.startswith(_secret(f"{group}/")):
                    await self.vault.remove(name)
                    self._names.discard(name)
        except TowlineError as error:
            log.info("kept_content_left", error=error.message)


def _secret(name: str) -> str:
    return f"towline-kept-{name.replace('/', '-')}"


def _clear(folder: Path, kept: set[str]) -> None:
    if folder.is_dir():
        for file in folder.iterdir():
            if file.name not in kept:
                file.unlink(missing_ok=True)
