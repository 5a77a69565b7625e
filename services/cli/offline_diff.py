"""`towline diff --base`: what a change in git would change in each cluster, without hub, cluster or network.

Both states are planned, and only targets whose inputs differ are rendered.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from services.applier.fields import MISSING
from services.cli.hubs import CommandError
from services.cli.offline import Asked
from services.cli.offline_changes import changes, differing, settings
from services.cli.offline_findings import line_of, once
from services.cli.offline_fleet import check, narrowed, plan_of_tree, tree_of
from services.cli.offline_hunks import SIGNS, Difference, hunks, on, shown, summary
from services.cli.offline_markdown import markdown
from services.cli.offline_render import Made, made
from services.cli.output import painted, plain, say, yaml_text
from services.renderer.targets import Plan, Target
from shared.errors import Finding

_COLOURS = {"+": "green", "-": "red", "@": "cyan", "~": "yellow"}


def diff_from(base: str, path: Path, asked: Asked, output: str, *, unsandboxed: bool) -> int:
    """Print how `path` differs from what it was at `base`; return 0 for equal, 1 for different, 2 for not comparable.

    Raises:
        CommandError: there is nothing that can be read, or nothing that was asked for.
    """
    found = difference(base, path, asked, unsandboxed=unsandboxed)
    if output in {"json", "yaml"}:
        listing = _listing(found)
        print(json.dumps(listing, indent=1, ensure_ascii=False) if output == "json" else yaml_text(listing).rstrip())
    elif output == "markdown":
        print(markdown(found))
    else:
        for line in _lines(found, wide=output == "wide"):
            print(line)
    if output not in {"json", "yaml", "markdown"}:
        for told in found.findings:
            say(line_of(told))
        say(summary(found))
    if found.errors:
        return 2
    return 1 if found.changes or found.settings else 0


def difference(base: str, path: Path, asked: Asked, *, unsandboxed: bool = False) -> Difference:
    """Return how `path` differs from what it was at `base`.

    Raises:
        CommandError: there is nothing that can be read, or nothing that was asked for.
    """
    after = plan_of_tree(tree_of(path, asked.rev), path, asked)
    try:
        from shared.git.revision import base_of
    except ModuleNotFoundError as error:
        hint = "install it with: pip install 'towline[hub]'"
        raise CommandError(f"comparing with git needs {error.name}", code="cli.no-git", hint=hint) from error
    start = base_of(path, base, asked.rev or "HEAD")
    before = plan_of_tree(start.tree, path, asked) if start.tree else None
    check(asked, *([before] if before else []), after)
    pairs = differing(narrowed(before, asked) if before else None, narrowed(after, asked))
    results, findings = _rendered(pairs, unsandboxed=unsandboxed)
    problems = [*_new_findings(before, after), *findings]
    said = () if asked.cluster else settings(before.fleet if before else None, after.fleet)
    return Difference(
        base,
        start.commit,
        tuple(changes(results)),
        tuple(each for each in said if asked.app in {"", each.owner}),
        tuple(once(problems)),
    )


def _rendered(
    pairs: Sequence[tuple[Target | None, Target | None]], *, unsandboxed: bool
) -> tuple[list[tuple[Made | None, Made | None]], list[Finding]]:
    """Return the pairs whose state after is known, and what stands in the way of the others."""
    wanted = [target for pair in pairs for target in pair if target]
    outcomes = dict(zip(map(id, wanted), made(wanted, unsandboxed=unsandboxed), strict=True))
    known: list[tuple[Made | None, Made | None]] = []
    findings: list[Finding] = []
    for pair in pairs:
        before, after = (outcomes[id(each)] if each else None for each in pair)
        if after is not None:
            findings += after.findings
            if not after.digest:
                continue
        if before is not None and not before.digest:
            text = "it cannot be rendered at the base, so all its objects count as new"
            finding = Finding("diff.base-failed", text, cluster=before.cluster, app=before.app, severity="warning")
            findings.append(finding)
        known.append((before, after))
    return known, findings


def _new_findings(before: Plan | None, after: Plan) -> Iterator[Finding]:
    """Yield the errors of the state after, and warnings that the base did not have."""
    old = {(each.code, each.message, each.file) for each in before.findings} if before else set()
    for each in after.findings:
        if each.severity == "error" or (each.code, each.message, each.file) not in old:
            yield each


def _lines(found: Difference, *, wide: bool) -> Iterator[str]:
    place: tuple[str, tuple[str, ...]] | None = None
    for each in found.settings:
        yield plain(f"~ {each.owner or 'fleet'}: {each.path}: {shown(each.before)} -> {shown(each.after)}")
    for change in found.changes:
        if place != (change.app, change.clusters):
            place = (change.app, change.clusters)
            yield painted(f"{change.app} on {on(change.clusters, wide=wide)}", "bold")
        sign = SIGNS[change.kind]
        yield f"  {painted(f'{sign} {plain(change.key)}', _COLOURS[sign])}"
        for line in hunks(change):
            yield f"    {painted(plain(line), _COLOURS.get(line[:1], ''))}"


def _listing(found: Difference) -> dict[str, Any]:
    return {
        "apiVersion": "towline.dev/v1",
        "kind": "ChangeList",
        "base": {"rev": found.base, "commit": found.commit},
        "items": [
            {
                "app": each.app,
                "clusters": list(each.clusters),
                "object": str(each.key),
                "change": each.kind,
                "lines": hunks(each),
            }
            for each in found.changes
        ],
        "settings": [
            {
                "app": each.owner,
                "path": each.path,
                "before": None if each.before is MISSING else each.before,
                "after": None if each.after is MISSING else each.after,
            }
            for each in found.settings
        ],
        "errors": [each.as_dict() for each in found.errors],
        "warnings": [each.as_dict() for each in found.findings if each.finding.severity != "error"],
    }
