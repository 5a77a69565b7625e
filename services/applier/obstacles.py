"""Decide what may stand in the way of objects that failed for good: what to look out for until they are tried again (E6)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from services.applier.crds import CRD
from services.applier.errors import ErrorClass
from services.applier.lists import BUILTIN
from services.applier.reports import ObjectFailure

MOST = 12
"""Of one app; the rest is tried again when its time comes."""
_RBAC, _ADMISSION = "rbac.authorization.k8s.io", "admissionregistration.k8s.io"


@dataclass(frozen=True, slots=True, order=True)
class Obstacle:
    """Objects of which any change is a reason to try again: a kind, in one namespace or of one name where that is said."""

    group: str
    kind: str
    namespace: str = ""
    name: str = ""


Found = Callable[[Obstacle], tuple[Obstacle, ...]]
_DEFINITIONS = Obstacle(*CRD)


def _rights(failed: Obstacle) -> tuple[Obstacle, ...]:
    here = [Obstacle(_RBAC, kind, failed.namespace) for kind in ("Role", "RoleBinding") if failed.namespace]
    return (*here, Obstacle(_RBAC, "ClusterRole"), Obstacle(_RBAC, "ClusterRoleBinding"))


def _admission(_failed: Obstacle) -> tuple[Obstacle, ...]:
    kinds = ("WebhookConfiguration", "AdmissionPolicy", "AdmissionPolicyBinding")
    return tuple(Obstacle(_ADMISSION, f"{what}{kind}") for what in ("Validating", "Mutating") for kind in kinds)


def _schema(failed: Obstacle) -> tuple[Obstacle, ...]:
    return () if failed.group in BUILTIN else (_DEFINITIONS,)


_IN_THE_WAY: Mapping[str, Found] = {
    ErrorClass.FORBIDDEN: _rights,
    ErrorClass.IMPERSONATION_FORBIDDEN: _rights,
    ErrorClass.WEBHOOK: _admission,
    ErrorClass.SCHEMA: _schema,
    ErrorClass.INVALID: _schema,
    ErrorClass.UNKNOWN_KIND: lambda _: (_DEFINITIONS,),
    ErrorClass.NAMESPACE_MISSING: lambda failed: (Obstacle("", "Namespace", name=failed.namespace),),
    ErrorClass.CONFLICT: lambda failed: (failed,),
    ErrorClass.REPLACED: lambda failed: (failed,),
    ErrorClass.IMMUTABLE: lambda failed: (failed,),
}


def obstacles(failures: Iterable[ObjectFailure]) -> frozenset[Obstacle]:
    """Return what may be in the way of these objects; nothing for those that only a release can mend."""
    found: dict[Obstacle, None] = {}
    for failure in failures:
        if in_the_way := _IN_THE_WAY.get(failure.code):
            found |= dict.fromkeys(in_the_way(_object_of(failure.key)))
    return frozenset(list(found)[:MOST])


def _object_of(key: str) -> Obstacle:
    """Return the object of a key as it is written: `group/Kind:namespace/name`."""
    kind, _, place = key.partition(":")
    namespace, _, name = place.partition("/")
    group, _, word = kind.partition("/")
    return Obstacle(group, word, namespace, name)
