"""Decide in which order objects are applied and deleted: waves by annotation, inside a wave stages by kind (rule C2).

What others need comes first: definitions before what they define, accounts and roles before what runs under them,
and webhooks last, since a webhook whose backend does not run yet would refuse everything after it. Deletion goes the
other way round.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import groupby
from typing import Any, TypeVar

from services.applier.tracking import GROUP
from shared.core.objects import ObjectKey

T = TypeVar("T")

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
_WAVES = (f"{GROUP}/wave", "argocd.argoproj.io/sync-wave")


def rank_of(key: ObjectKey) -> int:
    """Return the place of a kind inside a wave; what is unknown stands with the workloads."""
    if (rank := _RANKS.get((key.group, key.kind))) is not None:
        return rank
    if key.group in _CLASS_GROUPS and key.kind.endswith("Class"):
        return CLASSES
    if key.group == "gateway.networking.k8s.io":
        return ROUTES
    return WORKLOADS


def wave_of(annotations: Mapping[str, Any]) -> int:
    """Return the wave that an object asks for.

    Raises:
        ValueError: it is not an integer; taking it for 0 would apply it at the wrong time.
    """
    for name in _WAVES:
        text = annotations.get(name)
        if text is None:
            continue
        try:
            return int(str(text))
        except ValueError:
            raise ValueError(f"{name} is {str(text)[:40]!r}, not an integer") from None
    return 0


def staged(items: Iterable[T], place: Callable[[T], tuple[int, ObjectKey]]) -> list[tuple[int, int, tuple[T, ...]]]:
    """Return (wave, rank, items) in the order of application; `place` gives an item's wave and key.

    Inside a stage the order is that of keys, so that reports are the same each time (C3).
    """

    def at(item: T) -> tuple[int, int]:
        wave, key = place(item)
        return wave, rank_of(key)

    ordered = sorted(items, key=lambda item: (*at(item), place(item)[1]))
    return [(wave, rank, tuple(found)) for (wave, rank), found in groupby(ordered, key=at)]
