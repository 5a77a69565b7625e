"""Render a chart with Helm's own library; runs in the confined child.

The chart goes in as an archive made of git's files, because loading a folder follows links out of it, and is loaded afresh
for each render, because a render changes what it loaded [both measured].
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from services.renderer.engines import charts, tools
from services.renderer.engines.hooks import with_hook
from services.renderer.engines.jobs import Job
from services.renderer.engines.kubeversion import satisfies
from services.renderer.finish import Piece
from shared.core.canonical import decode
from shared.core.kubeyaml import documents
from shared.errors import Finding, FindingsError

tools.need("helm")

from helm_python import Chart, HelmError, _native  # noqa: E402  # an extra, see above

# Template functions whose result differs from render to render.
_RANDOM = re.compile(
    rb"\b(rand(Alpha|AlphaNum|Numeric|Ascii|Bytes|Int)|shuffle|uuidv4|gen(CA|CAWithKey|Cert|PrivateKey|SelfSigned\w*|Signed\w*)"
    rb"|htpasswd|bcrypt|derivePassword|encryptAES|now|ago)\b",
)
_PLACE = re.compile(r"([\w./@+-]+/[\w./@+-]+\.\w+):(\d+)(?::(\d+))?")
# `now` counts in seconds.
_A_SECOND_LATER_S = 1.05


def pieces(job: Job, folder: Path) -> tuple[list[Piece], list[Finding]]:
    """Return the objects of the chart at `root` with the values of `layers`, its CRDs first.

    Raises:
        FindingsError: the chart or its values are wrong, Helm refuses them, or each render gives something else.
    """
    del folder
    parameters = decode(job.parameters.encode()) if job.parameters else {}
    values = charts.merged_values(job, parameters.get("values") or {})
    archive = charts.archive(job)
    found = _rendered(job, archive, values, parameters)
    if not parameters.get("allowNondeterministic") and any(_RANDOM.search(text) for text in charts.templates(archive)):
        _same_again(job, found, archive, values, parameters)
    return found, []


def _rendered(job: Job, archive: bytes, values: Mapping[str, Any], parameters: Mapping[str, Any]) -> list[Piece]:
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
    chart_file = charts.chart_file(job)
    try:
        with Chart.load_archive(archive) as chart:
            name = chart.name
            _check(chart, chart_file, parameters.get("kubeVersion") or "")
            crds = [(f"{name}/{each['filename']}", each["data"]) for each in chart.crds]
            # The library's own `render` hides versions and DNS; the function under it takes them.
            answer = _native.call_string("helm_render", chart._raw(), json.dumps(values), json.dumps(options))  # noqa: SLF001
    except HelmError as error:
        raise FindingsError([_finding(str(error), job, chart_file)]) from error
    texts = [*crds, *sorted(json.loads(answer).items())]
    found = [piece for path, text in texts if _is_manifest(path, text) for piece in _objects(job, path, text)]
    return [kept for piece in found if (kept := with_hook(piece)) is not None]


def _check(chart: Chart, chart_file: str, kube_version: str) -> None:
    """Check what Helm's own render leaves out: the versions of Kubernetes, dependencies, the type of the chart."""
    metadata = chart.metadata
    constraint = metadata.get("kubeVersion") or ""
    findings = []
    if constraint and kube_version and not satisfies(kube_version, constraint):
        text = f"the chart wants Kubernetes {constraint}, the cluster has {kube_version}"
        findings.append(Finding("render.helm-kube-version", text, chart_file, hint="use another version of the chart"))
    if metadata.get("type") == "library":
        findings.append(Finding("render.helm", "a library chart cannot be rendered by itself", chart_file))
    present = {each.get("name") for each in chart.dependencies}
    lacking = [each["name"] for each in metadata.get("dependencies") or [] if each.get("name") not in present]
    if lacking:
        text = (
            f"the chart's dependencies {', '.join(lacking)} are not in its charts/ folder, and engines have no network"
        )
        hint = "run `helm dependency build` and commit charts/"
        findings.append(Finding("render.helm-dependency", text, chart_file, hint=hint))
    if findings:
        raise FindingsError(findings)


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


def _same_again(
    job: Job, found: list[Piece], archive: bytes, values: Mapping[str, Any], parameters: Mapping[str, Any]
) -> None:
    """Refuse a chart that gives something else at each render: its objects would change with every commit."""
    time.sleep(_A_SECOND_LATER_S)
    again = _rendered(job, archive, values, parameters)
    changed = sorted({a.file for a, b in zip(found, again, strict=False) if a.manifest != b.manifest})
    if changed or len(found) != len(again):
        text = f"{', '.join(changed) or 'the chart'} gives something else at each render (random values or the time)"
        hint = "set the value in question, or allowNondeterministic: true"
        raise FindingsError([Finding("render.nondeterministic", text, (changed or [job.root])[0], hint=hint)])


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
