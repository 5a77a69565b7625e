"""Render a chart with Helm's own library; runs in the confined child.

The chart goes in as an archive made of git's files, because loading a folder follows links out of it, and is loaded afresh
for each render, because a render changes what it loaded [both measured].
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from services.renderer.engines import charts, dependencies, determinism, schemas, tools
from services.renderer.engines.hooks import with_hook
from services.renderer.engines.jobs import Job
from services.renderer.engines.kubeversion import satisfies
from services.renderer.finish import Piece
from shared.core.canonical import decode, encode
from shared.core.kubeyaml import Document, documents
from shared.errors import Finding, FindingsError

tools.need("helm")

from helm_python import Chart, HelmError, _native  # noqa: E402  # an extra, see above

_PLACE = re.compile(r"([\w./@+-]+/[\w./@+-]+\.\w+):(\d+)(?::(\d+))?")
# `now` counts in seconds.
_A_SECOND_LATER_S = 1.05
# Of a small map Go gives the same order mostly, not always.
_RENDERS_FOR_ORDER = 16
_INLINE = "values of the app"


@dataclass(frozen=True)
class _Release:
    """One chart with its values, as it is rendered."""

    job: Job
    parameters: Mapping[str, Any]
    layers: list[Document]
    values: Mapping[str, Any]
    archive: bytes
    files: Mapping[str, bytes]
    """Of the chart, charts within it unpacked."""

    @property
    def chart_file(self) -> str:
        """What errors about the whole chart name."""
        return charts.chart_file(self.job)


def pieces(job: Job, folder: Path) -> tuple[list[Piece], list[Finding]]:
    """Return the objects of the chart at `root` with the values of `layers`, its CRDs, and warnings.

    Raises:
        FindingsError: the chart or its values are wrong, Helm refuses them, or each render gives something else.
    """
    del folder
    parameters = decode(job.parameters.encode()) if job.parameters else {}
    layers = charts.layered(job)
    values = charts.merged_values(layers, parameters.get("values") or {})
    members = charts.members(job)
    release = _Release(job, parameters, layers, values, charts.archive(job, members), charts.unpacked(job, members))
    findings = dependencies.problems(release.files, release.chart_file)
    if any(each.severity == "error" for each in findings):
        raise FindingsError(findings)
    found = _rendered(release)
    if not parameters.get("allowNondeterministic"):
        _refuse_what_differs(release, found)
    return found, findings


def _rendered(release: _Release) -> list[Piece]:
    job, parameters = release.job, release.parameters
    options = {
        "name": parameters.get("release") or job.app,
        "namespace": job.namespace,
        "revision": 1,
        "is_install": True,
        "enable_dns": False,
    }
    if parameters.get("kubeVersion"):
        options["kube_version"] = parameters["kubeVersion"]
    if parameters.get("apiVersions"):
        options["api_versions"] = parameters["apiVersions"]
    name = ""
    try:
        with Chart.load_archive(release.archive) as chart:
            name = chart.name
            _check(chart, release)
            # The library's own `render` hides versions and DNS; the function under it takes them.
            answer = _native.call_string(
                "helm_render",
                chart._raw(),  # noqa: SLF001
                json.dumps(release.values),
                json.dumps(options),
            )
            # Only now does the chart lack the charts in it that are switched off, with their definitions.
            crds = [(f"{name}/{each['filename']}", each["data"]) for each in chart.crds]
    except HelmError as error:
        wrong = schemas.violations(str(error), name, release.layers, parameters.get("values") or {})
        raise FindingsError(wrong or [_finding(str(error), job, release.chart_file)]) from error
    texts = [*crds, *sorted(json.loads(answer).items())]
    found = [piece for path, text in texts if _is_manifest(path, text) for piece in _objects(job, path, text)]
    return [kept for piece in found if (kept := with_hook(piece)) is not None]


def _check(chart: Chart, release: _Release) -> None:
    """Check what Helm's own render leaves out: the version of Kubernetes, the type of the chart."""
    metadata = chart.metadata
    constraint = metadata.get("kubeVersion") or ""
    known = release.parameters.get("kubeVersion") or ""
    findings = []
    if constraint and not satisfies(known or _kubernetes_of_helm(), constraint):
        told = f"the cluster has {known}" if known else f"Helm takes {_kubernetes_of_helm()} where nobody says another"
        text = f"the chart wants Kubernetes {constraint}, {told}"
        hint = (
            "use another version of the chart"
            if known
            else "say which one the clusters have: `kubeVersion` beside their names"
        )
        findings.append(Finding("render.helm-kube-version", text, release.chart_file, hint=hint))
    if metadata.get("type") == "library":
        findings.append(Finding("render.helm", "a library chart cannot be rendered by itself", release.chart_file))
    if findings:
        raise FindingsError(findings)


@cache
def _kubernetes_of_helm() -> str:
    """Return the version of Kubernetes for which the library renders by itself."""
    text = "{{ .Capabilities.KubeVersion.Version }}"
    files = {"Chart.yaml": b"apiVersion: v2\nname: v\nversion: 0.1.0\n", "templates/v": text.encode()}
    with Chart.load_archive(charts.packed(files)) as chart:
        found: str = chart.render()["v/templates/v"]
    return found


def _is_manifest(path: str, text: str) -> bool:
    return bool(text.strip()) and path.rpartition("/")[2] != "NOTES.txt" and not path.rpartition("/")[2].startswith("_")


def _objects(job: Job, path: str, text: str) -> list[Piece]:
    file = _file(path, job)
    try:
        return [Piece(each.value, file) for each in documents(text.encode(), file) if isinstance(each.value, dict)]
    except FindingsError as error:
        raise FindingsError([_in_output(each) for each in error.findings]) from error


def _in_output(finding: Finding) -> Finding:
    """Return a finding about rendered text: its lines are not those of the template."""
    line = f", line {finding.line}" if finding.line else ""
    text = f"what the template gives is wrong: {finding.message} (in its output{line})"
    return Finding("render.helm-output", text, finding.file, hint=finding.hint)


def _refuse_what_differs(release: _Release, found: list[Piece]) -> None:
    """Refuse a chart that gives something else at each render: its objects would change with every commit."""
    sources = {**release.files, _INLINE: encode(dict(release.values))}
    kinds = {use.kind for use in determinism.uses(sources)}
    if not kinds:
        return
    if "time" in kinds:
        time.sleep(_A_SECOND_LATER_S)
    ends = time.monotonic() + _A_SECOND_LATER_S
    for _ in range(_RENDERS_FOR_ORDER if "order" in kinds else 1):
        changed = _changed(found, _rendered(release))
        if changed is not None:
            raise FindingsError([_differs(release, changed, sources)])
        if time.monotonic() > ends:
            return


def _changed(before: list[Piece], after: list[Piece]) -> list[str] | None:
    """Return the files whose objects differ; None if nothing does."""
    changed = sorted({a.file for a, b in zip(before, after, strict=False) if a.manifest != b.manifest})
    return changed if changed or len(before) != len(after) else None


def _differs(release: _Release, changed: list[str], sources: Mapping[str, bytes]) -> Finding:
    job = release.job
    prefix = "" if job.root in job.files else f"{job.root}/".lstrip("/")
    found = determinism.culprits([path.removeprefix(prefix) for path in changed], sources)
    named = {use.function: f"{use.function} ({use.file}:{use.line})" for use in reversed(found)}
    text = f"{', '.join(changed) or 'the chart'} gives something else at each render, because of {', '.join(sorted(named.values()))}"
    hint = "give the chart the value in question, or say `allowNondeterministic: true` under helm in app.yaml"
    file = (changed or [release.chart_file])[0]
    line = next((use.line for use in found if prefix + use.file == file), 0)
    return Finding("render.nondeterministic", text, file, line, hint=hint)


def _finding(words: str, job: Job, chart_file: str) -> Finding:
    place = _PLACE.search(words)
    file = _file(place[1], job) if place else ""
    if place is None or file == chart_file:
        return Finding("render.helm", f"helm: {_tidy(words)}", chart_file)
    line, column = int(place[2]), int(place[3] or -1) + 1
    return Finding("render.helm", f"helm: {_tidy(words)}", file, line, column)


def _file(path: str, job: Job) -> str:
    """Return the file of the repository for Helm's `chart/templates/x.yaml`; in an archive: the archive."""
    inner = f"{job.root}/{path.partition('/')[2]}".lstrip("/")
    return inner if inner in job.files else charts.chart_file(job)


def _tidy(words: str) -> str:
    return " ".join(words.split())[:600]
