"""`towline render`, `validate` and `targets`: what git would do, without hub, cluster or network.

What reads fleets and makes objects is loaded when a command runs: half a second that help does not need.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from services.cli.offline_findings import Reported, line_of, once, report
from services.cli.output import say
from shared.errors import Finding

if TYPE_CHECKING:
    from services.cli.offline_render import Made
    from services.renderer.targets import Plan

Rendered = Literal["yaml", "json", "dir"]
Unsandboxed = Annotated[
    bool, Parameter(name="--allow-unsandboxed", negative="", help="Run engines even where they cannot be confined.")
]


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Asked:
    """What to look at."""

    app: Annotated[str, Parameter(name=["--app", "-a"], help="Only this app.")] = ""
    cluster: Annotated[str, Parameter(name=["--cluster", "-c"], help="Only this cluster.")] = ""
    rev: Annotated[str, Parameter(help="A branch, tag or commit of the repository, instead of its files.")] = ""
    source: Annotated[
        tuple[str, ...],
        Parameter(name="--source", help="NAME=PATH: where a repository is that apps name.", negative=""),
    ] = ()


def render(
    path: Path = Path(),
    /,
    *,
    asked: Asked | None = None,
    output: Annotated[Rendered, Parameter(name=["--output", "-o"], help="Form of the objects.")] = "yaml",
    out: Annotated[Path, Parameter(help="With -o dir: the folder to write to.")] = Path("rendered"),
    unsandboxed: Unsandboxed = False,
) -> int:
    """Print the objects that each cluster would get.

    Args:
        path: A checkout, a bare repository, or one app's folder.
        asked: What of it.
        output: How to print.
        out: Where to write.
        unsandboxed: Whether engines may run unconfined.
    """
    from services.cli.offline_fleet import plan_at
    from services.cli.offline_render import made

    plan = plan_at(path, asked or Asked())
    targets = made(plan.targets, unsandboxed=unsandboxed)
    findings = _findings(plan, targets, asked or Asked())
    errors = [each for each in findings if each.severity == "error"]
    good = [each for each in targets if each.digest]
    if output == "json":
        warnings = [each for each in findings if each.severity != "error"]
        print(json.dumps(_listing(good, errors, warnings), ensure_ascii=False, indent=1))
    elif output == "dir":
        _write(good, out)
    else:
        for target in good:
            print(f"# {target.cluster}/{target.app}")
            print(_text(target), end="")
    if output != "json":
        for told in once(findings):
            say(line_of(told))
    return 1 if errors else 0


def validate(
    path: Path = Path(),
    /,
    *,
    asked: Asked | None = None,
    output: Annotated[Reported, Parameter(name=["--output", "-o"], help="Form of the findings.")] = "text",
    unsandboxed: Unsandboxed = False,
) -> int:
    """Name everything that is wrong with a fleet, at once, with file, line and column.

    Args:
        path: A checkout, a bare repository, or one app's folder.
        asked: What of it.
        output: How to print.
        unsandboxed: Whether engines may run unconfined.
    """
    from services.cli.offline_checks import cluster_findings, not_checked
    from services.cli.offline_fleet import plan_at
    from services.cli.offline_render import made
    from services.renderer.validate import fleet_findings

    plan = plan_at(path, asked or Asked())
    results = made(plan.targets, unsandboxed=unsandboxed)
    found = [*_findings(plan, results, asked or Asked()), *fleet_findings(plan), *cluster_findings(plan, results)]
    # A render goes on without what API servers refuse; whoever asks before shall not overlook it.
    findings = [
        replace(each, severity="error") if each.code.startswith("schema.") and each.severity == "warning" else each
        for each in found
    ]
    report(once([*findings, *not_checked()]), output, path)
    return 1 if any(each.severity == "error" for each in findings) else 0


def _findings(plan: Plan, targets: Sequence[Made], asked: Asked) -> list[Finding]:
    """Return the findings about what was asked for."""
    everywhere = (each for each in plan.findings if asked.app in {"", each.app} or not each.app)
    return [*everywhere, *(finding for target in targets for finding in target.findings)]


def _listing(good: Sequence[Made], errors: Sequence[Finding], warnings: Sequence[Finding]) -> Mapping[str, Any]:
    return {
        "apiVersion": "towline.dev/v1",
        "kind": "Rendering",
        "targets": [
            {"cluster": each.cluster, "app": each.app, "digest": each.digest, "objects": list(each.objects)}
            for each in good
        ],
        "errors": [each.as_dict() for each in errors],
        "warnings": [each.as_dict() for each in warnings],
    }


def _write(good: Sequence[Made], folder: Path) -> None:
    for target in good:
        file = folder / target.cluster / f"{target.app}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(_text(target))
    say(f"{len(good)} targets written to {folder}")


def _text(target: Made) -> str:
    from services.cli.offline_yaml import manifest_text

    return "".join(f"---\n{manifest_text(each)}" for each in target.objects)
