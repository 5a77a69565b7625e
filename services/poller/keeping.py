"""Keep what the poller remembers over a crash.

One small file a source, replaced as a whole and synced to disk before anything that it says is published. What must
still be published stands in the same file, so a tip that was observed is published after any crash.
"""

from __future__ import annotations

from pathlib import Path

from services.poller.state import SourceState
from shared.messages.base import MessageError
from shared.runtime.files import replace_file


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
        replace_file(self._path(source), state.to_bytes())

    def incarnation(self) -> str:
        """Return which incarnation of the bus was filled last; empty at first."""
        path = self._folder / "incarnation"
        return path.read_text() if path.exists() else ""

    def save_incarnation(self, incarnation: str) -> None:
        """Remember the incarnation of the bus."""
        replace_file(self._folder / "incarnation", incarnation.encode())

    def _path(self, source: str) -> Path:
        return self._folder / f"{source}.json"
