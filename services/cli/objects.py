"""Show how each object of an app stands in one cluster, and what differs: its agent is asked, for nobody else knows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from services.cli.hubs import CommandError, Where, asked
from services.cli.output import Column, Format, age, plain, say, show
from services.cli.steer import place_of

if TYPE_CHECKING:
    from services.cli.client import Hub

MOST = 500
CONNECTED = "connected"


@dataclass(frozen=True, slots=True)
class Objects:
    """What an agent told, or why it did not."""

    items: tuple[dict[str, Any], ...] = ()
    more: bool = False
    trouble: str = ""


def _remark(item: Mapping[str, Any]) -> str:
    """Return the last error, else who changed it, else what its health says."""
    if error := item.get("error"):
        return f"{error['code']}: {error['message']}"
    if managers := item.get("managers"):
        return f"changed; others who write it: {', '.join(managers)}"
    return str(item.get("message") or item.get("reason") or "")


COLUMNS = (
    Column("OBJECT", lambda each: each["key"]),
    Column("STATE", lambda each: each["state"]),
    Column("HEALTH", lambda each: each.get("health", "")),
    Column("UID", lambda each: each.get("uid", ""), wide=True),
    Column("MESSAGE", _remark),
)


async def objects_of(hub: Hub, cluster: str, app: str) -> Objects:
    """Return the objects of a target; who is away is not waited for."""
    if away := await _away(hub, cluster):
        return Objects(trouble=away)
    found: list[dict[str, Any]] = []
    more = False
    try:
        async for rows, left in _told(hub, cluster, app, "objects"):
            found += rows
            more = left
            if len(found) >= MOST:
                break
    except CommandError as error:
        return Objects(tuple(found), trouble=str(error))
    return Objects(tuple(found[:MOST]), more=more)


async def _told(hub: Hub, cluster: str, app: str, about: str) -> AsyncIterator[tuple[list[dict[str, Any]], bool]]:
    """Yield what an agent tells of an app's objects, page by page, and whether there is more."""
    after = ""
    while True:
        page = await hub.post(f"/api/v1/targets/{cluster}/{app}/ask", {"about": about, "after": after})
        after = page["body"]["next"]
        yield page["body"]["objects"], bool(after)
        if not after:
            return


async def _away(hub: Hub, cluster: str) -> str:
    """Return why a cluster's agent cannot be asked now; empty: it can."""
    about = await hub.get(f"/api/v1/clusters/{cluster}")
    if about["state"] == CONNECTED:
        return ""
    seen = f", last seen {age(about['last_seen'])} ago" if about["last_seen"] else ""
    return f"the agent of {cluster} is {about['state']}{seen}"


def diff_live(name: str, output: Format, where: Where | None) -> int:
    """Show what an apply of an app's release would change in a cluster now; return 1 when it would change something.

    Raises:
        CommandError: the name is no target, or its agent cannot be asked.
    """
    place = place_of(name)
    if not (place["app"] and place["cluster"]):
        raise CommandError("only a target and its cluster are compared", hint="write: towline diff --live APP@CLUSTER")
    found = asked(where, lambda hub: _differences(hub, place["cluster"], place["app"]))
    if output == "table":
        for each in found:
            print(f"{plain(each['key'])}: {each['state']}")
            for line in each["lines"]:
                print(f"  {plain(line.removeprefix(each['key']).strip())}")
    else:
        listing = {"apiVersion": "towline.dev/v1", "kind": "DifferenceList", "items": found}
        show(listing, (Column("OBJECT", lambda each: each["key"]),), output, noun="object")
    return 1 if found else 0


async def _differences(hub: Hub, cluster: str, app: str) -> list[dict[str, Any]]:
    if away := await _away(hub, cluster):
        raise CommandError(away, code="agent.no-answer", hint="see towline get clusters")
    return [each async for rows, _ in _told(hub, cluster, app, "diff") for each in rows]


def show_objects(objects: Objects) -> None:
    """Print them, and what is not known."""
    if objects.items or not objects.trouble:
        show({"items": objects.items}, COLUMNS, "table", noun="object")
    if objects.more:
        say(f"only the first {MOST} objects are shown")
    if objects.trouble:
        say(f"its objects are not known now: {plain(objects.trouble)}")
