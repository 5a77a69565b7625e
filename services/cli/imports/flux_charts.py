"""Say where the chart of a HelmRelease comes from, and with which values it is rendered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from services.cli.imports import flux_objects as flux
from services.cli.imports.flux_walk import Flux, Seen, source_of
from services.cli.imports.model import Key
from services.cli.imports.notes import Told
from services.renderer.engines.charts import merged
from services.renderer.layers import joined
from shared.core.kubeyaml import documents
from shared.core.objects import Manifest
from shared.errors import FindingsError

ANY = "*"
_ABSENT = "add it, or write `helm.repo` yourself"
_ELSEWHERE = "write them to values.yaml of the app, or have the chart read a Secret of its cluster"


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart as an app names it."""

    helm: Mapping[str, Any]
    path: str = ""
    """In this repository; empty where it comes from elsewhere."""
    source: Mapping[str, Any] | None = None
    files: tuple[str, ...] = ()
    """Values files that lie beside a chart in this repository."""


def chart_of(flux_: Flux, seen: Seen, release: Manifest, told: Told) -> Chart | None:
    """Return the chart of a HelmRelease, or None when it cannot be said."""
    spec = flux.spec_of(release)
    reference = spec.get("chartRef")
    if reference:
        return _referred(seen, release, reference, told)
    template = (spec.get("chart") or {}).get("spec") or {}
    reference = template.get("sourceRef") or {}
    source, at = source_of(seen, release, reference), ("spec", "chart", "spec", "sourceRef")
    name, version = str(template.get("chart") or ""), str(template.get("version") or ANY)
    if reference.get("kind") == "GitRepository" and flux_.is_here(seen, source, str(reference.get("name"))):
        path = flux_.path_of(name)
        files = tuple(flux_.path_of(each) for each in template.get("valuesFiles") or ())
        return Chart({"path": path}, path, files=files)
    if source is None:
        told(at, _absent(reference), _ABSENT)
        return None
    if template.get("valuesFiles"):
        text = "names values files beside a chart that comes from elsewhere"
        told(("spec", "chart", "spec", "valuesFiles"), text, "copy what they say into values.yaml of the app")
    url = str(flux.spec_of(source).get("url") or "").rstrip("/")
    if reference.get("kind") == "GitRepository":
        return Chart({"chart": "."}, source=git_source(source, joined("", name)))
    if reference.get("kind") == "HelmRepository":
        return Chart({"repo": url, "chart": name, "version": version})
    told(at, f"takes its chart from a {reference.get('kind')}", "push the chart to a chart repository, or into git")
    return None


def _referred(seen: Seen, release: Manifest, reference: Mapping[str, Any], told: Told) -> Chart | None:
    source = source_of(seen, release, reference)
    if source is None or reference.get("kind") != "OCIRepository":
        told(("spec", "chartRef"), _absent(reference), _ABSENT)
        return None
    spec = flux.spec_of(source)
    repository, _, name = str(spec.get("url") or "").rstrip("/").rpartition("/")
    ref = spec.get("ref") or {}
    version = str(ref.get("semver") or ref.get("tag") or ANY)
    return Chart({"repo": repository, "chart": name, "version": version})


def _absent(reference: Mapping[str, Any]) -> str:
    return (
        f"takes its chart from the {reference.get('kind')} {reference.get('name')!r}, which is not in this repository"
    )


def _ref(source: Manifest) -> dict[str, str]:
    ref = flux.spec_of(source).get("ref") or {}
    found = next((str(ref[each]) for each in ("commit", "name", "semver", "tag", "branch") if ref.get(each)), "")
    return {"ref": found} if found else {}


def git_source(source: Manifest, path: str) -> dict[str, str]:
    """Return a GitRepository as the source of an app."""
    found = {"repo": str(flux.spec_of(source).get("url") or ""), **_ref(source)}
    return {**found, "path": path} if path else found


def values_of(seen: Seen, release: Manifest, owner: Key, told: Told) -> dict[str, Any]:
    """Return all values of a HelmRelease, in the order in which Flux merges them."""
    found: dict[str, Any] = {}
    for index, each in enumerate(flux.spec_of(release).get("valuesFrom") or ()):
        values = _from(seen, each, owner)
        if values is not None:
            found = merged(found, values)
        elif not each.get("optional"):
            text = f"has values from the {each.get('kind')} {each.get('name')!r}, which are not taken over"
            told(("spec", "valuesFrom", index), text, _ELSEWHERE)
    return merged(found, flux.spec_of(release).get("values") or {})


def _from(seen: Seen, reference: Mapping[str, Any], owner: Key) -> Mapping[str, Any] | None:
    if reference.get("kind") != "ConfigMap" or reference.get("targetPath"):
        return None
    name, part = str(reference.get("name")), str(reference.get("valuesKey") or "values.yaml")
    for text in _texts(seen, name, part, owner):
        try:
            read = documents(text.encode(), name)
        except FindingsError:
            return None
        return read[0].value if read and isinstance(read[0].value, dict) else None
    return None


def _texts(seen: Seen, name: str, part: str, owner: Key) -> Iterator[str]:
    for each in seen.kustomizations[owner].objects:
        if each.get("kind") == "ConfigMap" and flux.key_of(each)[2] == name and part in (each.get("data") or {}):
            yield str(each["data"][part])
