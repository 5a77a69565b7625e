"""Strategic merge patches, as Kustomize merges them: which lists merge by a key, and in which order.

The keys are those of `x-kubernetes-patch-merge-key` and `x-kubernetes-list-map-keys` in the OpenAPI of Kubernetes 1.21, which
Kustomize (kyaml 0.21) has built in for every version of kubectl since. Kinds and lists that it does not have are replaced whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.renderer.kustomize.outside import OutsideError, need, outside

_DIRECTIVE = "$patch"


@dataclass(frozen=True, slots=True)
class Schema:
    """What is known of a mapping: its mappings, its lists that merge, and fields that nobody merges here."""

    fields: Mapping[str, Schema] = field(default_factory=dict)
    lists: Mapping[str, tuple[tuple[str, ...], Schema]] = field(default_factory=dict)
    """The keys of a list's elements, and what is known of these."""
    unknown: frozenset[str] = frozenset()


_NOTHING = Schema()
_CONTAINER = Schema(
    lists={
        "env": (("name",), _NOTHING),
        "ports": (("containerPort", "protocol"), _NOTHING),
        "volumeDevices": (("devicePath",), _NOTHING),
        "volumeMounts": (("mountPath",), _NOTHING),
    }
)
_POD = Schema(
    lists={
        "containers": (("name",), _CONTAINER),
        "initContainers": (("name",), _CONTAINER),
        "hostAliases": (("ip",), _NOTHING),
        "imagePullSecrets": (("name",), _NOTHING),
        "topologySpreadConstraints": (("topologyKey", "whenUnsatisfiable"), _NOTHING),
        "volumes": (("name",), _NOTHING),
    },
    unknown=frozenset({"ephemeralContainers"}),
)
_METADATA = Schema(unknown=frozenset({"finalizers", "ownerReferences"}))
_TEMPLATE = Schema({"metadata": _METADATA, "spec": _POD})
_JOB = Schema({"metadata": _METADATA, "spec": Schema({"template": _TEMPLATE})})
_WORKLOAD = Schema({"template": _TEMPLATE})
_WEBHOOKS = Schema({"metadata": _METADATA}, {"webhooks": (("name",), _NOTHING)})


def _object(spec: Schema = _NOTHING) -> Schema:
    return Schema({"metadata": _METADATA, "spec": spec}, unknown=frozenset({"status"}))


_CUSTOM = _NOTHING
"""Of kinds that Kustomize does not know: their lists are replaced."""
_KNOWN: Mapping[str, Schema] = {
    **{f"apps/v1 {kind}": _object(_WORKLOAD) for kind in ("DaemonSet", "Deployment", "ReplicaSet", "StatefulSet")},
    **{f"batch/{version} CronJob": _object(Schema({"jobTemplate": _JOB})) for version in ("v1", "v1beta1")},
    "batch/v1 Job": _object(_WORKLOAD),
    "v1 Pod": _object(_POD),
    "v1 PodTemplate": Schema({"metadata": _METADATA, "template": _TEMPLATE}),
    "v1 ReplicationController": _object(_WORKLOAD),
    "v1 Service": _object(Schema(lists={"ports": (("port", "protocol"), _NOTHING)})),
    "v1 ServiceAccount": Schema({"metadata": _METADATA}, {"secrets": (("name",), _NOTHING)}),
    **{
        f"admissionregistration.k8s.io/{version} {kind}": _WEBHOOKS
        for version in ("v1", "v1beta1")
        for kind in ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
    },
    **{
        kind: _object()
        for kind in (
            "autoscaling/v1 HorizontalPodAutoscaler",
            "autoscaling/v2beta1 HorizontalPodAutoscaler",
            "autoscaling/v2beta2 HorizontalPodAutoscaler",
            "extensions/v1beta1 Ingress",
            "networking.k8s.io/v1 Ingress",
            "networking.k8s.io/v1 NetworkPolicy",
            "networking.k8s.io/v1beta1 Ingress",
            "policy/v1 PodDisruptionBudget",
            "policy/v1beta1 PodDisruptionBudget",
            "rbac.authorization.k8s.io/v1 ClusterRole",
            "rbac.authorization.k8s.io/v1 ClusterRoleBinding",
            "rbac.authorization.k8s.io/v1 Role",
            "rbac.authorization.k8s.io/v1 RoleBinding",
            "scheduling.k8s.io/v1 PriorityClass",
            "storage.k8s.io/v1 StorageClass",
            "v1 ConfigMap",
            "v1 Endpoints",
            "v1 LimitRange",
            "v1 Namespace",
            "v1 PersistentVolume",
            "v1 PersistentVolumeClaim",
            "v1 ResourceQuota",
            "v1 Secret",
        )
    },
}
# Other kinds of these groups may be in its OpenAPI, with lists that are not listed here.
_BUILT_IN = (".k8s.io/", "apps/", "autoscaling/", "batch/", "extensions/", "policy/")


def schema_of(api_version: str, kind: str) -> Schema:
    """Return what is known of a kind.

    Raises:
        OutsideError: Kustomize may know more of it.
    """
    found = _KNOWN.get(f"{api_version} {kind}")
    if found is None:
        custom = "/" in api_version and not any(group in api_version for group in _BUILT_IN)
        need(custom or f"{api_version} {kind}" == "autoscaling/v2 HorizontalPodAutoscaler", f"patches of {kind}")
    return found or _CUSTOM


def patched(value: Mapping[str, Any], patch: Mapping[str, Any], schema: Schema) -> dict[str, Any]:
    """Return `value` with `patch` merged into it; both are left as they are."""
    found = dict(value)
    for name, said in patch.items():
        need(name not in schema.unknown and not name.startswith("$"), f"a patch of {name}")
        if said is None or (isinstance(said, dict) and said.get(_DIRECTIVE) == "delete"):
            found.pop(name, None)
        elif name not in value or value[name] is None:
            need(name not in value, "a null where a patch has a value")
            found[name] = _added(said, name, schema)
        else:
            found[name] = _merged(value[name], said, name, schema)
    return found


def _merged(before: Any, said: Any, name: str, schema: Schema) -> Any:
    if isinstance(said, dict):
        need(isinstance(before, dict), "a mapping where there is none")
        return patched(before, said, schema.fields.get(name, _NOTHING))
    if isinstance(said, list):
        need(isinstance(before, list), "a list where there is none")
        if name not in schema.lists:
            return _added(said, name, schema)
        keys, inner = schema.lists[name]
        return _lists(before, said, keys, inner)
    # Kustomize keeps the quotes of what was there, or its being without.
    need(before.__class__ is said.__class__, "a scalar of another type")
    return said


def _added(said: Any, name: str, schema: Schema) -> Any:
    """Return what a patch brings as a whole: nothing in it may be an instruction."""
    _check_whole(said)
    _check_named(said, name, schema)
    return said


def _check_whole(node: Any) -> None:
    if node is None:
        outside("a null in what a patch adds")
    if isinstance(node, dict):
        for key, value in node.items():
            need(not key.startswith("$"), f"{key} in what a patch adds")
            _check_whole(value)
    elif isinstance(node, list):
        for each in node:
            _check_whole(each)


def check(value: Mapping[str, Any], schema: Schema) -> None:
    """Leave it to kubectl if a merge would change more of an object than what the patch names.

    Kustomize goes over the whole object: it removes nulls, and elements of lists that have the same key, or none.
    """
    for name, each in value.items():
        need(name not in schema.unknown and each is not None, f"an object with {name}")
        _check_named(each, name, schema)
        if isinstance(each, dict):
            check(each, schema.fields.get(name, _NOTHING))
        elif isinstance(each, list) and name not in schema.lists:
            _check_whole(each)


def is_clean(value: Mapping[str, Any]) -> bool:
    """Tell whether a merge changes of this object what the patch names, and nothing else."""
    try:
        check(value, schema_of(value["apiVersion"], value["kind"]))
    except OutsideError:
        return False
    return True


def _check_named(value: Any, name: str, schema: Schema) -> None:
    if name in schema.lists:
        keys, inner = schema.lists[name]
        need(isinstance(value, list), f"{name} is no list")
        _distinct(_identities(value, keys))
        for each in value:
            check(each, inner)
    elif isinstance(value, dict) and name in schema.fields:
        for inside, each in value.items():
            need(inside not in schema.fields[name].unknown, f"{inside} in what a patch adds")
            _check_named(each, inside, schema.fields[name])


Identity = tuple[str, ...]


def _lists(before: Sequence[Any], said: Sequence[Any], keys: tuple[str, ...], schema: Schema) -> list[Any]:
    """Return a list with a patch merged into it.

    With one key what the patch names comes first, in its order. With two keys, where any element has both, only what is
    new does.
    """
    need(said, "an empty list")
    old, new = _identities(before, keys), _identities(said, keys)
    _distinct(old)
    _distinct(new)
    _distinct([*old, *(each for each in new if each not in old)])
    first_comes_named = not any(each[1:] != ("",) * (len(keys) - 1) for each in (*old, *new))
    merged: dict[Identity, Any] = dict(zip(old, before, strict=True))
    named: dict[Identity, Any] = {}
    for identity, element in zip(new, said, strict=True):
        if element.get(_DIRECTIVE) == "delete":
            need(first_comes_named or "" not in identity, "a deletion by half a key")
            merged.pop(identity, None)
            continue
        if identity in merged:
            element = patched(merged[identity], element, schema)  # noqa: PLW2901  # the element as it becomes
            if not first_comes_named:
                merged[identity] = element
                continue
            del merged[identity]
        else:
            _check_whole(element)
            check(element, schema)
        named[identity] = element
    return [*named.values(), *merged.values()]


def _identities(elements: Sequence[Any], keys: tuple[str, ...]) -> list[Identity]:
    """Return what each element is known by."""
    found = []
    for each in elements:
        need(isinstance(each, dict), "an element that is no mapping")
        parts = [each.get(key, "") for key in keys]
        need(all(part.__class__ in {str, int} for part in parts) and parts[0] != "", "an element without its key")
        found.append(tuple(map(str, parts)))
    return found


def _distinct(identities: Sequence[Identity]) -> None:
    """Leave it to kubectl if two elements could be taken for one another."""
    need(len(set(identities)) == len(identities), "two elements with one key")
    by_first: dict[str, int] = {}
    for each in identities:
        by_first[each[0]] = by_first.get(each[0], 0) + 1
    need(all(by_first[each[0]] == 1 or "" not in each for each in identities), "elements that differ in one key only")
