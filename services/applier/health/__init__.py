"""Say how an object does, from the object alone: kstatus, with the deviations that people expect (rule J1)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from services.applier.health.kstatus import Status, computed, conditions_of
from services.applier.policy import GROUP
from shared.core.objects import Manifest, group_of
from shared.core.status import Health

WAIT_FOR = f"{GROUP}/wait-for"
_SCALED = frozenset({"Deployment", "StatefulSet", "ReplicaSet"})
# How an app does is how the worst of its objects does.
_WORST_FIRST = (
    Health.FAILED,
    Health.TERMINATING,
    Health.NOT_FOUND,
    Health.IN_PROGRESS,
    Health.UNKNOWN,
    Health.CURRENT,
)

__all__ = ["Status", "health_of", "overall"]


def health_of(manifest: Manifest) -> Status:
    """Return how a live object does; it must be complete, its status included."""
    computed_status = computed(manifest)
    if computed_status.health is Health.TERMINATING or computed_status.reason == "LatestGenerationNotObserved":
        return computed_status
    deviation = _DEVIATIONS.get((group_of(manifest.get("apiVersion") or ""), manifest.get("kind") or ""))
    return (deviation(manifest) if deviation else None) or computed_status


def overall(healths: Iterable[Health]) -> Health:
    """Return how an app with objects of these healths does; without objects it does well."""
    found = set(healths)
    return next((health for health in _WORST_FIRST if health in found), Health.CURRENT)


def _workload(manifest: Manifest) -> Status | None:
    """Paused on purpose, or scaled to nothing: that is how it should be."""
    spec = _mapping(manifest, "spec")
    if manifest["kind"] == "Deployment" and spec.get("paused") is True:
        return Status(Health.CURRENT, "Suspended", "paused")
    if manifest["kind"] in _SCALED and spec.get("replicas") == 0:
        return Status(Health.CURRENT, "ScaledToZero", "0 replicas wanted")
    return None


def _job(manifest: Manifest) -> Status | None:
    """Still to be done is not done: kstatus calls a started job current."""
    if _mapping(manifest, "spec").get("suspend") is True:
        return Status(Health.CURRENT, "Suspended", "suspended")
    ended = {
        name for name in ("Complete", "Failed") if (conditions_of(manifest).get(name) or {}).get("status") == "True"
    }
    return None if ended else Status(Health.IN_PROGRESS, "JobRunning", "the job has not completed")


def _addressed(manifest: Manifest) -> Status:
    """An address is waited for only when asked: many clusters never give one."""
    annotations = _mapping(_mapping(manifest, "metadata"), "annotations")
    balancer = _mapping(_mapping(manifest, "status"), "loadBalancer")
    if annotations.get(WAIT_FOR) == "address" and not balancer.get("ingress"):
        return Status(Health.IN_PROGRESS, "NoAddress", "no address was assigned yet")
    return Status(Health.CURRENT)


def _service(manifest: Manifest) -> Status | None:
    return _addressed(manifest) if _mapping(manifest, "spec").get("type") == "LoadBalancer" else None


def _namespace(manifest: Manifest) -> Status | None:
    if _mapping(manifest, "status").get("phase") == "Terminating":
        return Status(Health.TERMINATING, "Terminating", "the namespace is being deleted")
    return None


def _api_service(manifest: Manifest) -> Status | None:
    available = conditions_of(manifest).get("Available") or {}
    if available.get("status") == "True":
        return Status(Health.CURRENT)
    return Status(Health.IN_PROGRESS, available.get("reason") or "NotAvailable", available.get("message") or "")


def _mapping(parent: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = parent.get(name)
    return found if isinstance(found, Mapping) else {}


_DEVIATIONS: Mapping[tuple[str, str], Callable[[Manifest], Status | None]] = {
    ("", "Namespace"): _namespace,
    ("", "Service"): _service,
    ("apiregistration.k8s.io", "APIService"): _api_service,
    ("apps", "Deployment"): _workload,
    ("apps", "ReplicaSet"): _workload,
    ("apps", "StatefulSet"): _workload,
    ("batch", "Job"): _job,
    ("extensions", "Deployment"): _workload,
    ("networking.k8s.io", "Ingress"): _addressed,
}
