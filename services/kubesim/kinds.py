"""Know every kind that a cluster serves from birth: names, scope, versions, subresources, storage.

One line a kind; documents made of the table are shared by all clusters of the process.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind in one version, as served; equal `storage` means the same stored objects."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool = True
    short: tuple[str, ...] = ()
    status: bool = False
    scale: bool = False
    generation: bool = False
    categories: tuple[str, ...] = ()
    storage: str = ""
    stored_version: str = ""
    custom: bool = False
    singular: str = ""
    list_kind: str = ""
    verbs: tuple[str, ...] = ALL_VERBS

    @property
    def api_version(self) -> str:
        """Return `group/version`, or the version alone for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def stored_api_version(self) -> str:
        """Return the apiVersion that stored objects carry."""
        group = self.storage.partition("/")[0]
        return f"{group}/{self.stored_version}" if group else self.stored_version

    @property
    def kind_of_list(self) -> str:
        """Return the kind of a LIST answer."""
        return self.list_kind or f"{self.kind}List"


# group | versions, stored one first | kind | plural | flags: n(amespaced) s(tatus) c(=scale) g(eneration) a(ll) | short names
TABLE = """
|v1|Binding|bindings|n|
|v1|ComponentStatus|componentstatuses||cs
|v1|ConfigMap|configmaps|n|cm
|v1|Endpoints|endpoints|n|ep
|v1|Event|events|n|ev
|v1|LimitRange|limitranges|n|limits
|v1|Namespace|namespaces|s|ns
|v1|Node|nodes|s|no
|v1|PersistentVolumeClaim|persistentvolumeclaims|ns|pvc
|v1|PersistentVolume|persistentvolumes|s|pv
|v1|Pod|pods|nsga|po
|v1|PodTemplate|podtemplates|n|
|v1|ReplicationController|replicationcontrollers|nscga|rc
|v1|ResourceQuota|resourcequotas|ns|quota
|v1|Secret|secrets|n|
|v1|ServiceAccount|serviceaccounts|n|sa
|v1|Service|services|nsa|svc
admissionregistration.k8s.io|v1|MutatingWebhookConfiguration|mutatingwebhookconfigurations|g|
admissionregistration.k8s.io|v1|ValidatingWebhookConfiguration|validatingwebhookconfigurations|g|
admissionregistration.k8s.io|v1|ValidatingAdmissionPolicy|validatingadmissionpolicies|sg|
admissionregistration.k8s.io|v1|ValidatingAdmissionPolicyBinding|validatingadmissionpolicybindings|g|
admissionregistration.k8s.io|v1,v1beta1|MutatingAdmissionPolicy|mutatingadmissionpolicies|g|
admissionregistration.k8s.io|v1,v1beta1|MutatingAdmissionPolicyBinding|mutatingadmissionpolicybindings|g|
apiextensions.k8s.io|v1|CustomResourceDefinition|customresourcedefinitions|sg|crd,crds
apiregistration.k8s.io|v1|APIService|apiservices|s|
apps|v1|ControllerRevision|controllerrevisions|n|
apps|v1|DaemonSet|daemonsets|nsga|ds
apps|v1|Deployment|deployments|nscga|deploy
apps|v1|ReplicaSet|replicasets|nscga|rs
apps|v1|StatefulSet|statefulsets|nscga|sts
authorization.k8s.io|v1|SelfSubjectAccessReview|selfsubjectaccessreviews||
autoscaling|v2,v1|HorizontalPodAutoscaler|horizontalpodautoscalers|nsa|hpa
batch|v1|CronJob|cronjobs|nsga|cj
batch|v1|Job|jobs|nsga|
certificates.k8s.io|v1|CertificateSigningRequest|certificatesigningrequests|s|csr
coordination.k8s.io|v1|Lease|leases|n|
discovery.k8s.io|v1|EndpointSlice|endpointslices|n|
events.k8s.io|v1|Event|events|n|ev
flowcontrol.apiserver.k8s.io|v1|FlowSchema|flowschemas|sg|
flowcontrol.apiserver.k8s.io|v1|PriorityLevelConfiguration|prioritylevelconfigurations|sg|
networking.k8s.io|v1|IngressClass|ingressclasses|g|
networking.k8s.io|v1|Ingress|ingresses|nsg|ing
networking.k8s.io|v1|NetworkPolicy|networkpolicies|ng|netpol
node.k8s.io|v1|RuntimeClass|runtimeclasses||
policy|v1|PodDisruptionBudget|poddisruptionbudgets|nsg|pdb
rbac.authorization.k8s.io|v1|ClusterRoleBinding|clusterrolebindings||
rbac.authorization.k8s.io|v1|ClusterRole|clusterroles||
rbac.authorization.k8s.io|v1|RoleBinding|rolebindings|n|
rbac.authorization.k8s.io|v1|Role|roles|n|
resource.k8s.io|v1|DeviceClass|deviceclasses|g|
resource.k8s.io|v1|ResourceClaim|resourceclaims|ns|
resource.k8s.io|v1|ResourceClaimTemplate|resourceclaimtemplates|n|
scheduling.k8s.io|v1|PriorityClass|priorityclasses|g|pc
storage.k8s.io|v1|CSIDriver|csidrivers||
storage.k8s.io|v1|CSINode|csinodes||
storage.k8s.io|v1|StorageClass|storageclasses||sc
storage.k8s.io|v1|VolumeAttachment|volumeattachments|s|
storage.k8s.io|v1|VolumeAttributesClass|volumeattributesclasses||vac
"""

# group | versions | kind it shows | the group that stores it
LEGACY = """
extensions|v1beta1|Deployment|apps
extensions|v1beta1|DaemonSet|apps
extensions|v1beta1|ReplicaSet|apps
extensions|v1beta1|Ingress|networking.k8s.io
extensions|v1beta1|NetworkPolicy|networking.k8s.io
apps|v1beta2,v1beta1|Deployment|apps
apps|v1beta2,v1beta1|StatefulSet|apps
apps|v1beta2|DaemonSet|apps
apps|v1beta2|ReplicaSet|apps
networking.k8s.io|v1beta1|Ingress|networking.k8s.io
networking.k8s.io|v1beta1|IngressClass|networking.k8s.io
policy|v1beta1|PodDisruptionBudget|policy
autoscaling|v2beta2,v2beta1|HorizontalPodAutoscaler|autoscaling
batch|v1beta1|CronJob|batch
rbac.authorization.k8s.io|v1beta1|ClusterRoleBinding|rbac.authorization.k8s.io
rbac.authorization.k8s.io|v1beta1|ClusterRole|rbac.authorization.k8s.io
rbac.authorization.k8s.io|v1beta1|RoleBinding|rbac.authorization.k8s.io
rbac.authorization.k8s.io|v1beta1|Role|rbac.authorization.k8s.io
apiextensions.k8s.io|v1beta1|CustomResourceDefinition|apiextensions.k8s.io
admissionregistration.k8s.io|v1beta1|MutatingWebhookConfiguration|admissionregistration.k8s.io
admissionregistration.k8s.io|v1beta1|ValidatingWebhookConfiguration|admissionregistration.k8s.io
coordination.k8s.io|v1beta1|Lease|coordination.k8s.io
scheduling.k8s.io|v1beta1|PriorityClass|scheduling.k8s.io
storage.k8s.io|v1beta1|StorageClass|storage.k8s.io
"""

# Kinds that are asked or made, but not kept.
FEW_VERBS = {
    "bindings": ("create",),
    "componentstatuses": ("get", "list"),
    "selfsubjectaccessreviews": ("create",),
}
# The same stored Event under two groups.
SHARED_STORAGE = {("events.k8s.io", "events"): ("/events", "v1")}


# What a real server of today says of versions that it still serves.
DEPRECATED = {("", "v1", "Endpoints"): "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"}


def deprecation(resource: Resource) -> str:
    """Return the warning that writes of a resource come with, empty for most."""
    known = DEPRECATED.get((resource.group, resource.version, resource.kind), "")
    if (
        known
        or resource.custom
        or "beta" not in resource.version
        or resource.api_version == resource.stored_api_version
    ):
        return known
    return f"{resource.api_version} {resource.kind} is deprecated; use {resource.stored_api_version} {resource.kind}"


def _present() -> tuple[Resource, ...]:
    made = []
    for line in TABLE.strip().splitlines():
        group, versions, kind, plural, flags, short = line.split("|")
        stored = versions.split(",")[0]
        storage, stored = SHARED_STORAGE.get((group, plural), (f"{group}/{plural}", stored))
        made += [
            Resource(
                group=group,
                version=version,
                kind=kind,
                plural=plural,
                namespaced="n" in flags,
                short=tuple(filter(None, short.split(","))),
                status="s" in flags,
                scale="c" in flags,
                generation="g" in flags,
                categories=("all",) if "a" in flags else (),
                storage=storage,
                stored_version=stored,
                singular=kind.lower(),
                verbs=FEW_VERBS.get(plural, ALL_VERBS),
            )
            for version in versions.split(",")
        ]
    return tuple(made)


def _with_legacy(present: tuple[Resource, ...]) -> tuple[Resource, ...]:
    newest = {(one.group, one.kind): one for one in reversed(present)}
    old = []
    for line in LEGACY.strip().splitlines():
        group, versions, kind, home = line.split("|")
        old += [replace(newest[home, kind], group=group, version=version) for version in versions.split(",")]
    return (*present, *old)


BUILTIN = _present()
BUILTIN_LEGACY = _with_legacy(BUILTIN)
