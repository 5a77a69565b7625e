"""Decide in which order objects are applied and deleted: waves by annotation, inside a wave stages by kind (rule C2).

What others need comes first: definitions before what they define, accounts and roles before what runs under them,
and webhooks last, since a webhook whose backend does not run yet would refuse everything after it. Deletion goes the
other way round.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import groupby
from typing import TypeVar

from services.applier.state import Entry, Wanted
from shared.core.objects import ObjectKey

T = TypeVar("T")
Place = tuple[int, int, int]

CRDS, NAMESPACES, CLASSES, ACCESS, ROLES, BINDINGS, SETTINGS, VOLUMES, SERVICES = range(9)
WORKLOADS, ROUTES, API_SERVICES, ADMISSION = range(9, 13)

_RBAC = "rbac.authorization.k8s.io"
_ADMISSION = "admissionregistration.k8s.io"
_RANKS: Mapping[tuple[str, str], int] = {
    ("apiextensions.k8s.io", "CustomResourceDefinition"): CRDS,
    ("", "Namespace"): NAMESPACES,
    ("", "ServiceAccount"): ACCESS,
    ("", "ResourceQuota"): ACCESS,
    ("", "LimitRange"): ACCESS,
    ("networking.k8s.io", "NetworkPolicy"): ACCESS,
    (_RBAC, "Role"): ROLES,
    (_RBAC, "ClusterRole"): ROLES,
    (_RBAC, "RoleBinding"): BINDINGS,
    (_RBAC, "ClusterRoleBinding"): BINDINGS,
    ("", "ConfigMap"): SETTINGS,
    ("", "Secret"): SETTINGS,
    ("", "PersistentVolume"): VOLUMES,
    ("", "PersistentVolumeClaim"): VOLUMES,
    ("", "Service"): SERVICES,
    ("policy", "PodDisruptionBudget"): ROUTES,
    ("autoscaling", "HorizontalPodAutoscaler"): ROUTES,
    ("networking.k8s.io", "Ingress"): ROUTES,
    ("extensions", "Ingress"): ROUTES,
    ("apiregistration.k8s.io", "APIService"): API_SERVICES,
    (_ADMISSION, "MutatingWebhookConfiguration"): ADMISSION,
    (_ADMISSION, "ValidatingWebhookConfiguration"): ADMISSION,
    (_ADMISSION, "ValidatingAdmissionPolicy"): ADMISSION,
    (_ADMISSION, "ValidatingAdmissionPolicyBinding"): ADMISSION,
}
_CLASS_GROUPS = frozenset(
    {
        "scheduling.k8s.io",
        "storage.k8s.io",
        "node.k8s.io",
        "networking.k8s.io",
        "gateway.networking.k8s.io",
        "resource.k8s.io",
    },
)


def rank_of(key: ObjectKey) -> int:
    """Return the place of a kind inside a wave; what is unknown stands with the workloads."""
    if (rank := _RANKS.get((key.group, key.kind))) is not None:
        return rank
    if key.group in _CLASS_GROUPS and key.kind.endswith("Class"):
        return CLASSES
    if key.group == "gateway.networking.k8s.io":
        return ROUTES
    return WORKLOADS


def place_of(item: Wanted | Entry) -> Place:
    """Return where an object stands: its wave, its stage, and its level inside that (C4)."""
    return item.wave, rank_of(item.key) if item.rank is None else item.rank, item.level


def staged(items: Iterable[T], where: Callable[[T], tuple[Place, ObjectKey]]) -> list[tuple[int, int, tuple[T, ...]]]:
    """Return (wave, rank, items) in the order of application; `where` gives an item's place and key.

    Inside a stage the order is that of keys, so that reports are the same each time (C3).
    """
    ordered = sorted(items, key=where)
    return [(place[0], place[1], tuple(found)) for place, found in groupby(ordered, key=lambda item: where(item)[0])]
