"""Make what Helm takes of what git has: the chart's archive, and values merged from their layers."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from services.renderer.engines.jobs import Job
from shared.core.kubeyaml import documents
from shared.errors import Finding, FindingsError

_ARCHIVES = (".tgz", ".tar.gz")
# Of an archive: Helm takes no more either.
_UNPACKED_BYTES = 100 << 20


def chart_file(job: Job) -> str:
    """Return the file that errors about the whole chart name."""
    return job.root if job.root in job.files else f"{job.root}/Chart.yaml".lstrip("/")


def archive(job: Job) -> bytes:
    """Return the chart as Helm packs it.

    Raises:
        FindingsError: there is no chart.
    """
    if job.root.endswith(_ARCHIVES) and job.root in job.files:
        return job.files[job.root]
    prefix = f"{job.root}/" if job.root else ""
    members = {path.removeprefix(prefix): data for path, data in job.files.items() if path.startswith(prefix)}
    if "Chart.yaml" not in members:
        text = f"there is no chart in {job.root or '/'}: it has no Chart.yaml"
        raise FindingsError([Finding("render.no-chart", text, job.root)])
    ignored = _patterns(members.get(".helmignore", b""))
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=1) as target:
        for path, content in members.items():
            if not _is_ignored(path, ignored):
                entry = tarfile.TarInfo(f"chart/{path}")
                entry.size = len(content)
                target.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def templates(packed: bytes) -> Iterator[bytes]:
    """Yield the text of each template, those of charts within the chart too."""
    with gzip.open(io.BytesIO(packed)) as content, tarfile.open(fileobj=content, mode="r|") as source:
        taken = 0
        for entry in source:
            file = source.extractfile(entry) if entry.isreg() else None
            taken += entry.size
            if file is None or taken > _UNPACKED_BYTES:
                continue
            if entry.name.endswith(_ARCHIVES):
                yield from templates(file.read())
            elif "/templates/" in entry.name and "/templates/tests/" not in entry.name:
                yield file.read()


def merged_values(job: Job, inline: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of the layers in order, then those written in the app itself; later wins.

    Raises:
        FindingsError: a file is no YAML, or no mapping.
    """
    merged: dict[str, Any] = {}
    findings: list[Finding] = []
    for path in job.layers:
        try:
            found = documents(job.files[path], path)
        except FindingsError as error:
            findings += error.findings
            continue
        for document in found:
            if isinstance(document.value, dict):
                merged = _merged(merged, document.value)
            else:
                findings.append(document.finding("render.values", "a values file holds one mapping"))
    if findings:
        raise FindingsError(findings)
    return _merged(merged, inline)


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return both, `above` winning. A null stays: it tells Helm to forget the chart's own default."""
    merged = dict(below)
    for key, value in above.items():
        known = merged.get(key)
        merged[key] = _merged(known, value) if isinstance(known, dict) and isinstance(value, dict) else value
    return merged


def _patterns(text: bytes) -> list[str]:
    lines = (line.strip() for line in text.decode(errors="replace").splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _is_ignored(path: str, patterns: list[str]) -> bool:
    """Tell whether `.helmignore` leaves a file out: by its name, its folders' names, or its path from the root."""
    if path in {"Chart.yaml", ".helmignore"}:
        return False
    parts = path.split("/")
    names = [("/".join(parts[: index + 1]), index + 1 < len(parts)) for index in range(len(parts))]
    ignored = False
    for pattern in patterns:
        negated, wanted = pattern.startswith("!"), pattern.removeprefix("!")
        folders_only, wanted = wanted.endswith("/"), wanted.rstrip("/")
        hit = any(_fits(name, wanted) for name, is_folder in names if is_folder or not folders_only)
        ignored = not negated if hit else ignored
    return ignored


def _fits(path: str, pattern: str) -> bool:
    if "/" in pattern:
        pattern = pattern.removeprefix("/")
        return path.count("/") == pattern.count("/") and fnmatchcase(path, pattern)
    return fnmatchcase(path.rpartition("/")[2], pattern)
