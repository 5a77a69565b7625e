"""Print findings: for people, for programs, for code scanning, and as marks on a pull request.

One that was found on many clusters is told once, with their names.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from services.cli.output import painted, plain, say
from shared.errors import Finding

Reported = Literal["text", "json", "sarif", "github"]
_SARIF = "https://json.schemastore.org/sarif-2.1.0.json"
_SEVERITIES = ("error", "warning", "note")
_COLOURS = {"error": "red", "warning": "yellow", "note": "blue"}
# SARIF has the same words; GitHub calls a note a notice.
_MARKS = {"error": "error", "warning": "warning", "note": "notice"}
_CODES = Path(__file__).parent.parent / "ERRORS.md"
_ROW = re.compile(r"^\| `([a-z0-9.-]+)` \| (.+) \| (.+) \|$", re.MULTILINE)
_NAMED = 3


@dataclass(frozen=True, slots=True)
class Told:
    """A finding, and all clusters that it is about."""

    finding: Finding
    clusters: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the shape that commands promise."""
        return {**self.finding.as_dict(), "clusters": list(self.clusters)}


def once(findings: Iterable[Finding]) -> list[Told]:
    """Return each finding once, however many clusters it was found on, sorted by place."""
    seen: dict[Finding, tuple[Finding, set[str]]] = {}
    for each in findings:
        # What is wrong in a file is wrong there, whichever app reads it.
        alike = replace(each, cluster="", app="" if each.line else each.app)
        seen.setdefault(alike, (each, set()))[1].update({each.cluster} - {""})
    told = [Told(first, tuple(sorted(clusters))) for first, clusters in seen.values()]
    return sorted(told, key=lambda each: _order(each.finding))


def report(told: Sequence[Told], form: Reported, root: Path) -> None:
    """Print what was found in the files at `root` in the wanted form."""
    if form == "json":
        print(json.dumps(_listing(told), indent=1, ensure_ascii=False))
    elif form == "sarif":
        print(json.dumps(_sarif(told, _above(root)), indent=1, ensure_ascii=False))
    elif form == "github":
        for each in told:
            print(_annotation(each, _above(root)))
    else:
        for each in told:
            print(line_of(each, coloured=True))
        say(_count(told))


def line_of(told: Told, *, coloured: bool = False) -> str:
    """Return `file:line:column: error code: message (hint)`, leaving out what is unknown, as compilers write it."""
    finding = told.finding
    place = ":".join([finding.file, *(str(each) for each in (finding.line, finding.column) if each)])
    severity = painted(finding.severity, _COLOURS[finding.severity]) if coloured else finding.severity
    where = f"{plain(place)}: " if finding.file else f"{finding.app}: " if finding.app else ""
    return f"{where}{severity} {finding.code}: {plain(_words(finding))}{_whom(told)}"


def _whom(told: Told) -> str:
    """Return which app and clusters it is about, where the place does not say so."""
    names = told.clusters
    few = ", ".join(names) if len(names) <= _NAMED else f"{len(names)} clusters"
    app = told.finding.app if told.finding.file else ""
    return f" [{' '.join(each for each in (app, f'on {few}' if few else '') if each)}]" if app or few else ""


def _order(finding: Finding) -> tuple[Any, ...]:
    return (
        finding.file,
        finding.line,
        finding.column,
        _SEVERITIES.index(finding.severity),
        finding.code,
        finding.message,
    )


def _count(told: Sequence[Told]) -> str:
    counts = {kind: sum(each.finding.severity == kind for each in told) for kind in _SEVERITIES}
    if not told:
        return "no findings"
    return ", ".join(f"{count} {kind}{'' if count == 1 else 's'}" for kind, count in counts.items() if count)


def _listing(told: Sequence[Told]) -> Mapping[str, Any]:
    by_severity = {
        f"{kind}s": [each.as_dict() for each in told if each.finding.severity == kind] for kind in _SEVERITIES
    }
    return {"apiVersion": "towline.dev/v1", "kind": "FindingList", **by_severity}


def _above(root: Path) -> str:
    """Return where a folder stands in its repository: code scanning and pull requests name files from there."""
    path = root.resolve()
    home = next((each for each in (path, *path.parents) if (each / ".git").exists()), path)
    below = path.relative_to(home).as_posix()
    return "" if below == "." else f"{below}/"


def _sarif(told: Sequence[Told], above: str) -> dict[str, Any]:
    codes = sorted({each.finding.code for each in told})
    known = {code: (meaning, step) for code, meaning, step in _ROW.findall(_CODES.read_text())}
    rules = [_rule(code, *known.get(code, ("", ""))) for code in codes]
    driver = {"name": "towline", "semanticVersion": _version(), "rules": rules}
    results = [_result(each, codes, above) for each in told]
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return {"$schema": _SARIF, "version": "2.1.0", "runs": [run]}


def _rule(code: str, meaning: str, step: str) -> dict[str, Any]:
    described = {"shortDescription": {"text": meaning}, "help": {"text": step}} if meaning else {}
    return {"id": code, **described}


def _result(told: Told, codes: Sequence[str], above: str) -> dict[str, Any]:
    finding = told.finding
    return {
        "ruleId": finding.code,
        "ruleIndex": codes.index(finding.code),
        "level": finding.severity,
        "message": {"text": _words(finding)},
        "locations": [
            {
                "physicalLocation": {
                    # Without a file it is about the fleet as a whole; code scanning shows nothing without a place.
                    "artifactLocation": {"uri": quote(f"{above}{finding.file or 'fleet.yaml'}")},
                    "region": {"startLine": max(1, finding.line), "startColumn": max(1, finding.column)},
                }
            }
        ],
        "properties": {"app": finding.app, "clusters": list(told.clusters)},
    }


def _version() -> str:
    from importlib.metadata import version

    return version("towline")


def _annotation(told: Told, above: str) -> str:
    finding = told.finding
    place: dict[str, str | int] = {
        "file": f"{above}{finding.file}" if finding.file else "",
        "line": finding.line,
        "col": finding.column,
        "title": finding.code,
    }
    properties = ",".join(f"{name}={_property(value)}" for name, value in place.items() if value)
    return f"::{_MARKS[finding.severity]} {properties}::{_escaped(_words(finding) + _whom(told))}"


def _words(finding: Finding) -> str:
    return f"{finding.message} ({finding.hint})" if finding.hint else finding.message


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(value: str | int) -> str:
    return _escaped(str(value)).replace(":", "%3A").replace(",", "%2C")
