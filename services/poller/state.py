"""What the poller remembers about a source, and how it survives a crash.

One small file a source, replaced as a whole and synced to disk before anything that it says is published. What must
still be published stands in the same file, so a tip that was observed is published after any crash.
"""

from __future__ import annotations

import os
from pathlib import Path

from services.poller.chains import Chain
from shared.messages.base import Message, MessageError, Part, Timestamp
from shared.messages.facts import Fact
from shared.messages.sources import Revision


class Failing(Part):
    """Why a repository or a ref cannot be had, and since when."""

    code: str
    message: str
    hint: str = ""
    since: Timestamp


class Followed(Part):
    """One ref of one repository that a source follows."""

    repository: str
    """The URL as it was asked for."""
    asked_ref: str
    revision: Revision | None = None
    """The tip observed last; it stays when the ref cannot be had any more."""
    chain: Chain | None = None
    """The packs that are on the bus for it."""
    failing: Failing | None = None

    @property
    def key(self) -> tuple[str, str]:
        """What distinguishes it within its source."""
        return self.repository, self.asked_ref


class Outgoing(Part):
    """A message that must reach the bus: exactly one of its fields is set."""

    revision: Revision | None = None
    fact: Fact | None = None


class SourceState(Message):
    """Everything durable about one source."""

    number: int = 0
    """Of the last observation or request; it never falls."""
    main: Followed
    others: tuple[Followed, ...] = ()
    needs_number: int = 0
    """Of the request that the last statement of needs answered."""
    outbox: tuple[Outgoing, ...] = ()
    """In the order of publication; all of it comes before the request."""
    request_number: int = 0
    request_reason: str = ""
    """Not empty: a request with `request_number` must be published."""

    @property
    def followed(self) -> tuple[Followed, ...]:
        """Everything that the source follows."""
        return (self.main, *self.others)


class StateStore:
    """The folder of the state files; only the holder of the poller's lock writes into it. All methods block."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def load(self, source: str) -> SourceState | None:
        """Return the state of a source, or None when there is none.

        Raises:
            MessageError: the file is damaged, or written by a newer version.
        """
        path = self._path(source)
        try:
            return SourceState.from_bytes(path.read_bytes())
        except FileNotFoundError:
            return None
        except MessageError as error:
            raise MessageError(
                f"the state of source {source!r} cannot be read from {path}: {error.message}",
                code="poller.state",
                hint="run the version that wrote it, or move the file away to begin anew",
            ) from error

    def save(self, source: str, state: SourceState) -> None:
        """Replace the state of a source; it is on disk when this returns."""
        self._replace(self._path(source), state.to_bytes())

    def incarnation(self) -> str:
        """Return which incarnation of the bus was filled last; empty at first."""
        path = self._folder / "incarnation"
        return path.read_text() if path.exists() else ""

    def save_incarnation(self, incarnation: str) -> None:
        """Remember the incarnation of the bus."""
        self._replace(self._folder / "incarnation", incarnation.encode())

    def _path(self, source: str) -> Path:
        return self._folder / f"{source}.json"

    @staticmethod
    def _replace(path: Path, data: bytes) -> None:
        new = path.with_suffix(".new")
        with new.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
