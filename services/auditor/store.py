"""The auditor's database: one transaction a batch, each event once, readers beside the one writer.

A batch is committed before it is acknowledged, because the bus forgets what we acknowledge.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.auditor import stages, writing
from services.auditor.changes import Change, Folded
from services.auditor.ledger import ORIGIN, Break, Entry, Event, entry_of, first_break
from services.auditor.stages import Reached
from services.auditor.tables import ledger, metadata, outbox
from shared.runtime.database import Database, upsert

READERS = 4
PAGE = 500
_ENTRY_FIELDS = tuple(each.name for each in fields(Entry))


@dataclass(frozen=True, slots=True)
class Written:
    """What a batch brought that was not known yet."""

    entries: Sequence[Entry]
    changes: Sequence[Change]
    applied: Sequence[Reached]
    """Revisions that all their targets run now."""


class Store:
    """The ledger and the read model; open it with `Store.open`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = asyncio.Lock()
        self._position = 0
        self._hash = ORIGIN
        self._version = 0
        self._moved = asyncio.Event()
        self.after: Callable[[Written], None] = lambda _written: None
        """Called with each batch that was committed."""

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str) -> AsyncIterator[Store]:
        """Open the database at an SQLAlchemy URL and make what it lacks."""
        async with Database.open("auditor", url, metadata, READERS) as database:
            store = cls(database)
            await store._read_head()
            yield store

    @property
    def position(self) -> int:
        """Return the position of the newest event, 0 when there is none."""
        return self._position

    @property
    def version(self) -> int:
        """Return a number that rises with every write of this process."""
        return self._version

    async def changed(self, since: int) -> int:
        """Wait until the version is higher than `since`, and return it."""
        while self._version <= since:
            await self._moved.wait()
        return self._version

    def reading(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """Give a connection that sees one state and writes nothing."""
        return self._database.reading()

    async def write(self, folded: Sequence[Folded]) -> list[Entry]:
        """Store a batch in one transaction and return the new rows of the ledger.

        What belongs to an event that the ledger has already is left out.
        """
        async with self._lock:
            async with self._database.writing() as connection:
                fresh, changes = await _new(connection, folded)
                entries = list(self._chained(fresh))
                if entries:
                    await connection.execute(insert(ledger), [_row(entry) for entry in entries])
                staged = await writing.apply(connection, changes)
                applied = await stages.advance(connection) if staged else []
            if entries:
                self._position, self._hash = entries[-1].position, entries[-1].hash
            self.wake()
            self.after(Written(entries, changes, applied))
        return entries

    def wake(self) -> None:
        """Wake everybody who waits for a change, to look again."""
        self._version += 1
        self._moved.set()
        self._moved = asyncio.Event()

    def _chained(self, events: Iterable[Event]) -> Iterator[Entry]:
        previous = self._hash
        for position, each in enumerate(events, self._position + 1):
            entry = entry_of(each, position, previous)
            previous = entry.hash
            yield entry

    async def _read_head(self) -> None:
        async with self.reading() as connection:
            newest = select(ledger.c.position, ledger.c.hash).order_by(ledger.c.position.desc()).limit(1)
            row = (await connection.execute(newest)).first()
        if row is not None:
            self._position, self._hash = row.position, row.hash

    async def entries(self, after: int, limit: int = PAGE) -> list[Entry]:
        """Return up to `limit` rows of the ledger beyond a position."""
        query = select(ledger).where(ledger.c.position > after).order_by(ledger.c.position).limit(limit)
        async with self.reading() as connection:
            return [entry_from(row) for row in await connection.execute(query)]

    async def verify(self) -> Break | None:
        """Read the whole ledger and return where its chain breaks, or None."""
        position, previous = 0, ORIGIN
        while page := await self.entries(position):
            if broken := first_break(page, previous, position + 1):
                return broken
            position, previous = page[-1].position, page[-1].hash
        return None

    async def told(self, name: str) -> int:
        """Return the last position that was told on the bus."""
        async with self.reading() as connection:
            found = await connection.execute(select(outbox.c.position).where(outbox.c.name == name))
        return found.scalar() or 0

    async def tell(self, name: str, position: int) -> None:
        """Note that everything up to `position` was told on the bus."""
        async with self._lock, self._database.writing() as connection:
            row = {"name": name, "position": position}
            await connection.execute(upsert(connection, outbox, row, rising=("position",)), [row])


def entry_from(row: Any) -> Entry:
    """Return a row of a query over the ledger."""
    return Entry(**{name: getattr(row, name) for name in _ENTRY_FIELDS})


def _row(entry: Entry) -> dict[str, Any]:
    return {name: getattr(entry, name) for name in _ENTRY_FIELDS}


async def _new(connection: AsyncConnection, folded: Sequence[Folded]) -> tuple[list[Event], list[Change]]:
    """Return the events that the ledger lacks, each once, and the changes that come with them."""
    keys = list({each.key for one in folded for each in one.events})
    known: set[str] = set()
    for start in range(0, len(keys), PAGE):
        query = select(ledger.c.key).where(ledger.c.key.in_(keys[start : start + PAGE]))
        known.update((await connection.execute(query)).scalars())
    fresh: list[Event] = []
    changes: list[Change] = []
    for one in folded:
        if one.events and one.events[0].key in known:
            continue
        for each in one.events:
            if each.key not in known:
                known.add(each.key)
                fresh.append(each)
        changes.extend(one.changes)
    return fresh, changes
