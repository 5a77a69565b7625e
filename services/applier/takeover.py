"""Unite the fields that other tools and people set with ours, so that the next apply drops what nobody wants.

That writes nothing to the object but its managedFields, so no pod restarts (D10, D11, I11). What controllers set is not
touched, nor the mark by which `kubectl rollout restart` restarted pods: taking it off would restart them again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from services.applier.fields import Ownership, difference, entries, fields_of, is_apply_of, members, union
from services.applier.options import Extras, Options
from services.applier.state import Present, Wanted
from services.applier.tracking import AGENT_LABEL, MANAGER, OWNER_ANNOTATION
from services.applier.writers import EXEMPT, RESTARTED, is_writer
from shared.core.objects import Manifest, group_of

JSONPatch = list[dict[str, Any]]

# What deploys manifests, and what people type (D10).
TOOLS = (
    "kubectl*",
    "before-first-apply",
    "helm",
    "argocd-controller",
    "argocd-application-controller",
    "kustomize-controller",
    "helm-controller",
    "kapp",
    "fleet-agent",
    "fleetagent",
    "rancher",
)


def takes(writer: str, extras: Extras) -> bool:
    """Tell whether the fields of a writer are taken over; entries of ours that are no applies always are (D11)."""
    if writer == MANAGER or extras is Extras.STRICT:
        return True
    return extras is Extras.HUMANS and any(fnmatchcase(writer, glob) for glob in TOOLS)


def is_written_over(wanted: Wanted, live: Present, options: Options) -> bool:
    """Tell whether somebody whose fields we take over wrote the object since we did (I3)."""
    return wanted.policy.takeover and any(takes(writer, options.taken) for writer in live.writers)


def taking_over(manifest: Manifest, api_version: str, extras: Extras) -> JSONPatch:
    """Return the JSON patch that unites those entries with ours; empty when there are none."""
    found = [entry for entry in entries(manifest) if is_writer(entry, MANAGER) and takes(entry.manager, extras)]
    if not found:
        return []
    ours = next((each for each in entries(manifest) if is_apply_of(each, MANAGER)), None)
    mine = union(*(difference(each.fields, EXEMPT) for each in found), ours.fields if ours else {})
    listed = [each for each in manifest["metadata"]["managedFields"] if isinstance(each, Mapping)]
    left = [
        each
        for each in (_left(raw, entry, found) for raw, entry in zip(listed, entries(manifest), strict=True))
        if each
    ]
    old = next((raw for raw, entry in zip(listed, entries(manifest), strict=True) if is_apply_of(entry, MANAGER)), {})
    entry = {"apiVersion": api_version, **old, "manager": MANAGER, "operation": "Apply", "fieldsType": "FieldsV1"}
    return bound(
        manifest, {"op": "replace", "path": "/metadata/managedFields", "value": [*left, {**entry, "fieldsV1": mine}]}
    )


def reviving(manifest: Manifest, api_version: str, served: Iterable[str]) -> JSONPatch:
    """Return the JSON patch that moves entries of versions that are gone to one that is there (D12); empty: none is."""
    good, group = set(served), group_of(api_version)
    listed = (manifest.get("metadata") or {}).get("managedFields") or []
    dead = [
        each for each in listed if group_of(str(each.get("apiVersion"))) == group and each["apiVersion"] not in good
    ]
    if not dead:
        return []
    value = [{**each, "apiVersion": api_version} if each in dead else each for each in listed]
    return bound(manifest, {"op": "replace", "path": "/metadata/managedFields", "value": value})


def unmarking(manifest: Manifest) -> JSONPatch:
    """Return the JSON patch that takes label, annotation and field ownership of ours off an object (F4)."""
    metadata = manifest["metadata"]
    patch: JSONPatch = []
    for place, name in (("annotations", OWNER_ANNOTATION), ("labels", AGENT_LABEL)):
        if name in (metadata.get(place) or {}):
            pointer = name.replace("~", "~0").replace("/", "~1")
            patch.append({"op": "remove", "path": f"/metadata/{place}/{pointer}"})
    listed = metadata.get("managedFields") or []
    left = [each for each in listed if (each.get("manager"), each.get("operation")) != (MANAGER, "Apply")]
    if left and len(left) != len(listed):
        patch.append({"op": "replace", "path": "/metadata/managedFields", "value": left})
    return bound(manifest, *patch)


def bound(manifest: Manifest, *operations: dict[str, Any]) -> JSONPatch:
    """Return a JSON patch that works on the version that was read only.

    `replace` of the version, not `test`: a race then answers as the conflict that it is.
    """
    version = manifest["metadata"]["resourceVersion"]
    return [{"op": "replace", "path": "/metadata/resourceVersion", "value": version}, *operations]


def _left(raw: Mapping[str, Any], entry: Ownership, taken: Iterable[Ownership]) -> Mapping[str, Any] | None:
    """Return what stays of an entry."""
    if is_apply_of(entry, MANAGER):
        return None
    if entry not in taken:
        return raw
    kept = members(entry.fields) & members(EXEMPT)
    return {**raw, "fieldsV1": fields_of(kept)} if RESTARTED in kept else None
