"""A database that an older version made."""

from sqlalchemy import JSON, Column, MetaData, Table, insert, select

from services.auditor import tables as auditor
from services.releaser import tables as releaser
from shared.runtime.database import Database, boolean, integer, text

FIRST = {
    *("commands.fact", "desired.roster_bytes", "desired.envelope", "outbox.body"),
    *("dead_letters.content", "ledger.key", "ledger.body", "ledger.hash"),
}
"""Columns of the first version."""


async def test_an_older_database_gets_the_columns_that_it_lacks_and_keeps_its_rows(tmp_path):
    url = f"sqlite+aiosqlite:///{tmp_path / 'old.db'}"
    before, after = MetaData(), MetaData()
    old = Table("things", before, text("name", key=True))
    columns = (text("commit"), integer("number"), boolean("good", default=True), Column("body", JSON))
    new = Table("things", after, text("name", key=True), *columns)
    async with Database.open("test", url, before, 1) as database, database.writing() as connection:
        await connection.execute(insert(old), [{"name": "one"}])
    async with Database.open("test", url, after, 1) as database, database.reading() as connection:
        rows = (await connection.execute(select(new))).all()

    assert [tuple(row) for row in rows] == [("one", "", 0, True, None)]


def test_every_column_that_came_later_can_be_added_to_rows_that_are_there():
    tables = [*releaser.metadata.sorted_tables, *auditor.metadata.sorted_tables]
    columns = [column for table in tables for column in table.columns if not column.primary_key]
    needed = {str(column) for column in columns if not column.nullable and column.server_default is None}

    assert needed <= FIRST, "a new column needs a default, for an older database gets it"
