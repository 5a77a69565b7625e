"""Read what Helm says about values that a chart's schema forbids, and find where each of them was written."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from shared.core.kubeyaml import Document
from shared.errors import Finding

_HEAD = "values don't meet the specifications of the schema"
_CHART = re.compile(r"([\w.-]+):")
_VIOLATION = re.compile(r"\s*- at '(.*?)': (.*)")
_INNER = re.compile(r"^\s+- at ")
_MOST = 50


def violations(words: str, chart: str, layers: Sequence[Document], inline: Mapping[str, Any]) -> list[Finding]:
    """Return a finding for each value that is wrong; none where Helm speaks about something else.

    `chart` is the name of the chart itself, `layers` its documents of values, the last of which counts most, and `inline`
    what the app's own file says beyond them.
    """
    if _HEAD not in words:
        return []
    return [_finding(*each, layers, inline) for each in _parsed(words, chart)][:_MOST]


def _parsed(words: str, chart: str) -> Iterator[tuple[str, tuple[str, ...], str]]:
    """Yield for each violation the chart whose schema it is, where the value is, and what is wrong."""
    owner = chart
    lines = words.splitlines()
    for index, line in enumerate(lines):
        if head := _CHART.fullmatch(line):
            owner = head[1]
        found = _VIOLATION.fullmatch(line)
        # What has details is said by them.
        detailed = (
            index + 1 < len(lines) and _indent(lines[index + 1]) > _indent(line) and _INNER.match(lines[index + 1])
        )
        if found and not detailed:
            steps = tuple(step.replace("~1", "/").replace("~0", "~") for step in found[1].split("/")[1:])
            yield owner, steps if owner == chart else (owner, *steps), found[2]


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _finding(
    owner: str, steps: tuple[str, ...], what: str, layers: Sequence[Document], inline: Mapping[str, Any]
) -> Finding:
    name = ".".join(steps) or "(top level)"
    text = f"the chart {owner} does not take the value {name}: {what}"
    hint = "see the chart's values.schema.json"
    if _holds(inline, steps):
        return Finding("render.values-schema", f"{text} (it stands under helm.values of the app)", hint=hint)
    for document in reversed(layers):
        if path := _holds(document.value, steps):
            return document.finding("render.values-schema", text, path, hint=hint)
    return Finding("render.values-schema", text, hint=hint)


def _holds(value: Any, steps: Sequence[str]) -> tuple[str | int, ...] | None:
    """Return `steps` as a path of `value` if it leads somewhere below its top; else None."""
    path: list[str | int] = []
    for step in steps:
        key: str | int = int(step) if isinstance(value, list) and step.isdigit() else step
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError):
            return None
        path.append(key)
    return tuple(path) or None
