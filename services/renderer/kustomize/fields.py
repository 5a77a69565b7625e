"""The fields that transformers of Kustomize change, and how one is found and changed.

The tables say what Kustomize's default configuration says (v5.8). A path goes through lists by itself; `[]` behind a
name forbids to make the list.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple

from services.renderer.kustomize.outside import need, outside

Change = Callable[[Any], Any]
"""What becomes of the value at the end of a path; None stands for one that is made."""


class Spec(NamedTuple):
    """A field, of the objects that have this kind; empty words say nothing."""

    path: tuple[str, ...]
    create: bool = True
    kind: str = ""
    group: str = ""
    version: str = ""

    def fits(self, api_version: str, kind: str) -> bool:
        """Tell whether objects of this kind have the field."""
        group, _, version = api_version.rpartition("/")
        return (
            self.kind in {"", kind}
            and (not self.group or self.group == group)
            and (not self.version or self.version == version)
        )


def _spec(path: str, *, create: bool = True, kind: str = "", group: str = "", version: str = "") -> Spec:
    return Spec(tuple(path.split("/")), create, kind, group, version)


_TEMPLATE = "spec/template/metadata"
_AFFINITY = tuple(
    f"spec/template/spec/affinity/{side}/{path}labelSelector/matchLabels"
    for side in ("podAffinity", "podAntiAffinity")
    for path in (
        "preferredDuringSchedulingIgnoredDuringExecution/podAffinityTerm/",
        "requiredDuringSchedulingIgnoredDuringExecution/",
    )
)
METADATA_LABELS = (_spec("metadata/labels"),)
TEMPLATE_LABELS = (
    *METADATA_LABELS,
    _spec(f"{_TEMPLATE}/labels", kind="ReplicationController", version="v1"),
    *(_spec(f"{_TEMPLATE}/labels", kind=kind) for kind in ("Deployment", "ReplicaSet", "DaemonSet")),
    _spec(f"{_TEMPLATE}/labels", kind="StatefulSet", group="apps"),
    _spec("spec/volumeClaimTemplates[]/metadata/labels", kind="StatefulSet", group="apps"),
    _spec(f"{_TEMPLATE}/labels", kind="Job", group="batch"),
    _spec("spec/jobTemplate/metadata/labels", kind="CronJob", group="batch"),
    _spec("spec/jobTemplate/spec/template/metadata/labels", kind="CronJob", group="batch"),
)
SELECTOR_LABELS = (
    *TEMPLATE_LABELS,
    *(_spec("spec/selector", kind=kind, version="v1") for kind in ("Service", "ReplicationController")),
    *(_spec("spec/selector/matchLabels", kind=kind) for kind in ("Deployment", "ReplicaSet", "DaemonSet")),
    _spec("spec/selector/matchLabels", kind="StatefulSet", group="apps"),
    *(
        _spec(path, create=False, kind=kind, group="apps")
        for kind in ("Deployment", "StatefulSet")
        for path in (*_AFFINITY, "spec/template/spec/topologySpreadConstraints/labelSelector/matchLabels")
    ),
    _spec("spec/selector/matchLabels", create=False, kind="Job", group="batch"),
    _spec("spec/jobTemplate/spec/selector/matchLabels", create=False, kind="CronJob", group="batch"),
    _spec("spec/selector/matchLabels", create=False, kind="PodDisruptionBudget", group="policy"),
    *(
        _spec(path, create=False, kind="NetworkPolicy", group="networking.k8s.io")
        for path in (
            "spec/podSelector/matchLabels",
            "spec/ingress/from/podSelector/matchLabels",
            "spec/egress/to/podSelector/matchLabels",
        )
    ),
)
ANNOTATIONS = (
    _spec("metadata/annotations"),
    _spec(f"{_TEMPLATE}/annotations", kind="ReplicationController", version="v1"),
    *(
        _spec(f"{_TEMPLATE}/annotations", kind=kind)
        for kind in ("Deployment", "ReplicaSet", "DaemonSet", "StatefulSet")
    ),
    _spec(f"{_TEMPLATE}/annotations", kind="Job", group="batch"),
    _spec("spec/jobTemplate/metadata/annotations", kind="CronJob", group="batch"),
    _spec("spec/jobTemplate/spec/template/metadata/annotations", kind="CronJob", group="batch"),
)
NAMESPACES = (
    _spec("metadata/name", kind="Namespace", version="v1"),
    _spec("spec/service/namespace", kind="APIService", group="apiregistration.k8s.io"),
    _spec(
        "spec/conversion/webhook/clientConfig/service/namespace",
        create=False,
        kind="CustomResourceDefinition",
        group="apiextensions.k8s.io",
    ),
)
REPLICAS = tuple(
    _spec("spec/replicas", kind=kind) for kind in ("Deployment", "ReplicationController", "ReplicaSet", "StatefulSet")
)


@cache
def of_kind(specs: tuple[Spec, ...], api_version: str, kind: str) -> tuple[Spec, ...]:
    """Return those of `specs` that objects of this kind have."""
    return tuple(spec for spec in specs if spec.fits(api_version, kind))


def changed(value: Mapping[str, Any], spec: Spec, change: Change) -> Mapping[str, Any]:
    """Return `value` with every field that `spec` leads to changed; what does not change is shared.

    Raises:
        OutsideError: a null or a scalar is on the way.
    """
    found: Mapping[str, Any] = _changed(value, spec.path, spec.create, change)
    return found


def _changed(node: Any, path: tuple[str, ...], create: bool, change: Change) -> Any:  # noqa: FBT001  # private, and hot
    if not path:
        return change(node)
    if node.__class__ is list:
        members = [_changed(each, path, create, change) for each in node]
        return node if all(new is old for new, old in zip(members, node, strict=True)) else members
    need(node.__class__ is dict, "a field where a mapping should be")
    name = path[0].removesuffix("[]")
    if name in node:
        before = node[name]
        need(before is not None, "a null on the way to a field")
        after = _changed(before, path[1:], create, change)
        return node if after is before else {**node, name: after}
    if not create or name != path[0]:
        return node
    return {**node, name: _changed({}, path[1:], create, change) if path[1:] else change(None)}


class Adding:
    """The change that adds `pairs` to a mapping; it counts what was not there before."""

    def __init__(self, pairs: Mapping[str, str]) -> None:
        self._pairs = pairs
        self.new: Counter[str] = Counter()

    def __call__(self, value: Any) -> Any:
        """Return the mapping with the pairs."""
        if value is not None and value.__class__ is not dict:
            outside("labels or annotations that are no mapping")
        before = value or {}
        self.new.update(key for key in self._pairs if key not in before)
        return {**before, **self._pairs}
