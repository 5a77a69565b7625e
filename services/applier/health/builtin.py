"""Where people expect something else of built-in kinds than kstatus says (rule J1).

What may still come up by itself, a pod whose image cannot be pulled, is told as a failure at once and counts as one
when the time is up.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from services.applier.health.kstatus import CURRENT, Doubt, Status, conditions_of
from shared.core.objects import Manifest
from shared.core.status import Health

SUSPENDED = "Suspended"
WAIT_FOR = "towline.dev/wait-for"
PROVISIONERS = ("volume.kubernetes.io/storage-provisioner", "volume.beta.kubernetes.io/storage-provisioner")
MANY_RESTARTS = 3
_HPA_CONDITIONS = "autoscaling.alpha.kubernetes.io/conditions"
_SCALED = frozenset({"Deployment", "StatefulSet", "ReplicaSet"})
_STUCK = frozenset({"InvalidImageName", "ImageInspectError", "ErrImageNeverPull"})

Deviation = Callable[[Manifest], Status | None]


def deviation_of(group: str, kind: str) -> Deviation | None:
    """Return what decides about a kind before kstatus does; it may have no opinion on an object."""
    return _DEVIATIONS.get((group, kind))


def _suspended(message: str) -> Status:
    return Status(Health.CURRENT, SUSPENDED, message)


def _progress(reason: str, message: str, doubt: Doubt = Doubt.NONE) -> Status:
    return Status(Health.IN_PROGRESS, reason, message, doubt)


def _workload(manifest: Manifest) -> Status | None:
    """Paused on purpose, or scaled to nothing: that is how it should be."""
    spec = _mapping(manifest, "spec")
    if manifest["kind"] == "Deployment" and spec.get("paused") is True:
        return _suspended("paused")
    if manifest["kind"] in _SCALED and spec.get("replicas") == 0:
        return Status(Health.CURRENT, "ScaledToZero", "0 replicas wanted")
    return None


def _pod(manifest: Manifest) -> Status | None:
    """A container that waits for what does not come is a failure; one with an end is well when it has ended."""
    spec, status = _mapping(manifest, "spec"), _mapping(manifest, "status")
    if status.get("phase") not in {"Pending", "Running"}:
        return None
    if spec.get("restartPolicy", "Always") != "Always":
        return _progress("PodRunning", "the pod has not ended") if status["phase"] == "Running" else None
    ready = _is_true(manifest, "Ready")
    for container in _containers(status):
        waiting = _mapping(_mapping(container, "state"), "waiting")
        if _stuck(str(waiting.get("reason") or ""), container):
            said = waiting.get("message") or waiting["reason"]
            return Status(Health.FAILED, str(waiting["reason"]), f"{container.get('name')}: {said}", Doubt.PASSING)
        if ended := not ready and _mapping(_mapping(container, "lastState"), "terminated"):
            said = f"{container.get('name')} ended with {ended.get('reason')} and was started again"
            return Status(Health.FAILED, "ContainerRestarting", said, Doubt.PASSING)
    return None


def _containers(status: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for name in ("initContainerStatuses", "containerStatuses"):
        listed = status.get(name)
        yield from (each for each in (listed if isinstance(listed, list) else []) if isinstance(each, Mapping))


def _stuck(reason: str, container: Mapping[str, Any]) -> bool:
    """Tell whether what a container waits for will hardly come: an image, a secret; it restarts again and again."""
    if reason == "CrashLoopBackOff":
        return bool(container.get("restartCount", MANY_RESTARTS) >= MANY_RESTARTS)
    return reason in _STUCK or reason.startswith("Err") or reason.endswith(("Error", "BackOff"))


def _job(manifest: Manifest) -> Status | None:
    """Still to be done is not done: kstatus calls a started job current."""
    if any(_is_true(manifest, name) for name in ("Complete", "Failed")):
        return None
    if _mapping(manifest, "spec").get("suspend") is True or _is_true(manifest, "Suspended"):
        return _suspended("suspended")
    return _progress("JobRunning", "the job has not completed")


def _cron_job(manifest: Manifest) -> Status | None:
    return _suspended("suspended") if _mapping(manifest, "spec").get("suspend") is True else None


def _addressed(manifest: Manifest) -> Status:
    """An address is waited for only when asked: many clusters never give one."""
    balancer = _mapping(_mapping(manifest, "status"), "loadBalancer")
    if _annotations(manifest).get(WAIT_FOR) == "address" and not balancer.get("ingress"):
        return _progress("NoAddress", "no address was assigned yet")
    return CURRENT


def _service(manifest: Manifest) -> Status | None:
    return _addressed(manifest) if _mapping(manifest, "spec").get("type") == "LoadBalancer" else None


def _claim(manifest: Manifest) -> Status | None:
    """A claim that its first consumer binds is as it should be: nobody has begun to make a volume for it."""
    phase = _mapping(manifest, "status").get("phase")
    if phase == "Lost":
        return Status(Health.FAILED, "Lost", "the volume is lost")
    untouched = not any(name in _annotations(manifest) for name in PROVISIONERS)
    spec = _mapping(manifest, "spec")
    if phase == "Pending" and untouched and spec.get("storageClassName") and not spec.get("volumeName"):
        return _progress("WaitForFirstConsumer", "no volume is being made before a pod needs it", Doubt.SILENT)
    return None


def _namespace(manifest: Manifest) -> Status | None:
    if _mapping(manifest, "status").get("phase") == "Terminating":
        return Status(Health.TERMINATING, "Terminating", "the namespace is being deleted")
    return None


def _definition(manifest: Manifest) -> Status | None:
    conditions = conditions_of(manifest)
    if _is_true(manifest, "Terminating"):
        return Status(Health.TERMINATING, "Terminating", "the definition is being deleted")
    if _is_true(manifest, "NonStructuralSchema"):
        return Status(Health.FAILED, "NonStructuralSchema", str(conditions["NonStructuralSchema"].get("message") or ""))
    return None


def _api_service(manifest: Manifest) -> Status | None:
    available = conditions_of(manifest).get("Available") or {}
    if available.get("status") == "True":
        return CURRENT
    return _progress(available.get("reason") or "NotAvailable", available.get("message") or "")


def _budget(manifest: Manifest) -> Status | None:
    if not manifest.get("status"):
        return _progress("NoStatus", "not seen by its controller yet")
    allowed = conditions_of(manifest).get("DisruptionAllowed") or {}
    if allowed.get("reason") == "SyncFailed":
        return Status(Health.FAILED, "SyncFailed", str(allowed.get("message") or ""))
    return None


def _autoscaler(manifest: Manifest) -> Status | None:
    """One that cannot read its target or its metric has failed; one that can scale, or is at a limit, does well."""
    conditions = _scaling(manifest)
    for each in conditions:
        if (each.get("type"), each.get("reason")) in _NOT_SCALING:
            # Metrics of new pods come a while after the pods.
            return Status(Health.FAILED, str(each["reason"]), str(each.get("message") or ""), Doubt.PASSING)
    if any(
        each.get("type") in {"AbleToScale", "ScalingLimited"} and each.get("status") == "True" for each in conditions
    ):
        return CURRENT
    return _progress("WaitingToScale", "it has not looked at its target yet")


_NOT_SCALING = frozenset(
    {
        ("AbleToScale", "FailedGetScale"),
        ("AbleToScale", "FailedUpdateScale"),
        ("ScalingActive", "FailedGetResourceMetric"),
        ("ScalingActive", "FailedGetContainerResourceMetric"),
        ("ScalingActive", "InvalidSelector"),
    }
)


def _scaling(manifest: Manifest) -> list[Mapping[str, Any]]:
    """Return an autoscaler's conditions; in v1 they are an annotation."""
    written = _annotations(manifest).get(_HPA_CONDITIONS)
    try:
        listed = json.loads(written) if isinstance(written, str) else _mapping(manifest, "status").get("conditions")
    except ValueError:
        listed = []
    return [each for each in listed if isinstance(each, Mapping)] if isinstance(listed, list) else []


def _is_true(manifest: Manifest, condition: str) -> bool:
    return (conditions_of(manifest).get(condition) or {}).get("status") == "True"


def _annotations(manifest: Manifest) -> Mapping[str, Any]:
    return _mapping(_mapping(manifest, "metadata"), "annotations")


def _mapping(parent: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = parent.get(name)
    return found if isinstance(found, Mapping) else {}


_DEVIATIONS: Mapping[tuple[str, str], Deviation] = {
    ("", "Namespace"): _namespace,
    ("", "PersistentVolumeClaim"): _claim,
    ("", "Pod"): _pod,
    ("", "Service"): _service,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _definition,
    ("apiregistration.k8s.io", "APIService"): _api_service,
    ("apps", "Deployment"): _workload,
    ("apps", "ReplicaSet"): _workload,
    ("apps", "StatefulSet"): _workload,
    ("autoscaling", "HorizontalPodAutoscaler"): _autoscaler,
    ("batch", "CronJob"): _cron_job,
    ("batch", "Job"): _job,
    ("extensions", "Deployment"): _workload,
    ("extensions", "Ingress"): _addressed,
    ("networking.k8s.io", "Ingress"): _addressed,
    ("policy", "PodDisruptionBudget"): _budget,
}
