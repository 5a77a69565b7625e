"""What the controllers of well-known projects say when things go well, slowly or wrong, and what we make of it."""

import pytest

from services.applier.health import judged
from services.applier.rulebook import Rulebook
from shared.core.objects import group_of

RULES = Rulebook()


def ready(status, reason="", kind="Ready", **more):
    return {"conditions": [{"type": kind, "status": status, "reason": reason, **more}]}


TRUE, FALSE, UNKNOWN = ready("True"), ready("False", "Error"), ready("Unknown")
CASES = [
    ("cert-manager.io/v1/Certificate", TRUE, "Current"),
    ("cert-manager.io/v1/Certificate", FALSE, "Failed"),
    ("cert-manager.io/v1/Certificate", None, "InProgress"),
    ("acme.cert-manager.io/v1/Order", {"state": "pending"}, "InProgress"),
    ("acme.cert-manager.io/v1/Order", {"state": "invalid"}, "Failed"),
    ("argoproj.io/v1alpha1/Application", {"health": {"status": "Progressing"}}, "InProgress"),
    ("argoproj.io/v1alpha1/Application", {"health": {"status": "Missing"}}, "NotFound"),
    ("argoproj.io/v1alpha1/ApplicationSet", ready("True", kind="ErrorOccurred"), "Failed"),
    ("argoproj.io/v1alpha1/Rollout", {"observedGeneration": "2", "phase": "Paused"}, "Suspended"),
    ("argoproj.io/v1alpha1/Rollout", {"observedGeneration": "2", "phase": "Healthy"}, "Current"),
    ("argoproj.io/v1alpha1/Rollout", {"observedGeneration": "1", "phase": "Healthy"}, "InProgress"),
    ("argoproj.io/v1alpha1/AnalysisRun", {"phase": "Inconclusive"}, "Unknown"),
    ("kustomize.toolkit.fluxcd.io/v1/Kustomization", ready("Unknown", "Progressing"), "InProgress"),
    ("kustomize.toolkit.fluxcd.io/v1/Kustomization", ready("False", "BuildFailed"), "Failed"),
    ("source.toolkit.fluxcd.io/v1/GitRepository", ready("True", "Succeeded"), "Current"),
    ("helm.toolkit.fluxcd.io/v2/HelmRelease", ready("True", "UpgradeSucceeded"), "Current"),
    ("notification.toolkit.fluxcd.io/v1beta3/Alert", None, "Current"),
    ("pkg.crossplane.io/v1/Provider", ready("True", kind="Installed"), "InProgress"),
    ("rds.aws.upbound.io/v1beta1/Instance", ready("False", "ReconcileError", kind="Synced"), "Failed"),
    ("rds.aws.upbound.io/v1beta1/Instance", ready("False", "Creating"), "InProgress"),
    ("aws.upbound.io/v1beta1/ProviderConfig", None, "Current"),
    ("sql.cnrm.cloud.google.com/v1beta1/SQLInstance", ready("False", "UpdateFailed"), "Failed"),
    ("sql.cnrm.cloud.google.com/v1beta1/SQLInstance", ready("False", "DependencyNotReady"), "InProgress"),
    ("s3.services.k8s.aws/v1alpha1/Bucket", ready("True", kind="ACK.ResourceSynced"), "Current"),
    ("s3.services.k8s.aws/v1alpha1/Bucket", ready("True", kind="ACK.Terminal"), "Failed"),
    ("storage.azure.com/v1/StorageAccount", ready("False", "Reconciling", severity="Info"), "InProgress"),
    ("storage.azure.com/v1/StorageAccount", ready("False", "BadRequest", severity="Error"), "Failed"),
    ("kafka.strimzi.io/v1beta2/Kafka", ready("True", "Creating", kind="NotReady"), "InProgress"),
    ("kafka.strimzi.io/v1beta2/KafkaTopic", TRUE, "Current"),
    ("serving.knative.dev/v1/Service", ready("Unknown", "Deploying"), "InProgress"),
    ("serving.knative.dev/v1/Service", ready("False", "RevisionMissing"), "Failed"),
    ("keda.sh/v1alpha1/ScaledObject", FALSE, "Failed"),
    ("keda.sh/v1alpha1/ScaledObject", ready("True", kind="Paused"), "Suspended"),
    ("gateway.networking.k8s.io/v1/Gateway", ready("True", kind="Programmed"), "Current"),
    ("gateway.networking.k8s.io/v1/Gateway", ready("False", "Invalid", kind="Accepted"), "Failed"),
    ("gateway.networking.k8s.io/v1/Gateway", ready("Unknown", "Pending", kind="Accepted"), "InProgress"),
    ("gateway.networking.k8s.io/v1/HTTPRoute", {"parents": [ready("True", kind="Accepted")]}, "Current"),
    ("gateway.networking.k8s.io/v1/HTTPRoute", {"parents": [ready("False", "NoMatch", kind="Accepted")]}, "Failed"),
    ("external-secrets.io/v1/ExternalSecret", ready("False", "SecretSyncedError"), "Failed"),
    ("generators.external-secrets.io/v1alpha1/Password", None, "Current"),
    ("postgresql.cnpg.io/v1/Cluster", {"phase": "Cluster in healthy state"}, "Current"),
    ("postgresql.cnpg.io/v1/Cluster", {"phase": "Setting up primary"}, "InProgress"),
    ("ceph.rook.io/v1/CephBlockPool", {"phase": "Ready"}, "Current"),
    ("ceph.rook.io/v1/CephBlockPool", {"phase": "Failure"}, "Failed"),
    ("velero.io/v1/Backup", {"phase": "PartiallyFailed"}, "Failed"),
    ("velero.io/v1/Schedule", {"phase": "Enabled"}, "Current"),
    ("cluster.x-k8s.io/v1beta1/Cluster", {"phase": "Provisioning"}, "InProgress"),
    ("cluster.x-k8s.io/v1beta1/Cluster", {"phase": "Provisioned", **TRUE}, "Current"),
    ("tekton.dev/v1/PipelineRun", ready("Unknown", "Running", kind="Succeeded"), "InProgress"),
    ("tekton.dev/v1/PipelineRun", ready("False", "Failed", kind="Succeeded"), "Failed"),
    ("tekton.dev/v1/Pipeline", None, "Current"),
    ("kubevirt.io/v1/VirtualMachine", {"printableStatus": "Starting", **FALSE}, "InProgress"),
    ("kubevirt.io/v1/VirtualMachine", {"printableStatus": "CrashLoopBackOff", **FALSE}, "Failed"),
    ("mongodbcommunity.mongodb.com/v1/MongoDBCommunity", {"phase": "Running"}, "Current"),
    ("elasticsearch.k8s.elastic.co/v1/Elasticsearch", {"phase": "Ready", "health": "yellow"}, "InProgress"),
    ("acid.zalan.do/v1/postgresql", {"PostgresClusterStatus": "UpdateFailed"}, "Failed"),
    ("pxc.percona.com/v1/PerconaXtraDBCluster", {"state": "ready"}, "Current"),
    ("secrets.hashicorp.com/v1beta1/VaultConnection", {"valid": False}, "Failed"),
    ("longhorn.io/v1beta2/Volume", {"state": "attached", "robustness": "faulted"}, "Failed"),
    ("monitoring.coreos.com/v1/Prometheus", ready("False", "NoPodReady", kind="Available"), "InProgress"),
    ("monitoring.coreos.com/v1/ServiceMonitor", None, "Current"),
    ("operators.coreos.com/v1alpha1/ClusterServiceVersion", {"phase": "Failed"}, "Failed"),
    ("operators.coreos.com/v1alpha1/InstallPlan", {"phase": "RequiresApproval"}, "Suspended"),
    ("k8s.keycloak.org/v2alpha1/Keycloak", ready("True", kind="HasErrors"), "Failed"),
    ("minio.min.io/v2/Tenant", {"currentState": "Initialized", "healthStatus": "green"}, "Current"),
    ("clickhouse.altinity.com/v1/ClickHouseInstallation", {"status": "InProgress"}, "InProgress"),
    ("rabbitmq.com/v1beta1/Queue", ready("False", "FailedCreateOrUpdate"), "Failed"),
    ("kyverno.io/v1/ClusterPolicy", TRUE, "Current"),
    ("templates.gatekeeper.sh/v1/ConstraintTemplate", {"created": True}, "Current"),
    ("route.openshift.io/v1/Route", {"ingress": [ready("True", kind="Admitted")]}, "Current"),
    ("networking.istio.io/v1/VirtualService", None, "Current"),
    ("flagger.app/v1beta1/Canary", {"phase": "Failed"}, "Failed"),
    ("batch.volcano.sh/v1alpha1/Job", {"state": {"phase": "Running"}}, "Current"),
    ("snapshot.storage.k8s.io/v1/VolumeSnapshot", {"readyToUse": True}, "Current"),
    ("snapshot.storage.k8s.io/v1/VolumeSnapshotClass", None, "Current"),
]


@pytest.mark.parametrize(
    ("kind", "status", "expected"), CASES, ids=[f"{k.split('/')[2]}-{e}-{n}" for n, (k, _, e) in enumerate(CASES)]
)
def test_how_a_custom_resource_does(kind, status, expected):
    group, version, name = kind.split("/")
    manifest = {
        "apiVersion": f"{group}/{version}",
        "kind": name,
        "metadata": {"name": "a", "generation": 2},
        "spec": {},
    }
    if status is not None:
        manifest["status"] = status

    found = judged(manifest, RULES.rule(group_of(manifest["apiVersion"]), name))

    assert (found.reason if found.reason == "Suspended" else found.health.value) == expected
