"""Tell who wrote an object besides us and Kubernetes' own controllers: people and tools whose fields may be taken over."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from services.applier.fields import Ownership, Path, fields_of, members

# These set what nobody wrote into a manifest, and may (`protectedManagers`).
PROTECTED = (
    "kube-controller-manager",
    "kube-scheduler",
    "kube-apiserver",
    "kubelet",
    "cloud-controller-manager",
    "clusterrole-aggregation-controller",
    "vpa-*",
    "keda-operator",
    "cert-manager-cainjector",
    "cainjector",
)
RESTARTED: Path = ("f:spec", "f:template", "f:metadata", "f:annotations", "f:kubectl.kubernetes.io/restartedAt")
# The mark of a rollout restart, and the maps around it.
EXEMPT = fields_of(RESTARTED[:length] for length in range(1, len(RESTARTED) + 1))
_EXEMPT = members(EXEMPT)


def writers(owners: Iterable[Ownership], ours: str) -> tuple[str, ...]:
    """Return the managers whose entries could be taken over by `ours`, each once."""
    return tuple(dict.fromkeys(entry.manager for entry in owners if is_writer(entry, ours)))


def is_writer(entry: Ownership, ours: str) -> bool:
    """Tell whether an entry of the main resource is neither our apply nor a controller's, and has more than a restart."""
    if entry.subresource or (entry.manager, entry.operation) == (ours, "Apply"):
        return False
    if any(fnmatchcase(entry.manager, glob) for glob in PROTECTED):
        return False
    return bool(members(entry.fields) - _EXEMPT)
