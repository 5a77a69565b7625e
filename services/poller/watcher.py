"""One source as it runs: its state, changed by one decision at a time and on disk before anything follows from it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

from services.poller.keeping import StateStore
from services.poller.observation import configured
from services.poller.settings import Source
from services.poller.state import SourceState
from shared.errors import TransientError
from shared.messages.sources import Verify

Decide = Callable[[SourceState, datetime], SourceState]


class StateNotSavedError(TransientError):
    """What was decided could not be written to disk, so nothing follows from it."""

    code = "poller.state"


class Watcher:
    """The state of one source; whoever waits for something to publish waits for `changed`."""

    def __init__(self, source: Source, state: SourceState, store: StateStore) -> None:
        self.source = source
        self.state = state
        self.changed = asyncio.Event()
        self._store = store
        self._deciding = asyncio.Lock()

    @classmethod
    def load(cls, source: Source, store: StateStore, verify: tuple[Verify, ...] = ()) -> Watcher:
        """Return the watcher of `source` as it was left. Blocks.

        Raises:
            MessageError: its state cannot be read.
        """
        state = configured(store.load(source.name), source.repository, source.ref, verify)
        watcher = cls(source, state, store)
        watcher.changed.set()
        return watcher

    @property
    def name(self) -> str:
        """The name of the source."""
        return self.source.name

    @staticmethod
    def now() -> datetime:
        """Return the time, aware and in UTC."""
        return datetime.now(UTC)

    async def change(self, decide: Decide) -> None:
        """Take over what `decide` makes of the state.

        Raises:
            StateNotSavedError: it could not be saved; the state is as before.
        """
        async with self._deciding:
            state = decide(self.state, self.now())
            if state == self.state:
                return
            try:
                await asyncio.to_thread(self._store.save, self.name, state)
            except OSError as error:
                raise StateNotSavedError(
                    f"the state of source {self.name!r} cannot be saved: {error.strerror}",
                    hint="see whether the disk of the poller's data folder is full",
                ) from error
            self.state = state
        self.changed.set()
