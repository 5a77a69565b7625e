"""`towline diff`: what would change, by a change in git, or by an apply in a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from services.cli.hubs import CommandError, Where
from services.cli.offline import Asked, Unsandboxed

if TYPE_CHECKING:
    from services.cli.output import Format

Form = Annotated[
    Literal["table", "wide", "json", "yaml", "name", "markdown"],
    Parameter(name=["--output", "-o"], help="How to print: for people, for programs, or for a pull request."),
]


def diff(
    place: str = "",
    /,
    *,
    live: Annotated[bool, Parameter(negative="")] = False,
    base: str = "main",
    asked: Asked | None = None,
    output: Form = "table",
    unsandboxed: Unsandboxed = False,
    where: Where | None = None,
) -> int:
    """Show what would change; exit 0 when nothing does, 1 when something does, 2 when that cannot be said.

    Args:
        place: A checkout, a bare repository, or one app's folder. With --live: APP@CLUSTER.
        live: Compare an app's release with what is in the cluster, as its agent sees it; secrets are masked there.
        base: Compare with what was there when the present state left this branch, tag or commit.
        asked: What of the fleet.
        output: How to print.
        unsandboxed: Whether engines may run unconfined.
        where: Which hub, with --live.
    """
    if live:
        from services.cli.objects import diff_live

        return diff_live(place, _of_live(output), where)
    from services.cli.offline_diff import diff_from

    if output == "name":
        raise CommandError("names are printed of live objects only", code="cli.choice", hint="use -o json")
    return diff_from(base, Path(place), asked or Asked(), output, unsandboxed=unsandboxed)


def _of_live(output: str) -> Format:
    forms: dict[str, Format] = {"table": "table", "wide": "wide", "json": "json", "yaml": "yaml", "name": "name"}
    if output not in forms:
        raise CommandError(
            "a cluster's state is not printed as Markdown", code="cli.choice", hint="use --base for a pull request"
        )
    return forms[output]
