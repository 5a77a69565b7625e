"""Open a program's database: one connection that writes, a few that only read, and rows that are written or overwritten.

SQLite in WAL mode: a transaction that writes takes its lock at the start and syncs at its end, because what it says goes
out, or is acknowledged, right after. Columns that most tables have are made here too.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    MetaData,
    Table,
    Text,
    event,
    false,
    inspect,
    make_url,
    true,
    tuple_,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.schema import CreateColumn

from shared.core.canonical import decode, encode
from shared.errors import TransientError
from shared.runtime.sqlite import BEGIN, connect

BUSY_TIMEOUT_S = 5.0


class StoreUnavailableError(TransientError):
    """The database cannot be read or written now."""

    code = "store.unavailable"


@dataclass(frozen=True, slots=True)
class Database:
    """An open database; connections of `reader` cannot write."""

    program: str
    writer: AsyncEngine
    reader: AsyncEngine

    @classmethod
    @asynccontextmanager
    async def open(cls, program: str, url: str, tables: MetaData, readers: int) -> AsyncIterator[Database]:
        """Open the database of `program` at an SQLAlchemy URL and make the tables and columns that it lacks.

        Raises:
            StoreUnavailableError: it does not answer.
        """
        writer, reader = _engine(url, 1, write=True), _engine(url, readers, write=False)
        database = cls(program, writer, reader)
        try:
            async with database.writing() as connection:
                await connection.run_sync(_complete, tables)
            yield database
        finally:
            await reader.dispose()
            await writer.dispose()

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """Give a transaction that is committed at the end."""
        with self._translated():
            async with self.writer.begin() as connection:
                yield connection

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """Give a connection that sees one state and writes nothing."""
        with self._translated():
            async with self.reader.connect() as connection:
                yield connection

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            raise StoreUnavailableError(f"the {self.program}'s database did not answer: {error.orig}") from error


def _complete(connection: Connection, tables: MetaData) -> None:
    """Make what an older version did not know; every column that may come later has a default, or may be null."""
    tables.create_all(connection)
    known = inspect(connection)
    for table in tables.sorted_tables:
        there = {column["name"] for column in known.get_columns(table.name)}
        for column in table.columns:
            if column.name not in there:
                written = CreateColumn(column).compile(dialect=connection.dialect)
                connection.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN {written}")


def upsert(
    connection: AsyncConnection, table: Table, columns: Iterable[str], rising: tuple[str, ...] | None = None
) -> Any:
    """Return an insert that overwrites the given columns of a row that is there.

    Args:
        connection: tells the database's dialect.
        table: where to.
        columns: what is written; of a row that is there, all but its key.
        rising: only if these columns, compared in this order, rise; empty: a row that is there stays as it is.
    """
    return _upsert(connection.dialect.name, table, tuple(columns), rising)


# Kept: making the statement costs more than running it.
@lru_cache(maxsize=256)
def _upsert(database: str, table: Table, columns: tuple[str, ...], rising: tuple[str, ...] | None) -> Any:
    dialect = postgresql if database == "postgresql" else sqlite
    statement = dialect.insert(table)
    keys = [column.name for column in table.primary_key]
    written = {name: statement.excluded[name] for name in columns if name not in keys}
    if rising == () or not written:
        return statement.on_conflict_do_nothing(index_elements=keys)
    rises = None
    if rising:
        rises = tuple_(*(table.c[name] for name in rising)) < tuple_(*(statement.excluded[name] for name in rising))
    return statement.on_conflict_do_update(index_elements=keys, set_=written, where=rises)


def text(name: str, *, key: bool = False) -> Column[str]:
    """Return a column of text, never null."""
    return Column(name, Text, primary_key=key, nullable=False, server_default=None if key else "")


def integer(name: str, *, key: bool = False) -> Column[int]:
    """Return a column of 64-bit integers, never null."""
    return Column(name, BigInteger, primary_key=key, nullable=False, server_default=None if key else "0")


def boolean(name: str, *, default: bool = False) -> Column[bool]:
    """Return a column of truth values, never null."""
    return Column(name, Boolean, nullable=False, server_default=true() if default else false())


def _engine(url: str, connections: int, *, write: bool) -> AsyncEngine:
    found = make_url(url)
    on_sqlite = found.get_backend_name() == "sqlite"
    engine = create_async_engine(
        url,
        pool_size=connections,
        max_overflow=0,
        pool_timeout=BUSY_TIMEOUT_S,
        json_serializer=lambda value: encode(value).decode(),
        json_deserializer=decode,
        # What is read may be a whole fleet, and stays in threads.
        **({"async_creator": partial(connect, found)} if on_sqlite and write else {}),
    )
    if on_sqlite:
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
        connection.exec_driver_sql(BEGIN if write else "BEGIN")
