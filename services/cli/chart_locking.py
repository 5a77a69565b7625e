"""Ask chart repositories for what is to be locked, and keep the archives on this machine."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from services.cli import chart_cache
from services.cli.output import say
from services.poller.charts.fetching import Fetching
from services.poller.charts.resolving import Resolving
from services.poller.charts.web import Web
from services.poller.credentials import CredentialsFile
from shared.errors import TowlineError
from shared.fleet.locks import Asked, LockedChart

AT_ONCE = 4


async def locked(
    asked: set[Asked], known: Mapping[Asked, LockedChart], credentials: Path | None
) -> tuple[list[LockedChart], list[Asked]]:
    """Return what is asked for as it is to be locked, and what could not be had: that is said at once.

    What is `known` stays as it is; `credentials` is a file of them.
    """
    file = CredentialsFile(credentials) if credentials else None
    found: list[LockedChart] = []
    failed: list[Asked] = []
    turns = asyncio.Semaphore(AT_ONCE)
    async with Web.open(None) as web:
        resolving = Resolving(web, file.for_place if file else lambda _: None)

        async def one(key: Asked) -> None:
            try:
                async with turns:
                    found.append(await _one(resolving, key, known.get(key)))
            except TowlineError as error:
                say(f"error: {key[1]} {key[2]} of {key[0]}: {error} [{error.code}]")
                failed.append(key)

        async with asyncio.TaskGroup() as tasks:
            for key in sorted(asked):
                tasks.create_task(one(key))
    return found, failed


async def _one(resolving: Resolving, key: Asked, known: LockedChart | None) -> LockedChart:
    if known is None:
        known, content = await resolving.resolved(key)
        chart_cache.keep(content)
    elif chart_cache.known(known.sha256) is None:
        fetching = Fetching(resolving.web, None, resolving.credentials)
        chart_cache.keep(await fetching.archive(known.url, known.sha256))
    return known
