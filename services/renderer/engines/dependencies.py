"""Decide whether a chart has the charts that it declares to depend on.

Helm renders without those that are absent, and what they would have made is then deleted in clusters.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping
from typing import Any

from services.renderer.engines.kubeversion import satisfies
from shared.core.kubeyaml import documents
from shared.errors import Finding, FindingsError

_CHART_FILE = re.compile(r"((?:charts/[^/]+/)*)Chart\.yaml")


def problems(files: Mapping[str, bytes], file: str) -> list[Finding]:
    """Return what is wrong with the dependencies of a chart, at any depth; `file` is what findings name.

    `files` are those of the chart, charts within it unpacked.
    """
    charts = {match[1]: _mapping(files[path], path) for path in files if (match := _CHART_FILE.fullmatch(path))}
    return [finding for folder in sorted(charts) for finding in _problems_of(folder, charts, files, file)]


def _problems_of(
    folder: str, charts: Mapping[str, Mapping[str, Any]], files: Mapping[str, bytes], file: str
) -> list[Finding]:
    present = {
        str(chart.get("name")): str(chart.get("version"))
        for inner, chart in charts.items()
        if inner
        and posixpath.dirname(posixpath.dirname(inner.rstrip("/"))) == folder.rstrip("/")
        # Helm leaves these out.
        and not posixpath.basename(inner.rstrip("/")).startswith(("_", "."))
    }
    chart = charts[folder]
    declared = _declared(chart, files, folder)
    who = f"the chart {chart.get('name')}" if folder else "the chart"
    lacking = [each for each in declared if each.get("name") not in present]
    found = []
    if lacking:
        named = ", ".join(_shown(each) for each in lacking)
        text = f"{who} depends on {named}, which its charts/ folder does not hold, and engines have no network"
        hint = "run `helm dependency build` and commit charts/, or name the packed chart with repo, chart and version"
        found.append(Finding("render.helm-dependency", text, file, hint=hint))
    for each in declared:
        have, wanted = present.get(str(each.get("name"))), each.get("version")
        if have is not None and isinstance(wanted, str) and not satisfies(have, wanted):
            text = f"{who} depends on {_shown(each)}, and its charts/ folder holds version {have}: Helm ignores what is declared"
            hint = "run `helm dependency build` and commit charts/"
            found.append(Finding("render.helm-dependency", text, file, hint=hint, severity="warning"))
    return found


def _declared(chart: Mapping[str, Any], files: Mapping[str, bytes], folder: str) -> list[Mapping[str, Any]]:
    """Return the dependencies that a chart declares; those of Helm 2 stand in a file of their own."""
    requirements = files.get(f"{folder}requirements.yaml")
    own = _mapping(requirements, f"{folder}requirements.yaml").get("dependencies") if requirements else None
    listed: Iterable[Any] = chart.get("dependencies") or own or ()
    return [each for each in listed if isinstance(each, dict)]


def _shown(dependency: Mapping[str, Any]) -> str:
    repository = dependency.get("repository")
    place = f" from {repository}" if repository else ""
    return f"{dependency.get('name')} {dependency.get('version') or ''}".rstrip() + place


def _mapping(text: bytes, path: str) -> Mapping[str, Any]:
    """Return what a file says; nothing where it cannot be read, for Helm says that better."""
    try:
        found = documents(text, path)
    except FindingsError:
        return {}
    return found[0].value if found and isinstance(found[0].value, dict) else {}
