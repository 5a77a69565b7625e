"""`towline events`: what happened, and with `-w` what happens.

Following resumes behind the last event that was printed, so a broken connection or a restart of the hub neither loses
nor repeats anything.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from services.cli.get import COLUMNS
from services.cli.hubs import CommandError, UnreachableError, Where, asked
from services.cli.output import moment_of, plain, say, show

if TYPE_CHECKING:
    from services.cli.client import Hub

FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 5.0
Chosen = dict[str, str]


def events(
    *,
    watch: Annotated[bool, Parameter(name=["--watch", "-w"], negative="")] = False,
    since: str = "",
    about: Annotated[tuple[str, ...], Parameter(name="--for")] = (),
    types: str = "",
    limit: int = 100,
    output: Annotated[Literal["table", "json"], Parameter(name=["--output", "-o"])] = "table",
    where: Where | None = None,
) -> int:
    """Show what happened, and follow what happens.

    Args:
        watch: Go on until interrupted.
        since: Only events of the last 10m, 2h, 1d, or after a time.
        about: app/NAME or cluster/NAME.
        types: Whole types (apply.failed) or nouns (apply), separated by commas.
        limit: How many of the past at most; the newest count.
        output: How to print; json is one CloudEvent a line.
        where: Which hub.
    """
    chosen = {**_about(about), "types": types}
    earliest = moment_of(since, past=True) if since else ""
    asked(where, lambda hub: _events(hub, chosen, _Past(earliest, limit), _Printer(output), follow=watch))
    return 0


class _Past:
    """How much of the past is wanted."""

    def __init__(self, since: str, limit: int) -> None:
        self.since = since
        self.limit = limit


class _Printer:
    """Prints events as they come."""

    def __init__(self, output: str) -> None:
        self._json = output == "json"

    def past(self, found: Sequence[dict[str, Any]]) -> None:
        if self._json:
            for event in found:
                self.one(event)
        else:
            show({"items": found}, COLUMNS["events"], "table", noun="event")

    def one(self, event: dict[str, Any]) -> None:
        if self._json:
            print(json.dumps(event, ensure_ascii=False), flush=True)
            return
        kind = event["type"].removeprefix("dev.towline.").removesuffix(".v1")
        message = plain(event["data"].get("message", ""))
        print(f"{event['time'][11:19]}  {plain(kind)}  {plain(event['subject'])}  {message}".rstrip(), flush=True)


def _about(names: Sequence[str]) -> Chosen:
    chosen: Chosen = {}
    for each in (part for name in names for part in name.split(",")):
        kind, slash, name = each.partition("/")
        if kind not in {"app", "cluster"} or not slash or kind in chosen:
            raise CommandError(f"{each!r} is nothing to follow", code="cli.for", hint="write app/NAME or cluster/NAME")
        chosen[kind] = name
    return chosen


async def _events(hub: Hub, chosen: Chosen, past: _Past, printer: _Printer, *, follow: bool) -> None:
    newest = await hub.items("/api/v1/events", 1)
    position = int(newest[0]["id"]) if newest else 0
    found = await hub.items("/api/v1/events", past.limit, since=past.since, **chosen)
    # What came in between is left to the stream.
    printer.past([event for event in reversed(found) if not follow or int(event["id"]) <= position])
    if follow:
        await _follow(hub, chosen, position, printer)


async def _follow(hub: Hub, chosen: Chosen, position: int, printer: _Printer) -> None:
    import asyncio

    pause_s = FIRST_PAUSE_S
    while True:
        try:
            async for event in hub.events(position, **chosen):
                printer.one(event)
                position = int(event["id"])
                pause_s = FIRST_PAUSE_S
        except UnreachableError as error:
            if pause_s == FIRST_PAUSE_S:
                say(f"{error.message}; trying again")
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
