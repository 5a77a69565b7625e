"""Find what would go along with a namespace or a definition that is deleted (F8, F9).

What the app had there and may lose is deleted before. So whatever is left is somebody else's, or waits for a person,
or was refused: our label on it says nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.applier.crds import CRD
from services.applier.kube.mapper import Mapper, Resource
from services.applier.kube.reflector import pages
from services.applier.kube.session import Sender
from shared.core.objects import Manifest, ObjectKey

NAMESPACE = ("", "Namespace")
# What every namespace has, or what follows other objects.
_SYSTEM_KINDS = frozenset(
    {("", "Event"), ("events.k8s.io", "Event"), ("", "Endpoints"), ("discovery.k8s.io", "EndpointSlice")}
)
_SYSTEM_NAMES = frozenset(
    {("ServiceAccount", "default"), ("ConfigMap", "kube-root-ca.crt"), ("ConfigMap", "openshift-service-ca.crt")}
)
_ACCOUNT_OF = "kubernetes.io/service-account.name"


@dataclass(frozen=True, slots=True)
class Remains:
    """Looks what is left."""

    session: Sender
    mapper: Mapper

    async def of(self, key: ObjectKey) -> str:
        """Return what would go along with the object, by kind; empty: nothing that is anybody else's.

        Raises:
            ListError: the server refused a listing, so nobody knows.
            ClusterUnreachableError: no answer.
        """
        counts: Counter[str] = Counter()
        for resource in self._resources(key):
            namespace = key.name if (key.group, key.kind) == NAMESPACE else ""
            async for page in pages(self.session, resource, {}, namespace=namespace):
                items = page.get("items") or ()
                counts[resource.kind] += sum(_counts(item, resource, key) for item in items)
        return ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()) if count)

    def _resources(self, key: ObjectKey) -> list[Resource]:
        """Return the kinds of which objects would go along; what cannot be deleted is a mere view of something else."""
        kinds = [each for each in self.mapper if {"list", "delete"} <= each.verbs]
        if (key.group, key.kind) == NAMESPACE:
            return [each for each in kinds if each.namespaced and (each.group, each.kind) not in _SYSTEM_KINDS]
        if (key.group, key.kind) == CRD:
            return [each for each in kinds if f"{each.plural}.{each.group}" == key.name]
        return []


def _counts(item: Manifest, resource: Resource, key: ObjectKey) -> bool:
    metadata = item.get("metadata") or {}
    if metadata.get("deletionTimestamp"):
        return False
    return (key.group, key.kind) == CRD or not is_system_made(metadata, resource.kind)


def is_system_made(metadata: Mapping[str, Any], kind: str) -> bool:
    """Tell whether an object in a namespace was made by the system or by a controller for another object."""
    if (kind, metadata.get("name")) in _SYSTEM_NAMES or _ACCOUNT_OF in (metadata.get("annotations") or {}):
        return True
    return any(owner.get("controller") for owner in metadata.get("ownerReferences") or ())
