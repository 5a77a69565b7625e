"""Stand in for the controllers: tell at once what status an object would come to have.

A workload fails when its cluster names it in `failing`, or when an image of it contains `fail`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from services.kubesim.cluster import CRDS, NAMESPACES, ClusterState
from services.kubesim.kinds import Resource

Object = dict[str, Any]
Status = Callable[[Mapping[str, Any], "Facts"], Object | None]
FAILING_IMAGE = "fail"


class Facts:
    """What a controller knows beyond the object: the time, and whether it is to fail."""

    __slots__ = ("failing", "now")

    def __init__(self, now: str, *, failing: bool) -> None:
        self.now = now
        self.failing = failing


def status_of(cluster: ClusterState, resource: Resource, value: Mapping[str, Any]) -> Object | None:
    """Return the status an object gets, None when no controller looks after it."""
    maker = MAKERS.get(resource.storage)
    if maker is None or (not cluster.settle and resource.storage not in ALWAYS):
        return None
    failing = value["metadata"]["name"] in cluster.failing or _images_fail(value.get("spec") or {})
    return maker(value, Facts(cluster.now(), failing=failing))


def _images_fail(spec: Mapping[str, Any]) -> bool:
    pod = (spec.get("template") or {}).get("spec") or spec
    containers = [*(pod.get("containers") or ()), *(pod.get("initContainers") or ())]
    return any(FAILING_IMAGE in (one.get("image") or "") for one in containers)


def _condition(kind: str, state: str, reason: str, message: str = "", **more: str) -> Object:
    return {"type": kind, "status": state, "reason": reason, "message": message, **more}


def _kept_times(value: Mapping[str, Any], conditions: list[Object], now: str) -> list[Object]:
    """Return the conditions with the time of their last change, so that a status that stays is the same."""
    before = {one.get("type"): one for one in (value.get("status") or {}).get("conditions") or ()}
    for one in conditions:
        old = before.get(one["type"]) or {}
        same = old.get("status") == one["status"]
        one.setdefault("lastTransitionTime", old.get("lastTransitionTime") or now if same else now)
        if "lastUpdateTime" in one:
            one["lastUpdateTime"] = old.get("lastUpdateTime") or now if same else now
    return conditions


def _counts(value: Mapping[str, Any]) -> tuple[int, int]:
    spec = value.get("spec") or {}
    replicas = spec.get("replicas")
    return (1 if replicas is None else int(replicas)), int(value["metadata"].get("generation") or 0)


def _deployment(value: Mapping[str, Any], facts: Facts) -> Object:
    replicas, generation = _counts(value)
    if facts.failing and replicas:
        message = f'ReplicaSet "{value["metadata"]["name"]}" has timed out progressing.'
        conditions = [
            _condition(
                "Available",
                "False",
                "MinimumReplicasUnavailable",
                "Deployment does not have minimum availability.",
                lastUpdateTime="",
            ),
            _condition("Progressing", "False", "ProgressDeadlineExceeded", message, lastUpdateTime=""),
        ]
        counted: Object = {"replicas": replicas, "updatedReplicas": replicas, "unavailableReplicas": replicas}
    else:
        message = f'ReplicaSet "{value["metadata"]["name"]}" has successfully progressed.'
        conditions = [
            _condition(
                "Available",
                "True",
                "MinimumReplicasAvailable",
                "Deployment has minimum availability.",
                lastUpdateTime="",
            ),
            _condition("Progressing", "True", "NewReplicaSetAvailable", message, lastUpdateTime=""),
        ]
        names = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
        counted = dict.fromkeys(names, replicas) if replicas else {}
    return {"observedGeneration": generation, **counted, "conditions": _kept_times(value, conditions, facts.now)}


def _stateful(value: Mapping[str, Any], facts: Facts) -> Object:
    replicas, generation = _counts(value)
    ready = 0 if facts.failing else replicas
    revision = f"{value['metadata']['name']}-{generation}"
    return {
        "observedGeneration": generation,
        "replicas": replicas,
        "readyReplicas": ready,
        "availableReplicas": ready,
        "currentReplicas": replicas,
        "updatedReplicas": replicas,
        "currentRevision": revision,
        "updateRevision": revision,
        "collisionCount": 0,
    }


def _daemons(value: Mapping[str, Any], facts: Facts) -> Object:
    ready = 0 if facts.failing else 1
    return {
        "observedGeneration": _counts(value)[1],
        "currentNumberScheduled": 1,
        "desiredNumberScheduled": 1,
        "numberMisscheduled": 0,
        "updatedNumberScheduled": 1,
        "numberReady": ready,
        "numberAvailable": ready,
    } | ({"numberUnavailable": 1} if facts.failing else {})


def _replicas(value: Mapping[str, Any], facts: Facts) -> Object:
    replicas, generation = _counts(value)
    counted = {} if facts.failing else {"readyReplicas": replicas, "availableReplicas": replicas}
    return {"observedGeneration": generation, "replicas": replicas, **counted, "fullyLabeledReplicas": replicas}


def _job(value: Mapping[str, Any], facts: Facts) -> Object:
    spec = value.get("spec") or {}
    before = value.get("status") or {}
    start = before.get("startTime") or facts.now
    if spec.get("suspend"):
        conditions = [_condition("Suspended", "True", "JobSuspended", "Job suspended")]
        return {"conditions": _kept_times(value, conditions, facts.now)}
    if facts.failing:
        text = "Job has reached the specified backoff limit"
        conditions = [_condition(kind, "True", "BackoffLimitExceeded", text) for kind in ("FailureTarget", "Failed")]
        return {"startTime": start, "failed": 1, "conditions": _kept_times(value, conditions, facts.now)}
    text = "Reached expected number of succeeded pods"
    conditions = [_condition(kind, "True", "CompletionsReached", text) for kind in ("SuccessCriteriaMet", "Complete")]
    return {
        "startTime": start,
        "completionTime": before.get("completionTime") or facts.now,
        "succeeded": spec.get("completions", 1),
        "ready": 0,
        "terminating": 0,
        "uncountedTerminatedPods": {},
        "conditions": _kept_times(value, conditions, facts.now),
    }


def _pod(value: Mapping[str, Any], facts: Facts) -> Object:
    ready = "False" if facts.failing else "True"
    reason = "ContainersNotReady" if facts.failing else ""
    kinds = (("Initialized", "True"), ("Ready", ready), ("ContainersReady", ready), ("PodScheduled", "True"))
    conditions = [
        {"type": kind, "status": state} | ({"reason": reason} if state == "False" else {}) for kind, state in kinds
    ]
    start = (value.get("status") or {}).get("startTime") or facts.now
    state = {"waiting": {"reason": "CrashLoopBackOff"}} if facts.failing else {"running": {"startedAt": start}}
    containers = [
        {
            "name": one.get("name"),
            "image": one.get("image"),
            "imageID": one.get("image"),
            "ready": not facts.failing,
            "started": not facts.failing,
            "restartCount": 5 if facts.failing else 0,
            "state": state,
        }
        for one in (value.get("spec") or {}).get("containers") or ()
    ]
    return {
        "phase": "Running",
        "startTime": start,
        "podIP": "10.244.0.9",
        "hostIP": "192.0.2.1",
        "qosClass": "BestEffort",
        "conditions": _kept_times(value, conditions, facts.now),
        "containerStatuses": containers,
    }


def _claim(value: Mapping[str, Any], facts: Facts) -> Object:
    spec = value.get("spec") or {}
    if facts.failing:
        return {"phase": "Pending"}
    asked = (spec.get("resources") or {}).get("requests") or {}
    return {"phase": "Bound", "accessModes": spec.get("accessModes") or [], "capacity": dict(asked)}


def _service(value: Mapping[str, Any], facts: Facts) -> Object:
    if (value.get("spec") or {}).get("type") != "LoadBalancer" or facts.failing:
        return {"loadBalancer": {}}
    return {"loadBalancer": {"ingress": [{"ip": "192.0.2.10", "ipMode": "VIP"}]}}


def _ingress(_value: Mapping[str, Any], facts: Facts) -> Object:
    return {"loadBalancer": {} if facts.failing else {"ingress": [{"ip": "192.0.2.10"}]}}


def _scaler(value: Mapping[str, Any], facts: Facts) -> Object:
    least = (value.get("spec") or {}).get("minReplicas") or 1
    conditions = [
        _condition("AbleToScale", "True", "ReadyForNewScale", "recommended size matches current size"),
        _condition(
            "ScalingActive", "True", "ValidMetricFound", "the HPA was able to successfully calculate a replica count"
        ),
        _condition("ScalingLimited", "False", "DesiredWithinRange", "the desired count is within the acceptable range"),
    ]
    return {
        "currentReplicas": least,
        "desiredReplicas": least,
        "currentMetrics": [],
        "conditions": _kept_times(value, conditions, facts.now),
    }


def _budget(value: Mapping[str, Any], facts: Facts) -> Object:
    conditions = [_condition("DisruptionAllowed", "True", "SufficientPods")]
    return {
        "observedGeneration": _counts(value)[1],
        "currentHealthy": 1,
        "desiredHealthy": 0,
        "disruptionsAllowed": 1,
        "expectedPods": 1,
        "conditions": _kept_times(value, conditions, facts.now),
    }


def _cron(value: Mapping[str, Any], _facts: Facts) -> Object:
    return dict(value.get("status") or {})


def _namespace(value: Mapping[str, Any], _facts: Facts) -> Object:
    return {"phase": "Terminating" if value["metadata"].get("deletionTimestamp") else "Active"}


def _definition(value: Mapping[str, Any], facts: Facts) -> Object:
    spec = value["spec"]
    stored = [one["name"] for one in spec.get("versions") or () if one.get("storage")]
    known = list((value.get("status") or {}).get("storedVersions") or ())
    conditions = [
        _condition("NamesAccepted", "True", "NoConflicts", "no conflicts found"),
        _condition("Established", "True", "InitialNamesAccepted", "the initial names have been accepted"),
    ]
    return {
        "acceptedNames": spec["names"],
        "conditions": _kept_times(value, conditions, facts.now),
        "storedVersions": known + [one for one in stored if one not in known],
    }


def _service_api(value: Mapping[str, Any], facts: Facts) -> Object:
    state = "False" if facts.failing else "True"
    conditions = [_condition("Available", state, "MissingEndpoints" if facts.failing else "Passed", "")]
    return {"conditions": _kept_times(value, conditions, facts.now)}


MAKERS: dict[str, Status] = {
    NAMESPACES: _namespace,
    CRDS: _definition,
    "apps/deployments": _deployment,
    "apps/statefulsets": _stateful,
    "apps/daemonsets": _daemons,
    "apps/replicasets": _replicas,
    "/replicationcontrollers": _replicas,
    "batch/jobs": _job,
    "batch/cronjobs": _cron,
    "/pods": _pod,
    "/persistentvolumeclaims": _claim,
    "/services": _service,
    "networking.k8s.io/ingresses": _ingress,
    "autoscaling/horizontalpodautoscalers": _scaler,
    "policy/poddisruptionbudgets": _budget,
    "apiregistration.k8s.io/apiservices": _service_api,
}
# Without these a cluster takes no objects at all.
ALWAYS = frozenset({NAMESPACES, CRDS})
