"""Say in our words how Rancher's Fleet keeps a bundle: its `sync` options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.cli.imports.notes import Told

_KNOWN = frozenset(
    {
        *("defaultNamespace", "namespace", "kustomize", "helm", "yaml", "targetCustomizations", "dependsOn", "paused"),
        *("keepResources", "correctDrift", "diff", "labels", "serviceAccount", "name", "deleteNamespace"),
    }
)
_INSTEAD = {
    "rolloutStrategy": "write `rollouts` into fleet.yaml",
    "overrideTargets": "write `targets` into app.yaml",
    "namespaceLabels": "add the Namespace with these labels to the app",
    "namespaceAnnotations": "add the Namespace with these annotations to the app",
    "ignore": "say how its objects do with `sync.healthChecks`",
    "imageScans": "let your CI or Renovate commit new tags",
}


def of_bundle(said: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a bundle, those that are our defaults left out."""
    helm = said.get("helm") or {}
    found: dict[str, Any] = {}
    if said.get("paused"):
        found["suspend"] = {"reason": "it was paused in Fleet"}
    if not (said.get("correctDrift") or {}).get("enabled"):
        found["drift"] = "report"
    if said.get("keepResources"):
        found["deletionPolicy"] = "orphan"
    if helm.get("takeOwnership"):
        found["adopt"] = "all"
    if helm.get("force") or (said.get("correctDrift") or {}).get("force"):
        found["onImmutable"] = "recreate"
    if helm.get("timeoutSeconds"):
        found["timeout"] = f"{helm['timeoutSeconds']}s"
    if said.get("serviceAccount"):
        found["runAs"] = str(said["serviceAccount"])
    if ignored := [_ignored(each) for each in (said.get("diff") or {}).get("comparePatches") or ()]:
        found["ignore"] = ignored
    return found


def tell_unknown(said: Mapping[str, Any], told: Told) -> None:
    """Tell what a bundle says that has no place here."""
    for each in sorted(set(said) - _KNOWN):
        told((each,), f"says {each}", _INSTEAD.get(each, "see whether you still need it"))


def _ignored(patch: Mapping[str, Any]) -> dict[str, Any]:
    group, slash, _ = str(patch.get("apiVersion") or "").partition("/")
    target = {
        "group": group if slash else "",
        **{key: str(patch[key]) for key in ("kind", "name", "namespace") if patch.get(key)},
    }
    removed = [str(each.get("path")) for each in patch.get("operations") or () if each.get("op") == "remove"]
    return {
        "target": {key: value for key, value in target.items() if value},
        "paths": [*(patch.get("jsonPointers") or ()), *removed],
    }
