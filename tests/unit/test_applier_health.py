import json

import pytest

from services.applier.health import health_of, overall
from services.applier.health.kstatus import computed
from shared.core.status import Health
from tests.support.data import data_path

CONDITIONS = {Health.IN_PROGRESS: "Reconciling", Health.FAILED: "Stalled"}


def test_the_cases_of_kstatus():
    cases = [json.loads(line) for line in data_path("kstatus.jsonl").read_text().splitlines()]

    wrong = []
    for case in cases:
        found, expected = computed(case["input"]), case["expected"]
        conditions = (
            [{"type": CONDITIONS[found.health], "status": "True", "reason": found.reason}]
            if found.health in CONDITIONS
            else []
        )
        wanted = [{k: c[k] for k in ("type", "status", "reason")} for c in expected["conditions"]]
        if (found.health.value, conditions) != (expected["status"], wanted):
            wrong.append((case["case"], found))

    assert cases
    assert wrong == []


def made(kind, version="v1", *, spec=None, status=None, generation=1, **metadata):
    return {
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": "a", "generation": generation, **metadata},
        "spec": spec or {},
        "status": status if status is not None else {},
    }


def condition(name, status="True", reason="", message=""):
    return {"type": name, "status": status, "reason": reason, "message": message}


def conditions(*found):
    return {"conditions": list(found)}


UP = {"replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2}
AVAILABLE = [condition("Progressing", reason="NewReplicaSetAvailable"), condition("Available")]


def deployment(changes=(), listed=AVAILABLE, **spec):
    status = {**UP, **dict(changes), "conditions": listed}
    return made("Deployment", "apps/v1", spec={"replicas": 2, "progressDeadlineSeconds": 600, **spec}, status=status)


def sts(changes=(), **spec):
    status = {"replicas": 2, "readyReplicas": 2, "currentReplicas": 2, "currentRevision": "a", "updateRevision": "a"}
    return made("StatefulSet", "apps/v1", spec={"replicas": 2, **spec}, status={**status, **dict(changes)})


def daemon(changes=(), **spec):
    names = (
        "desiredNumberScheduled",
        "currentNumberScheduled",
        "updatedNumberScheduled",
        "numberAvailable",
        "numberReady",
    )
    return made(
        "DaemonSet", "apps/v1", spec=spec, status={"observedGeneration": 1, **dict.fromkeys(names, 2), **dict(changes)}
    )


def pod(phase, *listed, **status):
    return made("Pod", status={"phase": phase, "conditions": list(listed), **status})


PARTITION = {"updateStrategy": {"rollingUpdate": {"partition": 1}}}
CRD = ("CustomResourceDefinition", "apiextensions.k8s.io/v1")

CASES = [
    (made("ConfigMap"), "Current", ""),
    (made("ConfigMap", status=[]), "Current", ""),
    (made("ConfigMap", deletionTimestamp="now"), "Terminating", "Terminating"),
    (
        made("Widget", "acme.io/v1", generation=2, status={"observedGeneration": 1}),
        "InProgress",
        "LatestGenerationNotObserved",
    ),
    (made("Widget", "acme.io/v1", status=conditions(condition("Stalled", reason="Broken"))), "Failed", "Broken"),
    (made("Widget", "acme.io/v1", status=conditions(condition("Reconciling", reason="Busy"))), "InProgress", "Busy"),
    (made("Widget", "acme.io/v1", status=conditions(condition("Ready"))), "Current", ""),
    (made("Widget", "acme.io/v1", status=conditions(condition("Ready", "False", "NoWater"))), "InProgress", "NoWater"),
    (made("Widget", "acme.io/v1", status=conditions(condition("Ready", "Unknown"))), "InProgress", "NotReady"),
    (made("Widget", "acme.io/v1", status=conditions(condition("Happy", "False"), "odd")), "Current", ""),
    (made("Widget", "acme.io/v1", status={"conditions": None}), "Current", ""),
    (deployment(), "Current", ""),
    (deployment({"replicas": 1}), "InProgress", "LessReplicas"),
    (deployment({"updatedReplicas": 1}), "InProgress", "LessUpdated"),
    (deployment({"replicas": 3}), "InProgress", "ExtraPods"),
    (deployment({"availableReplicas": 1}), "InProgress", "LessAvailable"),
    (deployment({"readyReplicas": 1}), "InProgress", "LessReady"),
    (deployment(listed=[condition("Available")]), "InProgress", "ReplicaSetNotAvailable"),
    (deployment(listed=AVAILABLE[:1]), "InProgress", "DeploymentNotAvailable"),
    (
        deployment(listed=[condition("Progressing", "False", "ProgressDeadlineExceeded")]),
        "Failed",
        "ProgressDeadlineExceeded",
    ),
    (deployment({"replicas": 0}, paused=True), "Current", "Suspended"),
    (deployment(replicas=0), "Current", "ScaledToZero"),
    (made("ReplicaSet", "apps/v1"), "InProgress", "LessLabelled"),
    (made("ReplicaSet", "apps/v1", status=conditions(condition("ReplicaFailure"))), "InProgress", "ReplicaFailure"),
    (sts(), "Current", ""),
    (sts({"replicas": 3}), "InProgress", "ExtraPods"),
    (sts({"updateRevision": "b"}), "InProgress", "RollingUpdate"),
    (sts({"readyReplicas": 0}, updateStrategy={"type": "OnDelete"}), "Current", ""),
    (sts({"updatedReplicas": 0, "updateRevision": "b"}, **PARTITION), "InProgress", "PartitionRollout"),
    (sts({"updatedReplicas": 1, "updateRevision": "b"}, **PARTITION), "Current", ""),
    (daemon(), "Current", ""),
    (daemon({"desiredNumberScheduled": None}), "InProgress", "NoDesiredNumber"),
    (daemon({"currentNumberScheduled": 1}), "InProgress", "LessCurrent"),
    (daemon({"updatedNumberScheduled": 1}), "InProgress", "LessUpdated"),
    (daemon({"numberReady": 0}, updateStrategy={"type": "OnDelete"}), "Current", ""),
    (pod("Succeeded"), "Current", ""),
    (pod("Failed"), "Failed", "PodFailed"),
    (pod("Running", condition("Ready")), "Current", ""),
    (pod("Running", containerStatuses=[{"state": {"running": {}}}]), "InProgress", "PodRunningNotReady"),
    (pod("Pending", condition("PodScheduled", "False", "Unschedulable")), "InProgress", "PodUnschedulable"),
    (pod("Pending"), "InProgress", "PodPending"),
    (pod(None), "InProgress", "PodNotObserved"),
    (made("Job", "batch/v1"), "InProgress", "JobRunning"),
    (made("Job", "batch/v1", status={"startTime": "now"}), "InProgress", "JobRunning"),
    (made("Job", "batch/v1", status=conditions(condition("Complete"))), "Current", ""),
    (made("Job", "batch/v1", status=conditions(condition("Failed"))), "Failed", "JobFailed"),
    (made("Job", "batch/v1", status=conditions(condition("FailureTarget"))), "InProgress", "JobRunning"),
    (made("Job", "batch/v1", spec={"suspend": True}), "Current", "Suspended"),
    (made("PersistentVolumeClaim", status={"phase": "Bound"}), "Current", ""),
    (made("PersistentVolumeClaim"), "InProgress", "NotBound"),
    (made("Service", spec={"type": "LoadBalancer"}), "Current", ""),
    (
        made("Service", spec={"type": "LoadBalancer"}, annotations={"towline.dev/wait-for": "address"}),
        "InProgress",
        "NoAddress",
    ),
    (made("Ingress", "networking.k8s.io/v1"), "Current", ""),
    (made("Namespace", status={"phase": "Active"}), "Current", ""),
    (made("Namespace", status={"phase": "Terminating"}), "Terminating", "Terminating"),
    (made("APIService", "apiregistration.k8s.io/v1"), "InProgress", "NotAvailable"),
    (made("APIService", "apiregistration.k8s.io/v1", status=conditions(condition("Available"))), "Current", ""),
    (made(*CRD, status=conditions(condition("NamesAccepted", "False", "Taken"))), "Failed", "Taken"),
    (made(*CRD, status=conditions(condition("Established"))), "Current", ""),
]


@pytest.mark.parametrize(
    ("manifest", "health", "reason"), CASES, ids=[f"{m['kind']}-{r or h}-{n}" for n, (m, h, r) in enumerate(CASES)]
)
def test_how_an_object_does_rule_j1(manifest, health, reason):
    found = health_of(manifest)

    assert (found.health.value, found.reason) == (health, reason)


def test_kstatus_alone_calls_a_job_that_did_not_start_busy():
    assert computed(made("Job", "batch/v1")).reason == "JobNotStarted"
    assert computed(made("Service", spec={"type": "LoadBalancer"})).reason == "NoIPAssigned"


@pytest.mark.parametrize(
    ("healths", "expected"),
    [
        ([], Health.CURRENT),
        ([Health.CURRENT, Health.IN_PROGRESS], Health.IN_PROGRESS),
        ([Health.UNKNOWN, Health.CURRENT], Health.UNKNOWN),
        ([Health.IN_PROGRESS, Health.FAILED], Health.FAILED),
    ],
)
def test_an_app_does_as_its_worst_object_does(healths, expected):
    assert overall(healths) is expected
