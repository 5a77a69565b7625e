"""Print findings: for people, for programs, for code scanning, and as marks on a pull request."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Literal

from services.cli.output import plain, say
from shared.errors import Finding

Reported = Literal["text", "json", "sarif", "github"]
_SARIF = "https://json.schemastore.org/sarif-2.1.0.json"


def report(findings: Sequence[Finding], form: Reported) -> None:
    """Print `findings` in the wanted form."""
    if form == "json":
        errors = [each.as_dict() for each in findings if each.severity == "error"]
        warnings = [each.as_dict() for each in findings if each.severity != "error"]
        print(json.dumps({"errors": errors, "warnings": warnings}, indent=1, ensure_ascii=False))
    elif form == "sarif":
        print(json.dumps(_sarif(findings), indent=1, ensure_ascii=False))
    elif form == "github":
        for each in findings:
            print(_annotation(each))
    else:
        for each in findings:
            print(plain(f"{each.severity}: {each}"))
        wrong = sum(each.severity == "error" for each in findings)
        say(f"{wrong} errors, {len(findings) - wrong} warnings" if findings else "no findings")


def _sarif(findings: Sequence[Finding]) -> dict[str, Any]:
    rules = [{"id": code} for code in sorted({each.code for each in findings})]
    results = [
        {
            "ruleId": each.code,
            "level": "error" if each.severity == "error" else "warning",
            "message": {"text": _words(each)},
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": {"uri": each.file or "."},
                        "region": {"startLine": max(1, each.line), "startColumn": max(1, each.column)},
                    }
                }
            ],
        }
        for each in findings
    ]
    driver = {"name": "towline", "rules": rules}
    return {"$schema": _SARIF, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}


def _annotation(finding: Finding) -> str:
    kind = "error" if finding.severity == "error" else "warning"
    place: dict[str, str | int] = {
        "file": finding.file,
        "line": finding.line,
        "col": finding.column,
        "title": finding.code,
    }
    properties = ",".join(f"{name}={_property(value)}" for name, value in place.items() if value)
    return f"::{kind} {properties}::{_escaped(_words(finding))}"


def _words(finding: Finding) -> str:
    return f"{finding.message} ({finding.hint})" if finding.hint else finding.message


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(value: str | int) -> str:
    return _escaped(str(value)).replace(":", "%3A").replace(",", "%2C")
