"""Run the statements of one SQLite connection where they are asked, and what may wait for a disk or a lock in a thread.

A hop to a thread and back costs more than a small statement does: two thirds of the time of a statement [measured].
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from functools import partial
from typing import Any

import aiosqlite
from sqlalchemy import URL

BEGIN = "BEGIN IMMEDIATE"
ROWS_AT_ONCE = 64


class ShortStatements(aiosqlite.Connection):
    """A connection for statements that take microseconds: they run in the event loop."""

    async def _execute(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        # Begin waits for the lock of the database, commit for the disk, and so does closing.
        waits = args[:1] == (BEGIN,) or fn in {self._conn.commit, self._conn.rollback, self._conn.close}
        if not waits:
            return fn(*args, **kwargs)
        return await super()._execute(fn, *args, **kwargs)  # type: ignore[no-untyped-call]


async def connect(url: URL) -> aiosqlite.Connection:
    """Open the database file of an SQLAlchemy URL; a connection is used by one task at a time, in whatever thread."""
    arguments, options = url.get_dialect()().create_connect_args(url)
    return await ShortStatements(
        partial(sqlite3.connect, *arguments, **{**options, "check_same_thread": False}), ROWS_AT_ONCE
    )
