"""The releaser's database: one writer, one transaction a decision, and what follows from it written beside it.

SQLite in WAL mode: a transaction takes the lock at its start and syncs at its end, because what was signed goes out
right after. What a decision has to say (facts, commands to the poller) is written in the same transaction and told
from there, so that it is said exactly when it happened.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import Table, delete, event, insert, make_url, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from services.releaser.tables import hub, metadata, outbox
from shared import subjects
from shared.core.canonical import decode, encode
from shared.errors import TransientError
from shared.messages.facts import Command, Fact

BUSY_TIMEOUT_S = 5.0
READERS = 2
IN_ONE_QUERY = 500
PROGRAM = "releaser"


class StoreUnavailableError(TransientError):
    """The database cannot be read or written now."""

    code = "store.unavailable"


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        raise StoreUnavailableError(f"the releaser's database did not answer: {error.orig}") from error


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

    def __init__(self, writer: AsyncEngine, reader: AsyncEngine, clock: Callable[[], datetime]) -> None:
        self._writer = writer
        self._reader = reader
        self._lock = asyncio.Lock()
        self._clock = clock
        self.after: Callable[[Transaction], None] = lambda _transaction: None
        """Called with each transaction that was committed."""

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> AsyncIterator[Store]:
        """Open the database at an SQLAlchemy URL and make what it lacks."""
        writer, reader = _engine(url, write=True), _engine(url, write=False)
        try:
            with _translated():
                async with writer.begin() as connection:
                    await connection.run_sync(metadata.create_all)
            yield cls(writer, reader, clock)
        finally:
            await reader.dispose()
            await writer.dispose()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Transaction]:
        """Give a view of one state; it cannot write."""
        with _translated():
            async with self._reader.connect() as connection:
                yield Transaction(connection, self._clock())

    @asynccontextmanager
    async def deciding(self) -> AsyncIterator[Transaction]:
        """Give the one transaction that may write; it is committed at the end, with what it says."""
        async with self._lock:
            with _translated():
                async with self._writer.begin() as connection:
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


def upsert(connection: AsyncConnection, table: Table, columns: Iterable[str]) -> Any:
    """Return an insert that overwrites the given columns of a row that is there."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(table)
    keys = [column.name for column in table.primary_key]
    written = {name: statement.excluded[name] for name in columns if name not in keys}
    if not written:
        return statement.on_conflict_do_nothing(index_elements=keys)
    return statement.on_conflict_do_update(index_elements=keys, set_=written)


def portions(items: Iterable[str]) -> Iterator[list[str]]:
    """Yield `items` in lists that fit into one query."""
    found = list(items)
    for start in range(0, len(found), IN_ONE_QUERY):
        yield found[start : start + IN_ONE_QUERY]


def _engine(url: str, *, write: bool) -> AsyncEngine:
    backend = make_url(url).get_backend_name()
    engine = create_async_engine(
        url,
        pool_size=1 if write else READERS,
        max_overflow=0,
        pool_timeout=BUSY_TIMEOUT_S,
        json_serializer=lambda value: encode(value).decode(),
        json_deserializer=decode,
    )
    if backend == "sqlite":
        _prepare_sqlite(engine, write=write)
    return engine


def _prepare_sqlite(engine: AsyncEngine, *, write: bool) -> None:
    """Set up connections, and begin transactions ourselves: the driver's own do not cover reads."""

    @event.listens_for(engine.sync_engine, "connect")
    def _connected(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {int(BUSY_TIMEOUT_S * 1000)}")
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = FULL")
        if not write:
            cursor.execute("PRAGMA query_only = ON")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _began(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
