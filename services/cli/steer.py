"""`towline suspend`, `resume`, `sync`, `approve` and `hub rebuild`: commands to the programs of the hub."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from services.cli.hubs import CommandError, NotFoundError, Where, asked
from services.cli.output import Column, Output, moment_of, plain, show

if TYPE_CHECKING:
    from services.cli.client import Hub

HOLD_COLUMNS = (
    Column("NAME", lambda each: each["name"]),
    Column("KIND", lambda each: each["kind"]),
    Column("APP", lambda each: each["app"]),
    Column("CLUSTER", lambda each: each["cluster"]),
    Column("DIGEST", lambda each: each["digest"][:12]),
    Column("MESSAGE", lambda each: each["message"]),
)


def place_of(name: str) -> dict[str, str]:
    """Return what a name means: `app/web`, `cluster/c1`, `c1/web`, `web@c1`, or `web`, which is an app.

    Raises:
        CommandError: it means nothing.
    """
    kind, slash, rest = name.partition("/")
    if slash and kind in {"app", "cluster"} and rest and "/" not in rest:
        return _at(rest) if kind == "app" else {"app": "", "cluster": rest}
    if slash and rest and "/" not in rest and kind:
        return {"app": rest, "cluster": kind}
    if name and not slash:
        return _at(name)
    raise CommandError(f"{name!r} is no target", code="cli.target", hint="write app/NAME, cluster/NAME or CLUSTER/APP")


def app_place(name: str) -> dict[str, str]:
    """Return the app that a name means, on all clusters or one.

    Raises:
        CommandError: it means none.
    """
    place = place_of(name)
    if not place["app"]:
        raise CommandError(f"{name!r} is a cluster", code="cli.target", hint="name an app as APP or APP@CLUSTER")
    return place


def _at(name: str) -> dict[str, str]:
    app, _, cluster = name.partition("@")
    return {"app": app, "cluster": cluster}


def _given(where: Where | None, program: str, verb: str, arguments: dict[str, Any]) -> None:
    """Give one command and print its answer."""
    _tell(verb, asked(where, lambda hub: hub.command(program, verb, arguments, arguments.get("reason", ""))))


def _tell(verb: str, result: dict[str, Any]) -> None:
    rest = {name: value for name, value in result.items() if name != "message" and value not in ("", None)}
    print(plain(result["message"]) or f"{verb}: done{' ' + json.dumps(rest) if rest else ''}")


def suspend(name: str, /, *, reason: str = "", until: str = "", cluster: str = "", where: Where | None = None) -> int:
    """Stop reconciling an app, a cluster or a target, on purpose.

    Args:
        name: app/NAME, cluster/NAME, CLUSTER/APP or APP@CLUSTER.
        reason: Why; it is stored and shown.
        until: When it ends by itself: a duration or a time.
        cluster: With app/NAME: only on this cluster.
        where: Which hub.
    """
    arguments = _place(name, cluster)
    if until:
        arguments["until"] = moment_of(until, past=False)
    _given(where, "releaser", "suspend", {**arguments, "reason": reason})
    return 0


def resume(name: str, /, *, cluster: str = "", where: Where | None = None) -> int:
    """Go on reconciling what was suspended, and follow git again where an app was taken back.

    Args:
        name: app/NAME, cluster/NAME, CLUSTER/APP or APP@CLUSTER.
        cluster: With app/NAME: only on this cluster.
        where: Which hub.
    """
    _given(where, "releaser", "resume", _place(name, cluster))
    return 0


def _place(name: str, cluster: str) -> dict[str, str]:
    place = place_of(name)
    if cluster and place["cluster"] not in {"", cluster}:
        raise CommandError(f"{name!r} is not on cluster {cluster!r}", code="cli.target", hint="name the cluster once")
    return {**place, "cluster": place["cluster"] or cluster}


def sync(source: str = "", /, *, cluster: str = "", app: str = "", where: Where | None = None) -> int:
    """Look at git now, or have a cluster look again.

    Args:
        source: The source to look at; without it all of them.
        cluster: Have this cluster's agent check everything again instead, all objects included.
        app: Only this app; without a cluster on all that run it.
        where: Which hub.
    """
    if cluster or app:
        _given(where, "releaser", "sync", {"cluster": cluster, "app": app})
    else:
        _given(where, "poller", "sync", {"source": source} if source else {})
    return 0


def approve(
    name: str = "",
    /,
    *,
    list_: Annotated[bool, Parameter(name="--list", negative="")] = False,
    digest: str = "",
    reason: str = "",
    output: Output = "table",
    where: Where | None = None,
) -> int:
    """Let go what waits for a person: deletions, claims, gates.

    Args:
        name: A target, an app, a cluster, or a name of the list; without it the list is shown.
        list_: Show what waits, and approve nothing.
        digest: The digest that you saw, or its beginning; the approval is refused if it changed since.
        reason: Why; it is stored.
        output: How to print the list.
        where: Which hub.
    """
    holds = asked(where, _holds)
    if list_ or not name:
        show({"apiVersion": "towline.dev/v1", "kind": "HoldList", "items": holds}, HOLD_COLUMNS, output, noun="hold")
        return 0
    chosen = _chosen(holds, name, digest)
    results = asked(where, lambda hub: _approved(hub, chosen, reason))
    for hold, result in zip(chosen, results, strict=True):
        print(f"approved {plain(hold['name'])} {hold['digest'][:12]} {plain(result['message'])}".rstrip())
    return 0


async def _holds(hub: Hub) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await hub.get("/api/v1/holds"))["items"]
    return found


def _chosen(holds: Sequence[dict[str, Any]], name: str, digest: str) -> list[dict[str, Any]]:
    found = [hold for hold in holds if name in _names(hold)]
    if not found:
        raise NotFoundError(f"nothing named {name!r} waits", hint="see towline approve --list")
    seen = [hold for hold in found if hold["digest"].startswith(digest)]
    if not seen:
        raise CommandError(
            f"what waits of {name!r} is no longer what you saw",
            code="cli.changed",
            hint="look again with towline approve --list",
        )
    return seen


def _names(hold: dict[str, Any]) -> set[str]:
    app, cluster = hold["app"], hold["cluster"]
    names = {hold["name"], app, cluster, f"app/{app}", f"cluster/{cluster}", f"{cluster}/{app}", f"{app}@{cluster}"}
    commit = str(hold["details"].get("commit", ""))
    return names - {"", "app/", "cluster/", "/", "@"} | ({commit, commit[:12]} - {""})


async def _approved(hub: Hub, holds: Sequence[dict[str, Any]], reason: str) -> list[dict[str, Any]]:
    return [await hub.command("releaser", *_approval(hold), reason) for hold in holds]


def _approval(hold: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    if hold["kind"] == "claims":
        return "cluster-approve", {"cluster": hold["cluster"], "claims": hold["details"]}
    approval = {"hold": hold["name"], "cluster": hold["cluster"], "app": hold["app"], "approval": hold["digest"]}
    return "approve", approval


def rebuild(*, where: Where | None = None) -> int:
    """Have the hub make everything on the bus again.

    Args:
        where: Which hub.
    """
    for program in ("releaser", "poller"):
        _given(where, program, "rebuild", {})
    return 0
