"""Show how each object of an app stands in one cluster: its agent is asked, for nobody else knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from services.cli.hubs import CommandError
from services.cli.output import Column, age, plain, say, show

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
    about = await hub.get(f"/api/v1/clusters/{cluster}")
    if about["state"] != CONNECTED:
        seen = f", last seen {age(about['last_seen'])} ago" if about["last_seen"] else ""
        return Objects(trouble=f"the agent of {cluster} is {about['state']}{seen}")
    found: list[dict[str, Any]] = []
    after = ""
    try:
        while len(found) < MOST:
            page = await hub.post(f"/api/v1/targets/{cluster}/{app}/ask", {"about": "objects", "after": after})
            found += page["body"]["objects"]
            after = page["body"]["next"]
            if not after:
                break
    except CommandError as error:
        return Objects(tuple(found), trouble=str(error))
    return Objects(tuple(found[:MOST]), more=bool(after))


def show_objects(objects: Objects) -> None:
    """Print them, and what is not known."""
    if objects.items or not objects.trouble:
        show({"items": objects.items}, COLUMNS, "table", noun="object")
    if objects.more:
        say(f"only the first {MOST} objects are shown")
    if objects.trouble:
        say(f"its objects are not known now: {plain(objects.trouble)}")
