"""The fields that hold the name of another object, by the kind that has them: Kustomize's default name references (v5.8)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

from services.renderer.kustomize.fields import Spec


class Kind(NamedTuple):
    """The objects that a field names; empty words say nothing."""

    kind: str
    group: str = ""
    version: str = ""

    def fits(self, api_version: str, kind: str) -> bool:
        """Tell whether objects of this kind can be named."""
        group, _, version = api_version.rpartition("/")
        return self.kind == kind and self.group in {"", group} and self.version in {"", version}


_CONFIG = Kind("ConfigMap", version="v1")
_SECRET = Kind("Secret", version="v1")
_SERVICE = Kind("Service", version="v1")
_ACCOUNT = Kind("ServiceAccount", version="v1")
_CLAIM = Kind("PersistentVolumeClaim", version="v1")
_VOLUME = Kind("PersistentVolume", version="v1")
_STORAGE = Kind("StorageClass", "storage.k8s.io", "v1")
_PRIORITY = Kind("PriorityClass", "scheduling.k8s.io", "v1")
_RBAC = "rbac.authorization.k8s.io"
_ADMISSION = "admissionregistration.k8s.io"
_ROLE, _CLUSTER_ROLE = Kind("Role", _RBAC), Kind("ClusterRole", _RBAC)
_SCALED = tuple(Kind(kind) for kind in ("Deployment", "StatefulSet", "ReplicaSet", "ReplicationController"))

Named = tuple[str, tuple[Kind, ...]]
"""A path, and what the name at its end may mean, in the order in which Kustomize looks."""

_CONTENT: tuple[Named, ...] = (
    ("volumes/configMap/name", (_CONFIG,)),
    ("volumes/projected/sources/configMap/name", (_CONFIG,)),
    ("volumes/secret/secretName", (_SECRET,)),
    ("volumes/projected/sources/secret/name", (_SECRET,)),
    ("imagePullSecrets/name", (_SECRET,)),
    *(
        (f"{containers}/{path}/name", (kind,))
        for containers in ("containers", "initContainers")
        for path, kind in (
            ("env/valueFrom/configMapKeyRef", _CONFIG),
            ("envFrom/configMapRef", _CONFIG),
            ("env/valueFrom/secretKeyRef", _SECRET),
            ("envFrom/secretRef", _SECRET),
        )
    ),
)
_PLACE: tuple[Named, ...] = (
    ("serviceAccountName", (_ACCOUNT,)),
    ("volumes/persistentVolumeClaim/claimName", (_CLAIM,)),
    ("priorityClassName", (_PRIORITY,)),
)
_TEMPLATE, _JOB_TEMPLATE = "spec/template/spec", "spec/jobTemplate/spec/template/spec"
_HOOKS: tuple[Named, ...] = (("webhooks/clientConfig/service", (_SERVICE,)),)
_NGINX = "metadata/annotations/nginx.ingress.kubernetes.io~"


def _below(path: str, *groups: tuple[Named, ...]) -> tuple[Named, ...]:
    return tuple((f"{path}/{end}", kinds) for group in groups for end, kinds in group)


_REFERRERS: tuple[tuple[Spec, tuple[Named, ...]], ...] = tuple(
    (Spec((), kind=kind, group=group, version=version), named)
    for kind, group, version, named in (
        ("Pod", "", "v1", _below("spec", _CONTENT)),
        ("Pod", "", "", _below("spec", _PLACE)),
        ("PodTemplate", "", "", _below("template/spec", _CONTENT)),
        *(
            (kind, "", "", _below(_TEMPLATE, _CONTENT))
            for kind in ("Deployment", "ReplicaSet", "DaemonSet", "StatefulSet", "Job")
        ),
        *(
            (kind, "", "", _below(_TEMPLATE, _PLACE))
            for kind in ("Deployment", "DaemonSet", "StatefulSet", "Job", "ReplicationController")
        ),
        ("CronJob", "", "", _below(_JOB_TEMPLATE, _CONTENT, _PLACE)),
        ("StatefulSet", "apps", "", (("spec/serviceName", (_SERVICE,)),)),
        ("StatefulSet", "", "", (("spec/volumeClaimTemplates/spec/storageClassName", (_STORAGE,)),)),
        ("HorizontalPodAutoscaler", "", "", (("spec/scaleTargetRef/name", _SCALED),)),
        ("Node", "", "", (("spec/configSource/configMap", (_CONFIG,)),)),
        ("Role", "", "", (("rules/resourceNames", (_CONFIG, _SECRET)),)),
        ("ClusterRole", "", "", (("rules/resourceNames", (_CONFIG, _SECRET, _VOLUME)),)),
        ("RoleBinding", _RBAC, "", (("roleRef/name", (_ROLE, _CLUSTER_ROLE)), ("subjects", (_ACCOUNT,)))),
        ("ClusterRoleBinding", _RBAC, "", (("roleRef/name", (_CLUSTER_ROLE,)), ("subjects", (_ACCOUNT,)))),
        (
            "Ingress",
            "",
            "",
            (
                (f"{_NGINX}fastcgi-params-configmap", (_CONFIG,)),
                (f"{_NGINX}auth-secret", (_SECRET,)),
                (f"{_NGINX}auth-tls-secret", (_SECRET,)),
                ("metadata/annotations/ingress.kubernetes.io~auth-secret", (_SECRET,)),
                ("spec/tls/secretName", (_SECRET,)),
                *(
                    (f"spec/{path}", (_SERVICE,))
                    for path in (
                        "rules/http/paths/backend/serviceName",
                        "backend/serviceName",
                        "rules/http/paths/backend/service/name",
                        "defaultBackend/service/name",
                    )
                ),
            ),
        ),
        ("ServiceAccount", "", "", (("imagePullSecrets/name", (_SECRET,)),)),
        (
            "StorageClass",
            "",
            "",
            tuple(
                (f"parameters/{name}", (_SECRET,))
                for name in ("secretName", "adminSecretName", "userSecretName", "secretRef")
            ),
        ),
        (
            "Service",
            "serving.knative.dev",
            "v1",
            ((f"{_TEMPLATE}/containers/env/valueFrom/secretKeyRef/name", (_SECRET,)),),
        ),
        (
            "PersistentVolume",
            "",
            "",
            (("spec/azureFile/secretName", (_SECRET,)), ("spec/storageClassName", (_STORAGE,))),
        ),
        (
            "PersistentVolumeClaim",
            "",
            "",
            (("spec/volumeName", (_VOLUME,)), ("spec/storageClassName", (_STORAGE,))),
        ),
        ("APIService", "apiregistration.k8s.io", "", (("spec/service/name", (_SERVICE,)),)),
        ("ValidatingWebhookConfiguration", _ADMISSION, "", _HOOKS),
        ("MutatingWebhookConfiguration", _ADMISSION, "", _HOOKS),
        (
            "ValidatingAdmissionPolicyBinding",
            _ADMISSION,
            "",
            (("spec/policyName", (Kind("ValidatingAdmissionPolicy", _ADMISSION),)),),
        ),
    )
)

Paths = dict[str, Any]
"""Names to follow; at the end a tuple of kinds."""


@cache
def paths_of(api_version: str, kind: str) -> Paths:
    """Return the fields of a kind that hold names of others, as a tree."""
    tree: Paths = {}
    for path, kinds in _named(api_version, kind):
        place = tree
        *way, last = path.split("/")
        for name in way:
            place = place.setdefault(name, {})
        # A slash inside of a name is written `~` above.
        place[last.replace("~", "/")] = kinds
    return tree


def _named(api_version: str, kind: str) -> Iterator[Named]:
    for referrer, named in _REFERRERS:
        if referrer.fits(api_version, kind):
            yield from named
