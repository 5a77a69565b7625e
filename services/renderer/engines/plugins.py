"""Refuse by name the generators, transformers and validators that are programs; those that kustomize has itself may stay.

kubectl would not run them either, but says so in words about its flags, and after it has read everything else.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from typing import Any

from shared.core.kubeyaml import Document, documents
from shared.errors import Finding, FindingsError

FIELDS = ("generators", "transformers", "validators")
_BUILT_IN = "builtin"
_CHARTS = "HelmChartInflationGenerator"
_FUNCTIONS = ("config.kubernetes.io/function", "config.k8s.io/function")
_HINT = "commit what it makes, or use what kustomize has built in"


def refused(
    document: Document, files: Mapping[str, bytes], folder: str, *, configures: bool = False
) -> Iterator[Finding]:
    """Yield a finding for each program that the kustomization in `folder` names.

    With `configures` its resources are no objects but name plugins: another kustomization takes it for that.
    """
    for field in (*FIELDS, *(("resources",) if configures else ())):
        members = document.value.get(field)
        for index, text in enumerate(members if isinstance(members, list) else ()):
            if isinstance(text, str):
                yield from _of_entry(document, (field, index), text, files, folder)


def _of_entry(
    document: Document, where: tuple[str | int, ...], text: str, files: Mapping[str, bytes], folder: str
) -> Iterator[Finding]:
    inline = "\n" in text
    path = "" if inline else posixpath.normpath(posixpath.join(folder, text))
    if not inline and path not in files:
        return
    for each in _read(text.encode() if inline else files[path], path):
        problem = _problem(each.value)
        if problem is not None and inline:
            yield document.finding(*problem, where, hint=_HINT)
        elif problem is not None:
            yield each.finding(*problem, hint=_HINT)


def _read(content: bytes, path: str) -> list[Document]:
    """Return the documents; what is wrong with them is kubectl's to say."""
    try:
        return documents(content, path, repeated_keys=True)
    except FindingsError:
        return []


def _problem(value: Any) -> tuple[str, str] | None:
    """Return code and message for what would run, or inflate a chart."""
    if not isinstance(value, dict):
        return None
    metadata = value.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    notes = metadata.get("annotations")
    what = f"{value.get('kind') or 'an object without a kind'} {metadata.get('name') or ''}".strip()
    if isinstance(notes, dict) and any(name in notes for name in _FUNCTIONS):
        return "render.plugin", f"{what} is a function, and engines run no programs"
    if value.get("apiVersion") != _BUILT_IN:
        version = value.get("apiVersion") or "no apiVersion"
        return "render.plugin", f"{what} ({version}) is an exec or Go plugin, and engines run no programs"
    if value.get("kind") == _CHARTS:
        return "render.helm-in-kustomize", f"{what} inflates a chart, which is not supported in a kustomization"
    return None
