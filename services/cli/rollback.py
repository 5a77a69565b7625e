"""`towline rollback`: have an app run what it ran before, until git moves on."""

from __future__ import annotations

from typing import Annotated
from uuid import uuid4

from cyclopts import Parameter

from services.cli.hubs import Where, asked
from services.cli.output import plain
from services.cli.steer import app_place


def rollback(
    name: str,
    /,
    *,
    to: str = "",
    reason: str,
    action: Annotated[str, Parameter(name="--id")] = "",
    where: Where | None = None,
) -> int:
    """Have an app run what it ran before, until git moves on or somebody resumes it.

    Args:
        name: APP or APP@CLUSTER.
        to: A commit, or of one cluster a release as EPOCH.GENERATION; without it what did well before.
        reason: Why; it is signed, stored and shown.
        action: Id of this action: asked twice with the same one, it is done once.
        where: Which hub.
    """
    arguments, number = {**app_place(name), "to": to}, action or str(uuid4())
    found = asked(where, lambda hub: hub.command("releaser", "rollback", arguments, reason, number))
    print(plain(found["message"]))
    for cluster in found.get("left", ()):
        print(f"left as it is: {plain(cluster)}")
    return 0
