"""`towline get` and `towline describe`: ask the hub what is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from services.cli.hubs import CommandError, NotFoundError, Where, asked
from services.cli.objects import Objects, objects_of, show_objects
from services.cli.output import Column, Output, age, plain, say, show, yaml_text
from shared.core.status import ROLLED_BACK

if TYPE_CHECKING:
    from services.cli.client import Hub

DEFAULT_LIMIT = 500
SHOWN_EVENTS = 10
# What people write → the API's word.
_ALIASES = {"commit": "revisions", "commits": "revisions"}
Kind = Literal[
    "clusters",
    "apps",
    "targets",
    "revisions",
    "releases",
    "rollouts",
    "events",
    "sources",
    "cluster",
    "app",
    "target",
    "revision",
    "release",
    "rollout",
    "event",
    "source",
    "commits",
    "commit",
]


def _counts(found: dict[str, int]) -> str:
    return " ".join(f"{word}:{count}" for word, count in sorted(found.items()))


def _commit(item: Mapping[str, Any]) -> str:
    revision = item.get("revision") or {}
    return f"{revision.get('source', '')}@{revision.get('commit', '')[:12]}" if revision else ""


def _target_message(item: Mapping[str, Any]) -> str:
    message = str(item["conditions"][0]["message"] or item["message"])
    return f"{ROLLED_BACK}: {message}" if item.get("rollback") else message


COLUMNS: dict[str, Sequence[Column]] = {
    "clusters": (
        Column("NAME", lambda each: each["name"]),
        Column("STATE", lambda each: each["state"]),
        Column("TARGETS", lambda each: each["targets"]),
        Column("NOT READY", lambda each: each["not_ready"]),
        Column("LABELS", lambda each: ",".join(f"{name}={value}" for name, value in sorted(each["labels"].items()))),
        Column("LAST SEEN", lambda each: age(each["last_seen"])),
        Column("KUBERNETES", lambda each: each["kubernetes"], wide=True),
        Column("AGENT", lambda each: each["agent"], wide=True),
    ),
    "apps": (
        Column("NAME", lambda each: each["name"]),
        Column("CLUSTERS", lambda each: each["targets"]),
        Column("SYNC", lambda each: _counts(each["sync"])),
        Column("HEALTH", lambda each: _counts(each["health"])),
        Column("FAILED", lambda each: each["failed"]),
        Column("REVISION", lambda each: " ".join(f"{r['source']}@{r['commit'][:12]}" for r in each["revisions"][:3])),
    ),
    "targets": (
        Column("CLUSTER", lambda each: each["cluster"]),
        Column("APP", lambda each: each["app"]),
        Column("SYNC", lambda each: each["sync"]),
        Column("HEALTH", lambda each: each["health"]),
        Column("REVISION", _commit),
        Column("GENERATION", lambda each: f"{each['epoch']}.{each['generation']}", wide=True),
        Column("BUNDLE", lambda each: each["bundle"][:12], wide=True),
        Column("APPLIED", lambda each: age(each["applied_at"])),
        Column("MESSAGE", _target_message),
    ),
    "revisions": (
        Column("COMMIT", lambda each: f"{each['source']}@{each['commit'][:12]}"),
        Column("REF", lambda each: each["ref"].removeprefix("refs/heads/")),
        Column("STATE", lambda each: each["state"]),
        Column("TARGETS", lambda each: f"{each['healthy']}/{each['targets']}"),
        Column("FAILED", lambda each: each["failed"]),
        Column("AGE", lambda each: age(each["stages"]["observed"])),
        Column("AUTHOR", lambda each: each["author"], wide=True),
        Column("SUBJECT", lambda each: each["subject"]),
    ),
    "releases": (
        Column("NAME", lambda each: each["name"]),
        Column("STATE", lambda each: each["state"]),
        Column("RESULT", lambda each: each["result"]),
        Column("REVISION", _commit),
        Column("BUNDLE", lambda each: each["bundle"][:12], wide=True),
        Column("AGE", lambda each: age(each["released_at"])),
        Column("MESSAGE", lambda each: f"{ROLLED_BACK}: {each['rollback']}" if each.get("rollback") else ""),
    ),
    "rollouts": (
        Column("NAME", lambda each: each["name"]),
        Column("APP", lambda each: each["app"]),
        Column("STATE", lambda each: each["state"]),
        Column("STAGE", lambda each: each["stage"]),
        Column("REVISION", lambda each: f"{each['source']}@{each['commit'][:12]}"),
        Column("AGE", lambda each: age(each["updated_at"])),
        Column("MESSAGE", lambda each: each["message"]),
    ),
    "sources": (
        Column("NAME", lambda each: each["name"]),
        Column("REF", lambda each: each["asked_ref"] or each["ref"].removeprefix("refs/heads/")),
        Column("STATUS", lambda each: each["code"].removeprefix("source.") or "ok"),
        Column("COMMIT", lambda each: each["commit"][:12]),
        Column("HISTORY", lambda each: each["history"], wide=True),
        Column("AGE", lambda each: age(each["observed_at"])),
        Column("REPOSITORY", lambda each: each["repository"]),
        Column("MESSAGE", lambda each: each["message"]),
    ),
    "events": (
        Column("POSITION", lambda each: each["id"], wide=True),
        Column("AGE", lambda each: age(each["time"])),
        Column("TYPE", lambda each: each["type"].removeprefix("dev.towline.").removesuffix(".v1")),
        Column("SUBJECT", lambda each: each["subject"]),
        Column("MESSAGE", lambda each: each["data"].get("message", "")),
    ),
}


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Filters:
    """Which items."""

    app: Annotated[str, Parameter(name=["--app", "-a"], help="Only of this app.")] = ""
    cluster: Annotated[str, Parameter(name=["--cluster", "-c"], help="Only on this cluster.")] = ""
    selector: Annotated[str, Parameter(name=["--selector", "-l"], help="Labels of clusters: env=prod,region=eu.")] = ""
    status: Annotated[str, Parameter(help="ready=false, sync=Held, health=Failed or state=offline.")] = ""
    limit: Annotated[int, Parameter(help="How many at most.")] = DEFAULT_LIMIT
    all: Annotated[bool, Parameter(negative="", help="All of them.")] = False


def get(
    kind: Kind,
    name: str = "",
    /,
    *,
    filters: Filters | None = None,
    output: Output = "table",
    header: bool = True,
    where: Where | None = None,
) -> int:
    """Show clusters, apps, targets, revisions, releases, rollouts, events or sources.

    Args:
        kind: What to show.
        name: Only this one; a target is named cluster/app.
        filters: Which of them.
        output: How to print.
        header: Print the titles of the columns.
        where: Which hub.
    """
    plural = _ALIASES.get(kind, kind if kind.endswith("s") else f"{kind}s")
    listing = asked(where, lambda hub: _get(hub, plural, name, filters or Filters()))
    show(listing, COLUMNS[plural], output, noun=plural[:-1], header=header)
    return 0


async def _get(hub: Hub, plural: str, name: str, filters: Filters) -> dict[str, Any]:
    kind = f"{plural[:-1].capitalize()}List"
    if name:
        items = await _named(hub, plural, name)
    else:
        limit = None if filters.all else filters.limit
        whole = {"all": "true"} if plural == "sources" else {}
        items = await hub.items(f"/api/v1/{plural}", limit, **_parameters(plural, filters), **whole)
    return {"apiVersion": "towline.dev/v1", "kind": kind, "items": items}


def _parameters(plural: str, filters: Filters) -> dict[str, Any]:
    """Return the filters as the API takes them.

    Raises:
        CommandError: one does not fit the kind.
    """
    given = {"app": filters.app, "cluster": filters.cluster, "selector": filters.selector}
    if filters.status:
        word, equals, value = filters.status.partition("=")
        if not equals:
            raise CommandError(f"{filters.status!r} is no status", code="cli.status", hint="write ready=false")
        given[word] = value
    known = {
        "clusters": {"selector", "state"},
        "apps": {"cluster"},
        "targets": {"app", "cluster", "ready", "sync", "health"},
        "releases": {"app", "cluster"},
        "rollouts": {"app", "state"},
        "events": {"app", "cluster", "severity"},
    }.get(plural, set())
    for word in (word for word, value in given.items() if value and word not in known):
        raise CommandError(f"{plural} cannot be chosen by {word}", code="cli.filter", hint=f"choose by {sorted(known)}")
    return given


async def _named(hub: Hub, plural: str, name: str) -> list[dict[str, Any]]:
    if plural == "sources":
        found = [each for each in await hub.items("/api/v1/sources", None, all="true") if each["name"] == name]
        if not found:
            raise NotFoundError(f"there is no source {name!r}")
        return found
    if plural in {"releases", "rollouts"}:
        found = [each for each in await hub.items(f"/api/v1/{plural}", None) if each["name"] == name]
        if not found:
            raise NotFoundError(f"there is no {plural[:-1]} {name!r}")
        return found
    if plural == "targets" and name.count("/") != 1:
        raise CommandError(f"{name!r} is no target", code="cli.target", hint="name it as cluster/app")
    return [await hub.get(f"/api/v1/{plural}/{name}")]


def describe(name: str, /, *, cluster: str = "", where: Where | None = None) -> int:
    """Show all about one thing, and its last events.

    Args:
        name: app/NAME, cluster/NAME, revision/COMMIT, or a target: CLUSTER/APP or APP@CLUSTER, with its objects.
        cluster: With app/NAME: the app on this cluster.
        where: Which hub.
    """
    plural, _, rest = name.partition("/")
    plural = _ALIASES.get(plural, plural if plural.endswith("s") else f"{plural}s")
    if plural not in COLUMNS:
        app, at, place = name.partition("@")
        plural, rest = "targets", f"{place}/{app}" if at else name
    if plural == "apps" and cluster:
        plural, rest = "targets", f"{cluster}/{rest}"
    item, events, objects = asked(where, lambda hub: _described(hub, plural, rest))
    print(yaml_text(item), end="")
    if events:
        say("")
        show({"items": events}, COLUMNS["events"], "table", noun="event")
    if objects:
        say("")
        show_objects(objects)
    return 0


async def _described(hub: Hub, plural: str, name: str) -> tuple[dict[str, Any], list[dict[str, Any]], Objects | None]:
    (item,) = await _named(hub, plural, name)
    chosen = {
        "clusters": {"cluster": name},
        "apps": {"app": name},
        "targets": dict(zip(("cluster", "app"), name.split("/"), strict=False)),
    }.get(plural)
    events = await hub.items("/api/v1/events", SHOWN_EVENTS, **chosen) if chosen else []
    objects = await objects_of(hub, *name.split("/")) if plural == "targets" else None
    return {plain(key): value for key, value in item.items()}, events, objects
