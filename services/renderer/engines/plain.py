"""Read manifests as they are written, or written by a template; runs in the confined child."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from services.renderer.engines.jobs import Job
from services.renderer.finish import Piece
from shared.core.kubeyaml import Document, documents
from shared.core.objects import ObjectKey, key_of
from shared.errors import Finding, FindingsError


def pieces(job: Job, folder: Path) -> tuple[list[Piece], list[Finding]]:
    """Return the objects of the app's files, each layer's in place of equal ones before it, and warnings.

    Raises:
        FindingsError: files that are no YAML, or templates that fail; all of them at once.
    """
    del folder
    findings: list[Finding] = []
    warnings: list[Finding] = []
    found: list[Piece] = []
    for group in job.groups:
        layer = [piece for path in group for piece in _of_file(job, path, findings, warnings)]
        replaced = {key for each in layer if (key := _key(each)) is not None}
        # Within one layer an object that stands twice is a mistake, which `finish` finds.
        found = [each for each in found if _key(each) not in replaced] + layer
    if findings:
        raise FindingsError(findings)
    return found, warnings


def _of_file(job: Job, path: str, findings: list[Finding], warnings: list[Finding]) -> Iterator[Piece]:
    try:
        read = documents(_content(job, path), path)
    except FindingsError as error:
        findings += error.findings
        return
    for document in read:
        if isinstance(document.value, dict) and ("apiVersion" in document.value or "kind" in document.value):
            yield Piece(document.value, path, document.at)
        else:
            warnings.append(_ignored(document))


def _content(job: Job, path: str) -> bytes:
    content = job.files[path]
    if not job.template:
        return content
    from services.renderer.engines.template import filled  # noqa: PLC0415  # only who uses templates needs Jinja

    return filled(content, path, job.values)


def _key(piece: Piece) -> ObjectKey | None:
    try:
        return key_of(piece.manifest)
    except (AttributeError, TypeError):
        # Not an object; `finish` says so.
        return None


def _ignored(document: Document) -> Finding:
    return Finding(
        code="yaml.not-an-object",
        message="a document without apiVersion and kind is ignored",
        file=document.file,
        line=document.at()[0],
        severity="warning",
    )
