"""Compute an object's status by the rules of kstatus: what all kinds share, then the built-in kind, then `Ready`.

The words are kstatus's own, so that people find them in its documentation. An object that says nothing is current.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from shared.core.objects import Manifest, group_of
from shared.core.status import Health


class Doubt(StrEnum):
    """What only time can tell."""

    NONE = ""
    PASSING = "Passing"
    """A failure that may end by itself: it counts as one when the time is up."""
    SILENT = "Silent"
    """In progress only because nothing says otherwise: well after a moment."""


@dataclass(frozen=True, slots=True)
class Status:
    """How an object does, why in one word, and in words."""

    health: Health
    reason: str = ""
    message: str = ""
    doubt: Doubt = Doubt.NONE


CURRENT = Status(Health.CURRENT)


def computed(manifest: Manifest) -> Status:
    """Return the status of a live object."""
    if generic := _generic(manifest):
        return generic
    kind = manifest.get("kind") or ""
    rule = _KINDS.get((group_of(manifest.get("apiVersion") or ""), kind))
    if rule is not None:
        return rule(_Read(manifest))
    return _ready(manifest) or CURRENT


def conditions_of(manifest: Manifest) -> dict[str, Mapping[str, Any]]:
    """Return type → condition; what is malformed is left out."""
    status = manifest.get("status")
    found = status.get("conditions") if isinstance(status, Mapping) else None
    listed = found if isinstance(found, list) else []
    return {str(each.get("type")): each for each in listed if isinstance(each, Mapping)}


class _Read:
    """An object's numbers and texts, with the defaults that the API documents."""

    def __init__(self, manifest: Manifest) -> None:
        self.spec = _mapping(manifest.get("spec"))
        self.status = _mapping(manifest.get("status"))
        self.conditions = conditions_of(manifest)

    def wanted(self) -> int:
        """Return `spec.replicas`, 1 by default."""
        return _number(self.spec.get("replicas"), 1)

    def count(self, name: str) -> int:
        return _number(self.status.get(name), 0)

    def is_true(self, condition: str) -> bool:
        return (self.conditions.get(condition) or {}).get("status") == "True"

    def strategy(self) -> Mapping[str, Any]:
        return _mapping(self.spec.get("updateStrategy"))


def _generic(manifest: Manifest) -> Status | None:
    """Return what deletion, an unseen generation and the standard conditions decide for every kind."""
    metadata = _mapping(manifest.get("metadata"))
    if metadata.get("deletionTimestamp"):
        return Status(Health.TERMINATING, "Terminating", "the object is being deleted")
    status = _mapping(manifest.get("status"))
    observed, generation = status.get("observedGeneration"), metadata.get("generation")
    if observed is not None and generation is not None and observed != generation:
        return _progress("LatestGenerationNotObserved", f"generation {generation} wanted, {observed} observed")
    conditions = conditions_of(manifest)
    for name, health in (("Reconciling", Health.IN_PROGRESS), ("Stalled", Health.FAILED)):
        condition = conditions.get(name) or {}
        if condition.get("status") == "True":
            return Status(health, str(condition.get("reason") or ""), str(condition.get("message") or ""))
    return None


def _ready(manifest: Manifest) -> Status | None:
    condition = conditions_of(manifest).get("Ready")
    if condition is None:
        return None
    if condition.get("status") == "True":
        return CURRENT
    return _progress(str(condition.get("reason") or "NotReady"), str(condition.get("message") or ""))


def _progress(reason: str, message: str = "") -> Status:
    return Status(Health.IN_PROGRESS, reason, message)


def _first(checks: Iterable[tuple[bool, str, str]]) -> Status:
    """Return progress for the first check that holds, else current."""
    return next((_progress(reason, message) for holds, reason, message in checks if holds), CURRENT)


def _deployment(read: _Read) -> Status:
    progressing = read.conditions.get("Progressing") or {}
    if progressing.get("reason") == "ProgressDeadlineExceeded":
        return Status(Health.FAILED, "ProgressDeadlineExceeded", "the rollout did not progress in time")
    wanted, there, updated = read.wanted(), read.count("replicas"), read.count("updatedReplicas")
    available, ready = read.count("availableReplicas"), read.count("readyReplicas")
    done = progressing.get("status") == "True" and progressing.get("reason") == "NewReplicaSetAvailable"
    unbounded = _number(read.spec.get("progressDeadlineSeconds"), _NO_DEADLINE) == _NO_DEADLINE
    return _first(
        (
            (wanted > there, "LessReplicas", f"replicas: {there}/{wanted}"),
            (wanted > updated, "LessUpdated", f"updated: {updated}/{wanted}"),
            (there > wanted, "ExtraPods", f"{there - wanted} pods still to go"),
            (updated > available, "LessAvailable", f"available: {available}/{updated}"),
            (wanted > ready, "LessReady", f"ready: {ready}/{wanted}"),
            (not (done or unbounded), "ReplicaSetNotAvailable", "the new replica set is not available"),
            (not read.is_true("Available"), "DeploymentNotAvailable", "the deployment is not available"),
        ),
    )


_NO_DEADLINE = 2**31 - 1


def _replica_set(read: _Read) -> Status:
    wanted, there = read.wanted(), read.count("replicas")
    labelled, available = read.count("fullyLabeledReplicas"), read.count("availableReplicas")
    ready = read.count("readyReplicas")
    return _first(
        (
            (read.is_true("ReplicaFailure"), "ReplicaFailure", "pods cannot be made or deleted"),
            (wanted > labelled, "LessLabelled", f"labelled: {labelled}/{wanted}"),
            (wanted > available, "LessAvailable", f"available: {available}/{wanted}"),
            (wanted > ready, "LessReady", f"ready: {ready}/{wanted}"),
            (there > wanted, "ExtraPods", f"{there - wanted} pods still to go"),
        ),
    )


def _stateful_set(read: _Read) -> Status:
    strategy = read.strategy()
    if strategy.get("type") == "OnDelete":
        return CURRENT
    wanted, there, ready = read.wanted(), read.count("replicas"), read.count("readyReplicas")
    current, updated = read.count("currentReplicas"), read.count("updatedReplicas")
    partition = _mapping(strategy.get("rollingUpdate")).get("partition")
    split = isinstance(partition, int) and partition > 0
    share = max(0, wanted - partition) if isinstance(partition, int) else wanted
    revisions = read.status.get("currentRevision"), read.status.get("updateRevision")
    return _first(
        (
            (wanted > there, "LessReplicas", f"replicas: {there}/{wanted}"),
            (wanted > ready, "LessReady", f"ready: {ready}/{wanted}"),
            (there > wanted, "ExtraPods", f"{there - wanted} pods still to go"),
            (split and updated < share, "PartitionRollout", f"updated: {updated}/{share}"),
            (not split and wanted > current, "LessCurrent", f"current: {current}/{wanted}"),
            (not split and revisions[0] != revisions[1], "RollingUpdate", "pods of the old revision are left"),
        ),
    )


def _daemon_set(read: _Read) -> Status:
    if read.strategy().get("type") == "OnDelete":
        return CURRENT
    wanted = _number(read.status.get("desiredNumberScheduled"), -1)
    current, updated = read.count("currentNumberScheduled"), read.count("updatedNumberScheduled")
    available, ready = read.count("numberAvailable"), read.count("numberReady")
    return _first(
        (
            (read.status.get("observedGeneration") is None, "NoObservedGeneration", "not seen by its controller yet"),
            (wanted < 0, "NoDesiredNumber", "not counted by its controller yet"),
            (wanted > current, "LessCurrent", f"current: {current}/{wanted}"),
            (wanted > updated, "LessUpdated", f"updated: {updated}/{wanted}"),
            (wanted > available, "LessAvailable", f"available: {available}/{wanted}"),
            (wanted > ready, "LessReady", f"ready: {ready}/{wanted}"),
        ),
    )


def _pod(read: _Read) -> Status:
    phase = read.status.get("phase")
    match phase:
        case "Succeeded":
            return CURRENT
        case "Failed":
            return Status(Health.FAILED, "PodFailed", str(read.status.get("message") or "the pod failed"))
        case "Running":
            return _running_pod(read)
        case "Pending":
            scheduled = read.conditions.get("PodScheduled") or {}
            stuck = scheduled.get("status") == "False" and scheduled.get("reason") == "Unschedulable"
            return _progress("PodUnschedulable" if stuck else "PodPending", str(scheduled.get("message") or "pending"))
        case _:
            return _progress("PodNotObserved", f"phase {phase or 'unknown'}")


def _running_pod(read: _Read) -> Status:
    if read.is_true("Ready"):
        return CURRENT
    if looping := _crash_looping(read):
        return Status(Health.FAILED, "ContainerCrashLooping", f"crash looping: {', '.join(looping)}")
    return _progress("PodRunningNotReady", "the pod runs and is not ready")


def _crash_looping(read: _Read) -> list[str]:
    listed = read.status.get("containerStatuses")
    states = [each for each in (listed if isinstance(listed, list) else []) if isinstance(each, Mapping)]
    return [
        str(each.get("name"))
        for each in states
        if _mapping(_mapping(each.get("state")).get("waiting")).get("reason") == "CrashLoopBackOff"
    ]


def _job(read: _Read) -> Status:
    if read.is_true("Failed"):
        condition = read.conditions["Failed"]
        return Status(Health.FAILED, "JobFailed", str(condition.get("message") or "the job failed"))
    if read.is_true("Complete") or read.status.get("startTime"):
        return CURRENT
    return _progress("JobNotStarted", "the job has not started")


def _claim(read: _Read) -> Status:
    phase = read.status.get("phase")
    return CURRENT if phase == "Bound" else _progress("NotBound", f"phase {phase or 'unknown'}")


def _service(read: _Read) -> Status:
    if read.spec.get("type") == "LoadBalancer" and not read.spec.get("clusterIP"):
        return _progress("NoIPAssigned", "no cluster IP was assigned yet")
    return CURRENT


def _definition(read: _Read) -> Status:
    for name, tolerated in (("NamesAccepted", ""), ("Established", "Installing")):
        condition = read.conditions.get(name) or {}
        if condition.get("status") == "False" and condition.get("reason") != tolerated:
            return Status(Health.FAILED, str(condition.get("reason") or ""), str(condition.get("message") or ""))
    return CURRENT if read.is_true("Established") else _progress("Installing", "the definition is being installed")


def _always(read: _Read) -> Status:  # noqa: ARG001  # a kind that cannot be unwell
    return CURRENT


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _number(value: Any, default: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else default


_KINDS: Mapping[tuple[str, str], Callable[[_Read], Status]] = {
    ("", "PersistentVolumeClaim"): _claim,
    ("", "Pod"): _pod,
    ("", "Service"): _service,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _definition,
    ("apps", "DaemonSet"): _daemon_set,
    ("apps", "Deployment"): _deployment,
    ("apps", "ReplicaSet"): _replica_set,
    ("apps", "StatefulSet"): _stateful_set,
    ("batch", "CronJob"): _always,
    ("batch", "Job"): _job,
    ("extensions", "DaemonSet"): _daemon_set,
    ("extensions", "Deployment"): _deployment,
    ("extensions", "ReplicaSet"): _replica_set,
    ("policy", "PodDisruptionBudget"): _always,
}
