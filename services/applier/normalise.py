"""Give one object of a bundle the form in which it is sent: its namespace, our marks, nothing that only servers write.

What needs no cluster (rules B1-B7) is done once, by the renderer; here is what needs this cluster's discovery (A8) and
this agent's name (B8). Doing it twice changes nothing.
"""

from __future__ import annotations

from typing import Any

from services.applier.policy import HOOK_RUN
from services.applier.tracking import AGENT_LABEL, OWNER_ANNOTATION, owner_value
from shared.core.objects import Manifest, ObjectKey, key_of

_SERVER_FIELDS = frozenset(
    {
        "creationTimestamp",
        "deletionGracePeriodSeconds",
        "deletionTimestamp",
        "generation",
        "managedFields",
        "resourceVersion",
        "selfLink",
        "uid",
    },
)
_IDENTITY = frozenset({"apiVersion", "kind", "metadata"})


def placed(manifest: Manifest, namespace: str) -> dict[str, Any]:
    """Return `manifest` in `namespace` (none when that is empty), without status and without what servers write.

    A foreign resource version would be a lock, a foreign UID would forbid the creation, and managedFields are refused.
    """
    metadata = {name: value for name, value in manifest["metadata"].items() if name not in _SERVER_FIELDS}
    metadata.pop("namespace", None)
    if namespace:
        metadata["namespace"] = namespace
    return {**{name: value for name, value in manifest.items() if name != "status"}, "metadata": metadata}


def marked(manifest: Manifest, cluster: str, app: str, run: str = "") -> dict[str, Any]:
    """Return `manifest` with the label by which we watch and the annotation that says whose it is (B8).

    What is made anew for each bundle says for which: `run`.

    Never in pod templates: that would restart pods.
    """
    metadata = manifest["metadata"]
    owner = owner_value(app, key_of(manifest))
    labels = {**(metadata.get("labels") or {}), AGENT_LABEL: cluster}
    annotations = {**(metadata.get("annotations") or {}), OWNER_ANNOTATION: owner, **({HOOK_RUN: run} if run else {})}
    return {**manifest, "metadata": {**metadata, "labels": labels, "annotations": annotations}}


def is_bodied(manifest: Manifest) -> bool:
    """Tell whether an object has fields besides identity and metadata (A14)."""
    return bool(manifest.keys() - _IDENTITY)


def namespace_manifest(name: str) -> tuple[ObjectKey, dict[str, Any]]:
    """Return the key and the manifest of a namespace that is made for an app and belongs to nobody."""
    manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    return key_of(manifest), manifest
