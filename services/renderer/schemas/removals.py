"""Versions of APIs that were gone before the oldest schemas that we have, by the version of Kubernetes that removed them.

Source: the deprecation guide of Kubernetes, https://kubernetes.io/docs/reference/using-api/deprecation-guide/.
"""

from __future__ import annotations

_REMOVED = {
    "1.16": {
        "extensions/v1beta1": "DaemonSet Deployment NetworkPolicy PodSecurityPolicy ReplicaSet",
        "apps/v1beta1": "Deployment ReplicaSet StatefulSet",
        "apps/v1beta2": "DaemonSet Deployment ReplicaSet StatefulSet",
    },
    "1.22": {
        "admissionregistration.k8s.io/v1beta1": "MutatingWebhookConfiguration ValidatingWebhookConfiguration",
        "apiextensions.k8s.io/v1beta1": "CustomResourceDefinition",
        "apiregistration.k8s.io/v1beta1": "APIService",
        "certificates.k8s.io/v1beta1": "CertificateSigningRequest",
        "coordination.k8s.io/v1beta1": "Lease",
        "extensions/v1beta1": "Ingress",
        "networking.k8s.io/v1beta1": "Ingress IngressClass",
        "rbac.authorization.k8s.io/v1beta1": "ClusterRole ClusterRoleBinding Role RoleBinding",
        "scheduling.k8s.io/v1beta1": "PriorityClass",
        "storage.k8s.io/v1beta1": "CSIDriver CSINode StorageClass VolumeAttachment",
    },
    "1.25": {
        "autoscaling/v2beta1": "HorizontalPodAutoscaler",
        "batch/v1beta1": "CronJob",
        "discovery.k8s.io/v1beta1": "EndpointSlice",
        "events.k8s.io/v1beta1": "Event",
        "node.k8s.io/v1beta1": "RuntimeClass",
        "policy/v1beta1": "PodDisruptionBudget PodSecurityPolicy",
    },
}

BEFORE = {
    f"{api_version} {kind}": version
    for version, removed in _REMOVED.items()
    for api_version, kinds in removed.items()
    for kind in kinds.split()
}
"""`apiVersion Kind` → the first version of Kubernetes without it."""
