"""Make a project's fences of an AppProject."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from services.cli.imports.naming import usable
from services.cli.imports.notes import Notes
from services.cli.imports.places import metadata_of
from services.renderer.layers import CLUSTER

_ELSEWHERE = {
    "namespaceResourceBlacklist": "deny kinds in the policy of each cluster's agent",
    "namespaceResourceWhitelist": "allow kinds in the policy of each cluster's agent",
    "clusterResourceBlacklist": "deny kinds in the policy of each cluster's agent",
    "roles": "who may push decides; protect the paths of the repository",
    "syncWindows": "write `windows` into fleet.yaml, and name them in the apps",
    "signatureKeys": "set `verify` of the source",
    "orphanedResources": "objects that nobody declares are not touched",
}


def project_of(
    manifest: Mapping[str, Any], notes: Notes, named: Callable[[Mapping[str, Any]], str]
) -> tuple[str, dict[str, Any]]:
    """Return the name and the fences of a project; `named` says which cluster a destination means."""
    spec = manifest.get("spec") or {}
    found: dict[str, Any] = {}
    destinations = spec.get("destinations") or ()
    namespaces = list(dict.fromkeys(str(each.get("namespace") or "*") for each in destinations))
    if "*" not in namespaces:
        found["namespaces"] = namespaces
    if spec.get("clusterResourceWhitelist"):
        found["clusterScoped"] = True
    clusters = list(
        dict.fromkeys("*" if "*" in {each.get("server"), each.get("name")} else named(each) for each in destinations)
    )
    if clusters and "*" not in clusters:
        found["clusters"] = {CLUSTER: clusters}
    for each, hint in _ELSEWHERE.items():
        if spec.get(each):
            notes.left_out(manifest, ("spec", each), f"has {each}", hint)
    return usable(str(metadata_of(manifest).get("name"))), found
