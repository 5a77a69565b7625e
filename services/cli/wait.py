"""`towline wait`: block until a commit, an app or a cluster came as far as wanted.

The hub judges; this only asks again when something changed, also over a restart of the hub.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from services.cli.hubs import CommandError, TimedOutError, UnreachableError, Where, asked
from services.cli.output import plain, say, seconds_of

if TYPE_CHECKING:
    from services.cli.client import Hub

STAGES = ("rendered", "released", "applied", "healthy")
LONG_POLL_S = 20
PAUSE_S = 0.5
DONE, FAILED, EMPTY = 0, 1, 3


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Selection:
    """What to wait for; several of one kind mean any of them, several kinds mean all of them."""

    commit: Annotated[tuple[str, ...], Parameter(help="A commit, by 7 digits or more.")] = ()
    app: Annotated[tuple[str, ...], Parameter(name=["--app", "-a"], help="An app.")] = ()
    cluster: Annotated[tuple[str, ...], Parameter(name=["--cluster", "-c"], help="A cluster.")] = ()


def wait(
    *,
    selection: Selection | None = None,
    stage: Annotated[str, Parameter(name="--for")] = "healthy",
    timeout: str = "5m",
    output: Annotated[Literal["text", "json"], Parameter(name=["--output", "-o"])] = "text",
    where: Where | None = None,
) -> int:
    """Wait until a commit, an app or a cluster came as far as wanted.

    Ends with 0 when all are there, 1 when one failed for good, 3 when nothing is selected, 5 on timeout.

    Args:
        selection: What to wait for.
        stage: rendered, released, applied or healthy; of several the last counts.
        timeout: How long; 5m by default.
        output: How to print.
        where: Which hub.
    """
    chosen = selection or Selection()
    if not (chosen.commit or chosen.app or chosen.cluster):
        raise CommandError("nothing to wait for", code="cli.selection", hint="name --commit, --app or --cluster")
    wanted, timeout_s = _furthest(stage), seconds_of(timeout)
    found = asked(where, lambda hub: _wait(hub, chosen, wanted, timeout_s))
    if output == "json":
        print(json.dumps({name: value for name, value in found.items() if name != "version"}, ensure_ascii=False))
    return _told(found, wanted, quiet=output == "json")


def _furthest(stages: str) -> str:
    named = [stage.strip() for stage in stages.split(",") if stage.strip()]
    unknown = [stage for stage in named if stage not in STAGES]
    if unknown or not named:
        wrong = unknown[0] if unknown else stages
        raise CommandError(f"{wrong!r} is no stage", code="cli.stage", hint=f"use one of {', '.join(STAGES)}")
    return max(named, key=STAGES.index)


async def _wait(hub: Hub, chosen: Selection, stage: str, timeout_s: float) -> dict[str, Any]:
    import asyncio

    last: dict[str, Any] = {"state": "waiting", "message": "", "waiting": [], "reached": 0, "targets": 0}
    try:
        async with asyncio.timeout(timeout_s):
            while last["state"] == "waiting":
                last = await _ask(hub, chosen, stage, last)
    except TimeoutError as error:
        raise TimedOutError(
            f"not {stage} within {timeout_s:g} s: {_still(last)}", hint="see towline get targets --status ready=false"
        ) from error
    return last


async def _ask(hub: Hub, chosen: Selection, stage: str, last: dict[str, Any]) -> dict[str, Any]:
    import asyncio

    try:
        return await hub.get(
            "/api/v1/progress",
            stage=stage,
            commits=_list(chosen.commit),
            apps=_list(chosen.app),
            clusters=_list(chosen.cluster),
            since=last.get("version", ""),
            wait_s=LONG_POLL_S,
        )
    except UnreachableError as error:
        # A hub that restarts loses nothing that we wait for.
        if not last.get("unreachable"):
            say(f"{error.message}; trying again")
        await asyncio.sleep(PAUSE_S)
        return {**last, "unreachable": True}


def _list(given: Sequence[str]) -> str:
    return ",".join(given)


def _still(found: dict[str, Any]) -> str:
    if found.get("unreachable"):
        return "the hub does not answer"
    said = plain(found["message"])
    if not found["waiting"]:
        return said
    names = ", ".join(plain(name) for name in found["waiting"][:5])
    return f"{found['reached']} of {found['targets']} targets are there; missing {names}{said and f' ({said})'}"


def _told(found: dict[str, Any], stage: str, *, quiet: bool) -> int:
    started = time.strftime("%H:%M:%S")
    match found["state"]:
        case "failed":
            for failure in found["failures"]:
                say(f"failed: {plain(failure['name'])}: {plain(failure['message'])}")
            return FAILED
        case "empty":
            say("nothing is selected: no target matches, or no cluster of it has joined (see towline get targets)")
            return EMPTY
        case _:
            if not quiet:
                print(f"{started} {found['reached']} of {found['targets']} targets {stage}")
            return DONE
