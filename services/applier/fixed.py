"""Tell beforehand what the API server would refuse because a field that never changes has changed (rules E7, H1).

What would be found out at the third object has changed the first two by then: a Service with the new selector and a Deployment
that keeps the old one serve nobody. So a release of which that is known is refused whole, and what ran before goes on.
Nobody is asked about objects whose fixed fields are as they were last applied: then it costs no request.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any

from services.applier.planned import Patch, Plan
from services.applier.reports import ObjectFailure
from services.applier.state import Entry, Wanted
from shared.core.canonical import decode, encode
from shared.core.objects import ObjectKey
from shared.errors import PermanentError

NAMED = 10
DIGITS = 16
_SEALED = "sealed"
"""Stands for all content of an object that says of itself that it never changes."""
_SAYS_SO = b'"immutable":true'
"""Canonical, and in no string, where quotes are escaped."""
_SELECTOR = ("spec", "selector")
_CLAIM = ("accessModes", "dataSource", "dataSourceRef", "selector", "storageClassName", "volumeMode", "volumeName")

# Not all that cannot change, but what people change; the API server has the last word.
_FIXED: Mapping[tuple[str, str], tuple[tuple[str, ...], ...]] = {
    ("apps", "Deployment"): (_SELECTOR,),
    ("apps", "ReplicaSet"): (_SELECTOR,),
    ("apps", "DaemonSet"): (_SELECTOR,),
    ("apps", "StatefulSet"): (
        _SELECTOR,
        ("spec", "serviceName"),
        ("spec", "volumeClaimTemplates"),
        ("spec", "podManagementPolicy"),
    ),
    ("batch", "Job"): (_SELECTOR, ("spec", "template"), ("spec", "completions"), ("spec", "completionMode")),
    ("", "Service"): (("spec", "clusterIP"), ("spec", "clusterIPs")),
    ("", "PersistentVolumeClaim"): tuple(("spec", name) for name in _CLAIM),
    ("", "ConfigMap"): (),
    ("", "Secret"): (),
    ("networking.k8s.io", "IngressClass"): (("spec", "controller"),),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): (("roleRef",),),
    ("rbac.authorization.k8s.io", "RoleBinding"): (("roleRef",),),
    ("scheduling.k8s.io", "PriorityClass"): (("value",), ("preemptionPolicy",)),
    ("storage.k8s.io", "StorageClass"): tuple(
        (name,) for name in ("parameters", "provisioner", "reclaimPolicy", "volumeBindingMode")
    ),
}


class FixedFieldsError(PermanentError):
    """The API server would refuse objects of a release for what they are, so nothing of it is applied."""

    code = "release.immutable"

    def __init__(self, failures: tuple[ObjectFailure, ...]) -> None:
        names = ", ".join(each.key for each in failures[:NAMED])
        more = f" and {len(failures) - NAMED} more" if len(failures) > NAMED else ""
        hint = "see what each needs; `onImmutable: recreate` in the app, or the annotation towline.dev/force, makes them anew"
        super().__init__(f"nothing is applied, for fields that never change differ in {names}{more}", hint=hint)
        self.failures = failures


def fixed_of(wanted: Wanted) -> str:
    """Return a digest of what never changes of an object; empty where nothing is known to be so."""
    paths = _FIXED.get((wanted.key.group, wanted.key.kind))
    if paths is None:
        return ""
    if not paths:
        return _SEALED if _SAYS_SO in wanted.body else ""
    manifest = decode(wanted.body)
    return sha256(encode([_at(manifest, path) for path in paths])).hexdigest()[:DIGITS]


def suspects(todo: Plan, entries: Mapping[ObjectKey, Entry], recreates: Callable[[Wanted], bool]) -> list[Patch]:
    """Return the steps that may be refused for good: fixed fields are not as we last applied them, or nobody knows."""
    return [
        step
        for step in todo.steps()
        if isinstance(step, Patch) and not recreates(step.wanted) and _differs(step.wanted, entries.get(step.key))
    ]


def _differs(wanted: Wanted, entry: Entry | None) -> bool:
    if (wanted.key.group, wanted.key.kind) not in _FIXED:
        return False
    before, now = (entry.fixed if entry else ""), fixed_of(wanted)
    return before == _SEALED or now not in {before, _SEALED}


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for step in path:
        value = value.get(step) if isinstance(value, Mapping) else None
    return value
