"""Objects on their way through a build: what they are, what they were called, and which of them an id means."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from services.renderer.kustomize.outside import need, plain, texts

_NO_NAMESPACE = "_non_namespaceable_"
_OWN_ANNOTATIONS = (
    "config.kubernetes.io/",
    "config.k8s.io/",
    "internal.config.kubernetes.io",
    "alpha.config.kubernetes.io/",
    "kustomize.config.k8s.io/",
)
# The kinds without namespace that Kustomize knows: those of its built-in OpenAPI of Kubernetes 1.21. It takes all others for
# namespaced ones.
_CLUSTER_SCOPED = {
    "v1": "ComponentStatus Namespace Node PersistentVolume",
    "admissionregistration.k8s.io/v1": "MutatingWebhookConfiguration ValidatingWebhookConfiguration",
    "admissionregistration.k8s.io/v1beta1": "MutatingWebhookConfiguration ValidatingWebhookConfiguration",
    "apiextensions.k8s.io/v1": "CustomResourceDefinition",
    "apiextensions.k8s.io/v1beta1": "CustomResourceDefinition",
    "apiregistration.k8s.io/v1": "APIService",
    "apiregistration.k8s.io/v1beta1": "APIService",
    "certificates.k8s.io/v1": "CertificateSigningRequest",
    "certificates.k8s.io/v1beta1": "CertificateSigningRequest",
    "flowcontrol.apiserver.k8s.io/v1beta1": "FlowSchema PriorityLevelConfiguration",
    "networking.k8s.io/v1": "IngressClass",
    "networking.k8s.io/v1beta1": "IngressClass",
    "node.k8s.io/v1": "RuntimeClass",
    "node.k8s.io/v1beta1": "RuntimeClass",
    "policy/v1beta1": "PodSecurityPolicy",
    "rbac.authorization.k8s.io/v1": "ClusterRole ClusterRoleBinding",
    "rbac.authorization.k8s.io/v1beta1": "ClusterRole ClusterRoleBinding",
    "scheduling.k8s.io/v1": "PriorityClass",
    "scheduling.k8s.io/v1beta1": "PriorityClass",
    "storage.k8s.io/v1": "CSIDriver CSINode StorageClass VolumeAttachment",
    "storage.k8s.io/v1beta1": "CSIDriver CSINode StorageClass VolumeAttachment",
}
CLUSTER_SCOPED = frozenset((version, kind) for version, kinds in _CLUSTER_SCOPED.items() for kind in kinds.split())


class Id(NamedTuple):
    """What an object is called; the namespace as it counts."""

    name: str
    namespace: str
    kind: str


class Tied(NamedTuple):
    """A label or annotation that a transformer made in several places of an object at once.

    For Kustomize they are one from then on: who changes it in one of these places changes it in all of them.
    """

    key: str
    places: frozenset[tuple[str, ...]]


class Resource(NamedTuple):
    """An object, and what the build must remember of it."""

    value: Mapping[str, Any]
    past: tuple[Id, ...] = ()
    """What it was called before each change, oldest first."""
    prefixes: tuple[str, ...] = ()
    suffixes: tuple[str, ...] = ()
    generated: bool = False
    hashed: bool = False
    """Its name shall end with a hash of its content."""
    checked: bool = False
    """A merge changes what its patch names, and nothing else of it."""
    tied: tuple[Tied, ...] = ()

    @property
    def metadata(self) -> Mapping[str, Any]:
        """Return its metadata."""
        found: Mapping[str, Any] = self.value["metadata"]
        return found

    @property
    def name(self) -> str:
        """Return its present name."""
        return str(self.metadata["name"])

    @property
    def namespace(self) -> str:
        """Return the namespace that it names, or nothing."""
        return str(self.metadata.get("namespace", ""))

    @property
    def kind(self) -> str:
        """Return its kind."""
        return str(self.value["kind"])

    @property
    def api_version(self) -> str:
        """Return its apiVersion."""
        return str(self.value["apiVersion"])

    @property
    def is_cluster_scoped(self) -> bool:
        """Tell whether Kustomize knows that its kind has no namespace."""
        return (self.api_version, self.kind) in CLUSTER_SCOPED

    @property
    def id(self) -> Id:
        """Return what it is called now."""
        namespace = _NO_NAMESPACE if self.is_cluster_scoped else self.namespace or "default"
        return Id(self.name, namespace, self.kind)

    @property
    def original(self) -> Id:
        """Return what it was called first."""
        return self.past[0] if self.past else self.id

    def with_value(self, value: Mapping[str, Any], *, checked: bool | None = None) -> Resource:
        """Return it with another content, called the same."""
        kept = self.checked if checked is None else checked
        return self if value is self.value and kept is self.checked else self._replace(value=value, checked=kept)

    def renamed(self, **metadata: str) -> Resource:
        """Return it with other metadata; what it was called is remembered."""
        value = {**self.value, "metadata": {**self.metadata, **metadata}}
        return self._replace(value=value, past=(*self.past, self.id))

    def was(self, wanted: Id) -> bool:
        """Tell whether it is or was called that."""
        return wanted == self.id or wanted in self.past


def resource_of(value: Any) -> Resource:
    """Return the object in a document.

    Raises:
        OutsideError: it is none, or one that Kustomize treats in a way of its own.
    """
    need(isinstance(value, dict) and isinstance(value.get("metadata"), dict), "no object")
    kind, version, metadata = plain(value.get("kind")), value.get("apiVersion"), value["metadata"]
    need(isinstance(version, str) and not version.startswith("kustomize.config.k8s.io/"), "no apiVersion of an object")
    need(not kind.endswith("List"), "a list")
    plain(metadata.get("name"))
    if "namespace" in metadata:
        plain(metadata["namespace"])
    for field in ("labels", "annotations"):
        if field in metadata:
            texts(metadata[field])
    need(
        not any(name.startswith(_OWN_ANNOTATIONS) for name in metadata.get("annotations", ())), "annotations for tools"
    )
    return Resource(value)


def distinct(resources: Iterable[Resource]) -> list[Resource]:
    """Return the resources if each has an id of its own."""
    found = list(resources)
    ids = {(each.api_version, each.id) for each in found}
    need(len(ids) == len(found), "two objects with one id")
    return found


def the_one(resources: Iterable[Resource], api_version: str, wanted: Id) -> int:
    """Return the position of the only resource that is or was called `wanted`."""
    found = [index for index, each in enumerate(resources) if each.api_version == api_version and each.was(wanted)]
    need(len(found) == 1, f"{len(found)} objects are called {wanted.name}")
    return found[0]
