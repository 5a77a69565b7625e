"""Refuse what the real server refuses in a well-formed object: bad names, missing values, changed immutable fields."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from services.kubesim.answers import Cause
from services.kubesim.kinds import Resource
from services.kubesim.selectors import selects, value_at

Object = Mapping[str, Any]
LABEL_NAME = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
SUBDOMAIN = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
KEY_NAME = re.compile(r"^[-._a-zA-Z0-9]+$")
LABEL_VALUE = re.compile(r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$")
LABEL_KEY = re.compile(r"^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$")
LABEL_KEY_RULE = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
LABEL_LIKE = frozenset({"/namespaces", "/services"})
FREE_NAMES = frozenset({"roles", "rolebindings", "clusterroles", "clusterrolebindings"})
LABEL_RULE = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
SUBDOMAIN_RULE = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
DATA_LIMIT = 1024 * 1024
ANNOTATIONS_LIMIT = 256 * 1024

# storage → paths that never change, each with how the server words the refusal
FIXED: dict[str, tuple[str, ...]] = {
    "apps/deployments": ("spec.selector",),
    "apps/daemonsets": ("spec.selector",),
    "apps/replicasets": ("spec.selector",),
    "batch/jobs": ("spec.completions", "spec.selector", "spec.template.spec", "spec.completionMode"),
    "/secrets": ("type",),
    "apiextensions.k8s.io/customresourcedefinitions": (
        "spec.group",
        "spec.scope",
        "spec.names.plural",
        "spec.names.kind",
    ),
    "storage.k8s.io/storageclasses": ("provisioner", "reclaimPolicy", "volumeBindingMode"),
    "networking.k8s.io/ingressclasses": ("spec.controller",),
}
STATEFUL_FREE = frozenset(
    {
        "replicas",
        "ordinals",
        "template",
        "updateStrategy",
        "revisionHistoryLimit",
        "persistentVolumeClaimRetentionPolicy",
        "minReadySeconds",
    }
)
# storage → paths without which an object of the kind is refused
REQUIRED: dict[str, tuple[str, ...]] = {
    "apps/deployments": ("spec.selector", "spec.template.spec.containers"),
    "apps/statefulsets": ("spec.selector", "spec.template.spec.containers"),
    "apps/daemonsets": ("spec.selector", "spec.template.spec.containers"),
    "apps/replicasets": ("spec.selector", "spec.template.spec.containers"),
    "batch/jobs": ("spec.template.spec.containers",),
    "batch/cronjobs": ("spec.schedule", "spec.jobTemplate.spec.template.spec.containers"),
    "/pods": ("spec.containers",),
    "/persistentvolumeclaims": ("spec.accessModes", "spec.resources.requests.storage"),
    "autoscaling/horizontalpodautoscalers": ("spec.maxReplicas", "spec.scaleTargetRef"),
    "storage.k8s.io/storageclasses": ("provisioner",),
    "rbac.authorization.k8s.io/rolebindings": ("roleRef",),
    "rbac.authorization.k8s.io/clusterrolebindings": ("roleRef",),
    "apiextensions.k8s.io/customresourcedefinitions": ("spec.group", "spec.names.plural"),
}
SELECTING = frozenset({"apps/deployments", "apps/statefulsets", "apps/daemonsets", "apps/replicasets"})


def causes(resource: Resource, live: Object | None, new: Object) -> list[Cause]:
    """Return everything wrong with `new` as the successor of `live`; None means it is created."""
    found = [] if live is not None else _bad_name(resource, new)
    found += _bad_metadata(new["metadata"])
    found += [
        Cause("FieldValueRequired", "Required value", path)
        for path in REQUIRED.get(resource.storage, ())
        if _at(new, path) in (None, [], {}, "")
    ]
    if resource.storage in SELECTING:
        found += _unselected(new)
    if resource.storage in SELECTING and isinstance(replicas := _at(new, "spec.replicas"), int) and replicas < 0:
        text = f"Invalid value: {replicas}: must be greater than or equal to 0"
        found.append(Cause("FieldValueInvalid", text, "spec.replicas"))
    if resource.storage in {"/configmaps", "/secrets"}:
        found += _bad_data(new)
    if resource.storage == "apiextensions.k8s.io/customresourcedefinitions" and not found:
        found += _bad_definition(new)
    if resource.storage == "/services":
        found += _bad_ports(new)
    for path in _workload_paths(resource.storage):
        found += _bad_containers(_at(new, path) or (), path)
    if live is not None:
        found += _changed(resource, live, new)
    return found


def _at(value: Any, path: str) -> Any:
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def shown(value: Any) -> str:
    """Return a value as messages print it."""
    return orjson.dumps(value).decode()


def _bad_name(resource: Resource, new: Object) -> list[Cause]:
    name = new["metadata"].get("name") or ""
    if not name:
        return [Cause("FieldValueRequired", "Required value: name or generateName is required", "metadata.name")]
    if resource.plural in FREE_NAMES:
        bad = "/" in name or "%" in name or name in {".", ".."}
        return (
            [Cause("FieldValueInvalid", f"Invalid value: {shown(name)}: may not contain '/'", "metadata.name")]
            if bad
            else []
        )
    is_label = resource.storage in LABEL_LIKE
    pattern, rule, limit = (LABEL_NAME, LABEL_RULE, 63) if is_label else (SUBDOMAIN, SUBDOMAIN_RULE, 253)
    if len(name) > limit:
        return [
            Cause(
                "FieldValueInvalid",
                f"Invalid value: {shown(name)}: must be no more than {limit} bytes",
                "metadata.name",
            )
        ]
    if not pattern.match(name):
        return [Cause("FieldValueInvalid", f"Invalid value: {shown(name)}: {rule}", "metadata.name")]
    return []


def _bad_metadata(metadata: Object) -> list[Cause]:
    found = []
    for key, value in (metadata.get("labels") or {}).items():
        if not LABEL_KEY.match(key.rpartition("/")[2]):
            found.append(
                Cause("FieldValueInvalid", f"Invalid value: {shown(key)}: {LABEL_KEY_RULE}", "metadata.labels")
            )
        if len(value) > 63:
            found.append(
                Cause(
                    "FieldValueInvalid",
                    f"Invalid value: {shown(value)}: must be no more than 63 bytes",
                    "metadata.labels",
                )
            )
        elif not LABEL_VALUE.match(value):
            rule = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
            found.append(Cause("FieldValueInvalid", f"Invalid value: {shown(value)}: {rule}", "metadata.labels"))
    annotations = metadata.get("annotations") or {}
    if sum(len(key) + len(value) for key, value in annotations.items()) > ANNOTATIONS_LIMIT:
        text = f"Too long: may not be more than {ANNOTATIONS_LIMIT} bytes"
        found.append(Cause("FieldValueTooLong", text, "metadata.annotations"))
    return found


def _unselected(new: Object) -> list[Cause]:
    labels = _at(new, "spec.template.metadata.labels") or {}
    if selects(_at(new, "spec.selector"), labels):
        return []
    text = f"Invalid value: {shown(labels)}: `selector` does not match template `labels`"
    return [Cause("FieldValueInvalid", text, "spec.template.metadata.labels")]


def _bad_data(new: Object) -> list[Cause]:
    found = []
    size = 0
    for part in ("data", "binaryData"):
        for key, value in (new.get(part) or {}).items():
            size += len(key) + len(value or "")
            if not KEY_NAME.match(key) or len(key) > 253:
                text = f"Invalid value: {shown(key)}: a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
                found.append(Cause("FieldValueInvalid", text, f"{part}[{key}]"))
    if size > DATA_LIMIT:
        found.append(
            Cause(
                "FieldValueTooLong",
                f"Too long: may not be more than {DATA_LIMIT} bytes",
                "data" if new.get("kind") == "Secret" else "[]",
            )
        )
    return found


def _bad_ports(new: Object) -> list[Cause]:
    ports = _at(new, "spec.ports") or ()
    if not ports and _at(new, "spec.type") != "ExternalName" and _at(new, "spec.clusterIP") != "None":
        return [Cause("FieldValueRequired", "Required value", "spec.ports")]
    return [
        Cause(
            "FieldValueInvalid",
            f"Invalid value: {port[field]}: must be between 1 and 65535, inclusive",
            f"spec.ports[{number}].{field}",
        )
        for number, port in enumerate(ports)
        for field in ("port", "targetPort")
        if isinstance(port.get(field), int) and not 1 <= port[field] <= 65535
    ]


def _workload_paths(storage: str) -> tuple[str, ...]:
    return tuple(path for path in REQUIRED.get(storage, ()) if path.endswith("containers"))


def _bad_containers(containers: Any, path: str) -> list[Cause]:
    found = []
    for number, one in enumerate(containers):
        if isinstance(one, Mapping):
            found += [
                Cause("FieldValueRequired", "Required value", f"{path}[{number}].{field}")
                for field in ("name", "image")
                if not one.get(field)
            ]
    return found


def _changed(resource: Resource, live: Object, new: Object) -> list[Cause]:
    found = [
        Cause("FieldValueInvalid", f"Invalid value: {shown(_at(new, path))}: field is immutable", path)
        for path in FIXED.get(resource.storage, ())
        if _at(live, path) != _at(new, path)
    ]
    special = SPECIAL.get(resource.storage)
    return found + (special(live, new) if special else [])


def _stateful(live: Object, new: Object) -> list[Cause]:
    old, fresh = live.get("spec") or {}, new.get("spec") or {}
    return [
        Cause("FieldValueInvalid", f"Invalid value: {shown(fresh.get(name))}: field is immutable", f"spec.{name}")
        for name in sorted((old.keys() | fresh.keys()) - STATEFUL_FREE)
        if old.get(name) != fresh.get(name)
    ]


def _binding(live: Object, new: Object) -> list[Cause]:
    if live.get("roleRef") == new.get("roleRef"):
        return []
    return [Cause("FieldValueInvalid", f"Invalid value: {shown(new.get('roleRef'))}: field is immutable", "roleRef")]


def _immutable_data(live: Object, new: Object) -> list[Cause]:
    if not live.get("immutable"):
        return []
    if not new.get("immutable"):
        return [Cause("FieldValueForbidden", "Forbidden: field is immutable when `immutable` is set", "immutable")]
    return [
        Cause("FieldValueForbidden", "Forbidden: field is immutable when `immutable` is set", part)
        for part in ("data", "binaryData")
        if (live.get(part) or {}) != (new.get(part) or {})
    ]


def _service(live: Object, new: Object) -> list[Cause]:
    old, fresh = value_at(live, "spec.clusterIP"), value_at(new, "spec.clusterIP")
    if not old or old == fresh or "ExternalName" in (value_at(live, "spec.type"), value_at(new, "spec.type")):
        return []
    text = f"Invalid value: {shown([fresh])}: may not change once set"
    return [Cause("FieldValueInvalid", text, "spec.clusterIPs[0]")]


def _claim(live: Object, new: Object) -> list[Cause]:
    def fixed(value: Object) -> Any:
        spec = dict(value.get("spec") or {})
        spec.pop("volumeAttributesClassName", None)
        spec["resources"] = None
        return spec

    before, after = fixed(live), fixed(new)
    if before == after or (not before.get("volumeName") and {**before, "volumeName": after.get("volumeName")} == after):
        return []
    text = "Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
    return [Cause("FieldValueForbidden", f"{text}\n  {shown(before)}\n  {shown(after)}\n", "spec")]


def _priority(live: Object, new: Object) -> list[Cause]:
    return [
        Cause("FieldValueForbidden", "Forbidden: may not be changed in an update.", name)
        for name in ("value", "preemptionPolicy")
        if live.get(name) != new.get(name)
    ]


def _volume(live: Object, new: Object) -> list[Cause]:
    free = {
        "claimRef",
        "capacity",
        "accessModes",
        "persistentVolumeReclaimPolicy",
        "mountOptions",
        "nodeAffinity",
        "storageClassName",
        "volumeMode",
    }
    old, fresh = live.get("spec") or {}, new.get("spec") or {}
    if all(old.get(name) == fresh.get(name) for name in (old.keys() | fresh.keys()) - free):
        return []
    text = "Forbidden: spec.persistentvolumesource is immutable after creation"
    return [Cause("FieldValueForbidden", text, "spec.persistentvolumesource")]


def _pod(live: Object, new: Object) -> list[Cause]:
    def fixed(value: Object) -> Any:
        spec = dict(value.get("spec") or {})
        for name in ("tolerations", "activeDeadlineSeconds", "terminationGracePeriodSeconds", "schedulingGates"):
            spec.pop(name, None)
        for part in ("containers", "initContainers"):
            spec[part] = [{**one, "image": ""} for one in spec.get(part) or ()]
        return spec

    if fixed(live) == fixed(new):
        return []
    text = "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
    return [Cause("FieldValueForbidden", text, "spec")]


def _bad_definition(new: Object) -> list[Cause]:
    spec = new.get("spec") or {}
    name, versions = new["metadata"].get("name") or "", spec.get("versions") or ()
    found = []
    if name != f"{_at(spec, 'names.plural')}.{spec.get('group')}":
        text = f'Invalid value: {shown(name)}: must be spec.names.plural+"."+spec.group'
        found.append(Cause("FieldValueInvalid", text, "metadata.name"))
    if [version.get("storage") for version in versions].count(True) != 1:
        text = f"Invalid value: {shown(versions)}: must have exactly one version marked as storage version"
        found.append(Cause("FieldValueInvalid", text, "spec.versions"))
        text = "Invalid value: null: must have at least one stored version"
        found.append(Cause("FieldValueInvalid", text, "status.storedVersions"))
    found += [
        Cause("FieldValueRequired", "Required value", f"spec.versions[{number}].schema.openAPIV3Schema")
        for number, version in enumerate(versions)
        if not _at(version, "schema.openAPIV3Schema")
    ]
    return found


def _definition(live: Object, new: Object) -> list[Cause]:
    served = [one.get("name") for one in _at(new, "spec.versions") or ()]
    return [
        Cause(
            "FieldValueInvalid",
            f'Invalid value: "{version}": missing from spec.versions; {version} was previously a storage version, '
            f"and must remain in spec.versions until a storage migration ensures no data remains persisted in {version} "
            f"and removes {version} from status.storedVersions",
            f"status.storedVersions[{number}]",
        )
        for number, version in enumerate(_at(live, "status.storedVersions") or ())
        if version not in served
    ]


SPECIAL: dict[str, Callable[[Object, Object], list[Cause]]] = {
    "apps/statefulsets": _stateful,
    "rbac.authorization.k8s.io/rolebindings": _binding,
    "rbac.authorization.k8s.io/clusterrolebindings": _binding,
    "/configmaps": _immutable_data,
    "/secrets": _immutable_data,
    "/services": _service,
    "/persistentvolumeclaims": _claim,
    "/persistentvolumes": _volume,
    "scheduling.k8s.io/priorityclasses": _priority,
    "/pods": _pod,
    "apiextensions.k8s.io/customresourcedefinitions": _definition,
}
