"""The releaser's database: one writer, one transaction a decision, and what follows from it written beside it.

What a decision has to say (facts, commands to the poller) is written in the same transaction and told
from there, so that it is said exactly when it happened.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import Table, delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.releaser.tables import hub, metadata, outbox
from shared import subjects
from shared.messages.facts import Command, Fact
from shared.runtime.database import Database, upsert

READERS = 2
IN_ONE_QUERY = 500
PROGRAM = "releaser"


@dataclass(slots=True)
class Transaction:
    """One decision in the making: the connection, its moment, and what it leaves to be done after the commit."""

    connection: AsyncConnection
    now: datetime
    touched: set[str] = field(default_factory=set)
    """Clusters whose desired state was signed anew."""
    registry: bool = False
    """The registry of clusters changed."""
    revoked: bool = False
    """A key was cut off."""
    rebuild: bool = False
    """Everything on the bus shall be said again."""
    adopted: bool = False
    """A new epoch began."""
    released: Counter[str] = field(default_factory=Counter)
    """How many releases were given, by state."""
    instructions: list[tuple[str, bytes]] = field(default_factory=list)
    """Signed instructions to agents: cluster and envelope; sent once, after the commit."""
    said: list[dict[str, Any]] = field(default_factory=list)

    def say(self, kind: str, **fields: Any) -> Fact:
        """State a fact, to be told after the commit."""
        fact = Fact(id=str(uuid4()), program=PROGRAM, type=kind, at=self.now, **fields)
        self.said.append({"id": fact.id, "subject": subjects.fact(PROGRAM, kind), "body": fact.to_bytes()})
        return fact

    def ask_poller(self, verb: str, arguments: Mapping[str, Any], reason: str) -> None:
        """Ask the poller for something, after the commit."""
        command = Command(
            id=str(uuid4()), verb=verb, arguments=dict(arguments), actor=PROGRAM, reason=reason, at=self.now
        )
        subject = subjects.command("poller", command.id)
        self.said.append({"id": command.id, "subject": subject, "body": command.to_bytes()})

    async def rows(self, query: Any) -> list[Any]:
        """Return the rows of a query."""
        return list((await self.connection.execute(query)).all())

    async def mappings(self, query: Any) -> list[dict[str, Any]]:
        """Return the rows of a query by the names of their columns."""
        return [dict(row) for row in (await self.connection.execute(query)).mappings()]

    async def first(self, query: Any) -> Any | None:
        """Return the first row of a query, or None."""
        return (await self.connection.execute(query)).first()

    async def do(self, statement: Any, rows: Sequence[Mapping[str, Any]] | None = None) -> None:
        """Execute a statement, once for each of `rows` where they are given; no rows: nothing."""
        if rows is None:
            await self.connection.execute(statement)
        elif rows:
            await self.connection.execute(statement, list(rows))

    async def put(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows of the same columns, or overwrite these columns of the rows that are there."""
        if rows:
            await self.connection.execute(upsert(self.connection, table, rows[0]), list(rows))

    async def value(self, name: str, default: Any = None) -> Any:
        """Return a single value of the hub."""
        row = await self.first(select(hub.c.value).where(hub.c.name == name))
        found = row.value["is"] if row is not None else None
        return default if found is None else found

    async def set_value(self, name: str, value: Any) -> None:
        """Keep a single value of the hub."""
        # Wrapped: SQLite would keep a bare number as a number, which is no JSON text any more.
        await self.put(hub, [{"name": name, "value": {"is": value}}])


class Store:
    """The database; open it with `Store.open`."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._lock = asyncio.Lock()
        self._clock = clock
        self.after: Callable[[Transaction], None] = lambda _transaction: None
        """Called with each transaction that was committed."""

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> AsyncIterator[Store]:
        """Open the database at an SQLAlchemy URL and make what it lacks."""
        async with Database.open(PROGRAM, url, metadata, READERS) as database:
            yield cls(database, clock)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Transaction]:
        """Give a view of one state; it cannot write."""
        async with self._database.reading() as connection:
            yield Transaction(connection, self._clock())

    @asynccontextmanager
    async def deciding(self) -> AsyncIterator[Transaction]:
        """Give the one transaction that may write; it is committed at the end, with what it says."""
        async with self._lock, self._database.writing() as connection:
            transaction = Transaction(connection, self._clock())
            yield transaction
            await transaction.do(insert(outbox), transaction.said)
        self.after(transaction)

    async def unsaid(self, limit: int) -> list[Any]:
        """Return what is still to be told, oldest first."""
        async with self.reading() as view:
            return await view.rows(select(outbox).order_by(outbox.c.position).limit(limit))

    async def forget_said(self, positions: Sequence[int]) -> None:
        """Note that these were told."""
        async with self.deciding() as transaction:
            await transaction.do(delete(outbox).where(outbox.c.position.in_(positions)))


def portions(items: Iterable[str]) -> Iterator[list[str]]:
    """Yield `items` in lists that fit into one query."""
    found = list(items)
    for start in range(0, len(found), IN_ONE_QUERY):
        yield found[start : start + IN_ONE_QUERY]
