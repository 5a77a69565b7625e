"""Know which built-in kinds live in a namespace; of all others only the cluster knows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from shared.core.objects import Manifest, group_of

_NAMESPACED = {
    "": "Binding ConfigMap Endpoints Event LimitRange PersistentVolumeClaim Pod PodTemplate ReplicationController ResourceQuota "
    "Secret Service ServiceAccount",
    "apps": "ControllerRevision DaemonSet Deployment ReplicaSet StatefulSet",
    "autoscaling": "HorizontalPodAutoscaler",
    "batch": "CronJob Job",
    "coordination.k8s.io": "Lease LeaseCandidate",
    "discovery.k8s.io": "EndpointSlice",
    "events.k8s.io": "Event",
    "extensions": "DaemonSet Deployment Ingress NetworkPolicy ReplicaSet",
    "networking.k8s.io": "Ingress NetworkPolicy",
    "policy": "PodDisruptionBudget",
    "rbac.authorization.k8s.io": "Role RoleBinding",
    "resource.k8s.io": "ResourceClaim ResourceClaimTemplate",
    "storage.k8s.io": "CSIStorageCapacity",
}
_CLUSTER_SCOPED = {
    "": "Namespace Node PersistentVolume",
    "admissionregistration.k8s.io": "MutatingAdmissionPolicy MutatingAdmissionPolicyBinding MutatingWebhookConfiguration "
    "ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding ValidatingWebhookConfiguration",
    "apiextensions.k8s.io": "CustomResourceDefinition",
    "apiregistration.k8s.io": "APIService",
    "certificates.k8s.io": "CertificateSigningRequest ClusterTrustBundle",
    "flowcontrol.apiserver.k8s.io": "FlowSchema PriorityLevelConfiguration",
    "networking.k8s.io": "IPAddress IngressClass ServiceCIDR",
    "node.k8s.io": "RuntimeClass",
    "policy": "PodSecurityPolicy",
    "rbac.authorization.k8s.io": "ClusterRole ClusterRoleBinding",
    "resource.k8s.io": "DeviceClass ResourceSlice",
    "scheduling.k8s.io": "PriorityClass",
    "storage.k8s.io": "CSIDriver CSINode StorageClass VolumeAttachment VolumeAttributesClass",
}

_BUILT_IN = {(group, kind): True for group, kinds in _NAMESPACED.items() for kind in kinds.split()} | {
    (group, kind): False for group, kinds in _CLUSTER_SCOPED.items() for kind in kinds.split()
}


def of_kind(group: str, kind: str) -> bool | None:
    """Tell whether a built-in kind lives in a namespace; None: it is none."""
    return _BUILT_IN.get((group, kind))


class Scopes:
    """The scopes of built-in kinds, and of those whose definitions stand among the objects."""

    def __init__(self, objects: Iterable[Manifest]) -> None:
        self._defined: dict[tuple[Any, Any], bool] = {}
        for each in objects:
            if each["kind"] == "CustomResourceDefinition" and isinstance(spec := each.get("spec"), dict):
                names = spec.get("names")
                kind = names.get("kind") if isinstance(names, dict) else None
                self._defined[(spec.get("group"), kind)] = spec.get("scope") == "Namespaced"

    def namespaced(self, manifest: Manifest) -> bool | None:
        """Tell whether the kind of `manifest` lives in a namespace; None: only its cluster knows."""
        kind = (group_of(manifest["apiVersion"]), manifest["kind"])
        return _BUILT_IN.get(kind, self._defined.get(kind))
