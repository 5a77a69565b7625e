import pytest

from services.applier.health import Doubt, health_of
from services.applier.health.kstatus import computed


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


def waiting(reason, **more):
    return {"name": "main", "state": {"waiting": {"reason": reason}}, **more}


def restarted():
    return {"name": "main", "state": {"running": {}}, "lastState": {"terminated": {"reason": "Error"}}}


def finite(manifest):
    return {**manifest, "spec": {"restartPolicy": "Never"}}


def autoscaler(*listed, version="autoscaling/v2", **metadata):
    return made("HorizontalPodAutoscaler", version, status=conditions(*listed), **metadata)


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
    (pod("Pending", containerStatuses=[waiting("ErrImagePull")]), "Failed", "ErrImagePull"),
    (pod("Pending", containerStatuses=[waiting("InvalidImageName")]), "Failed", "InvalidImageName"),
    (pod("Pending", containerStatuses=[waiting("CreateContainerConfigError")]), "Failed", "CreateContainerConfigError"),
    (pod("Pending", initContainerStatuses=[waiting("ImagePullBackOff")]), "Failed", "ImagePullBackOff"),
    (pod("Pending", containerStatuses=[waiting("ContainerCreating")]), "InProgress", "PodPending"),
    (pod("Running", containerStatuses=[waiting("CrashLoopBackOff", restartCount=3)]), "Failed", "CrashLoopBackOff"),
    (pod("Running", containerStatuses=[restarted()]), "Failed", "ContainerRestarting"),
    (pod("Running", condition("Ready"), containerStatuses=[restarted()]), "Current", ""),
    (finite(pod("Running", condition("Ready"))), "InProgress", "PodRunning"),
    (finite(pod("Succeeded")), "Current", ""),
    (pod(None), "InProgress", "PodNotObserved"),
    (made("Job", "batch/v1"), "InProgress", "JobRunning"),
    (made("Job", "batch/v1", status={"startTime": "now"}), "InProgress", "JobRunning"),
    (made("Job", "batch/v1", status=conditions(condition("Complete"))), "Current", ""),
    (made("Job", "batch/v1", status=conditions(condition("Failed"))), "Failed", "JobFailed"),
    (made("Job", "batch/v1", status=conditions(condition("FailureTarget"))), "InProgress", "JobRunning"),
    (made("Job", "batch/v1", spec={"suspend": True}), "Current", "Suspended"),
    (made("PersistentVolumeClaim", status={"phase": "Bound"}), "Current", ""),
    (made("PersistentVolumeClaim"), "InProgress", "NotBound"),
    (made("PersistentVolumeClaim", status={"phase": "Lost"}), "Failed", "Lost"),
    (
        made("PersistentVolumeClaim", spec={"storageClassName": "fast"}, status={"phase": "Pending"}),
        "InProgress",
        "WaitForFirstConsumer",
    ),
    (
        made(
            "PersistentVolumeClaim",
            spec={"storageClassName": "fast"},
            status={"phase": "Pending"},
            annotations={"volume.kubernetes.io/storage-provisioner": "csi"},
        ),
        "InProgress",
        "NotBound",
    ),
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
    (
        made(*CRD, status=conditions(condition("Established"), condition("NonStructuralSchema"))),
        "Failed",
        "NonStructuralSchema",
    ),
    (made(*CRD, status=conditions(condition("Terminating"))), "Terminating", "Terminating"),
    (autoscaler(), "InProgress", "WaitingToScale"),
    (autoscaler(condition("AbleToScale", reason="ReadyForNewScale")), "Current", ""),
    (autoscaler(condition("ScalingLimited", reason="TooManyReplicas")), "Current", ""),
    (
        autoscaler(condition("AbleToScale"), condition("ScalingActive", "False", "FailedGetResourceMetric")),
        "Failed",
        "FailedGetResourceMetric",
    ),
    (
        autoscaler(
            version="autoscaling/v1",
            annotations={"autoscaling.alpha.kubernetes.io/conditions": '[{"type":"AbleToScale","status":"True"}]'},
        ),
        "Current",
        "",
    ),
    (made("CronJob", "batch/v1", spec={"suspend": True}), "Current", "Suspended"),
    (made("CronJob", "batch/v1", status={"active": [{}]}), "Current", ""),
    (made("PodDisruptionBudget", "policy/v1"), "InProgress", "NoStatus"),
    (made("PodDisruptionBudget", "policy/v1", status={"currentHealthy": 1}), "Current", ""),
    (
        made(
            "PodDisruptionBudget", "policy/v1", status=conditions(condition("DisruptionAllowed", "False", "SyncFailed"))
        ),
        "Failed",
        "SyncFailed",
    ),
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
    ("manifest", "doubt"),
    [
        (pod("Pending", containerStatuses=[waiting("ErrImagePull")]), Doubt.PASSING),
        (pod("Running", containerStatuses=[restarted()]), Doubt.PASSING),
        (pod("Failed"), Doubt.NONE),
        (made("PersistentVolumeClaim", spec={"storageClassName": "a"}, status={"phase": "Pending"}), Doubt.SILENT),
    ],
)
def test_what_only_time_can_tell_is_said_with_a_doubt_rule_j1(manifest, doubt):
    assert health_of(manifest).doubt is doubt
