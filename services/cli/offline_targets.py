"""`towline targets`: which cluster gets which app and of what it is made, and why another does not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from services.cli.offline import Asked
from services.cli.offline_findings import line_of, once
from services.cli.output import Column, Output, say, show

if TYPE_CHECKING:
    from services.renderer.targets import Plan, Target
    from shared.fleet.model import App, Cluster

_COLUMNS = (
    Column("CLUSTER", lambda each: each["cluster"]),
    Column("APP", lambda each: each["app"]),
    Column("GETS", lambda each: each["state"]),
    Column("NAMESPACE", lambda each: each["namespace"]),
    Column("ENGINE", lambda each: each["engine"]),
    Column("FROM", lambda each: each["root"]),
    Column("LAYERS", lambda each: " ".join(each["layers"])),
    Column("MESSAGE", lambda each: each["message"]),
)


def targets(
    path: Path = Path(),
    /,
    *,
    asked: Asked | None = None,
    every: Annotated[bool, Parameter(name="--all", negative="")] = False,
    output: Output = "table",
    header: bool = True,
) -> int:
    """Show which cluster gets which app, and of what it is made; with --app or --cluster also which does not, and why.

    Args:
        path: A checkout, a bare repository, or one app's folder.
        asked: What of it.
        every: Show of all apps which cluster does not get them, and why.
        output: How to print.
        header: Print the titles of the columns.
    """
    from services.cli.offline_fleet import plan_at

    wanted = asked or Asked()
    plan = plan_at(path, wanted)
    items = sorted(_rows(plan, wanted), key=lambda each: (each["cluster"], each["app"]))
    got = [each for each in items if each["state"] != "no"]
    chosen = items if every or wanted.app or wanted.cluster else got
    show(
        {"apiVersion": "towline.dev/v1", "kind": "TargetList", "items": chosen},
        _COLUMNS,
        output,
        noun="target",
        header=header,
    )
    if len(chosen) < len(items):
        say(f"{len(items) - len(chosen)} times a cluster does not get an app: --all, --app or --cluster say why")
    errors = [each for each in plan.findings if each.severity == "error"]
    for told in once(errors):
        say(line_of(told))
    return 1 if errors or any(each["state"] == "failed" for each in items) else 0


def _rows(plan: Plan, asked: Asked) -> Iterator[dict[str, Any]]:
    found = {(each.cluster, each.app): each for each in plan.targets}
    clusters = [each for each in plan.clusters if asked.cluster in {"", each.name}]
    for app in plan.fleet.apps:
        if asked.app in {"", app.name}:
            for cluster in clusters:
                yield _row(plan, app, cluster, found.get((cluster.name, app.name)))
    for name in plan.fleet.unreadable_apps:
        if asked.app in {"", name}:
            text = "its files cannot be read, so it stays as it is"
            yield from (_item(each.name, name, "failed", message=text) for each in clusters)


def _row(plan: Plan, app: App, cluster: Cluster, target: Target | None) -> dict[str, Any]:
    from services.renderer.reasons import absent_layers, why_not

    if target is None:
        return _item(cluster.name, app.name, "no", message=why_not(plan.fleet, app, cluster))
    inputs = target.inputs
    if inputs is None:
        text = "; ".join(each.message for each in target.findings)
        return _item(cluster.name, app.name, "failed", message=text)
    return _item(
        cluster.name,
        app.name,
        "yes",
        message="; ".join(absent_layers(app, inputs, cluster)),
        namespace=inputs.namespace,
        engine=inputs.engine,
        root=inputs.root or inputs.path or ".",
        layers=list(inputs.layers),
    )


def _item(cluster: str, app: str, state: str, *, message: str = "", **more: Any) -> dict[str, Any]:
    made = {"namespace": "", "engine": "", "root": "", "layers": [], **more}
    return {"cluster": cluster, "app": app, "state": state, **made, "message": message}
