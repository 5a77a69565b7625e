"""Handle many things, some at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

T = TypeVar("T")


async def each_of(handle: Callable[[T], Awaitable[None]], items: Iterable[T], *, at_once: int) -> None:
    """Await `handle` for each of `items`; the first failure ends the others and is raised as itself."""
    listed = list(items)
    rest = iter(listed)

    async def work() -> None:
        for item in rest:
            await handle(item)

    try:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(min(at_once, len(listed))):
                tasks.create_task(work())
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
