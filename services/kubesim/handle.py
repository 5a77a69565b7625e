"""Let tests and the demo look into a simulated cluster and change it behind everybody's back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from services.kubesim import conversion, patches, writing
from services.kubesim.answers import not_served
from services.kubesim.cluster import ClusterState
from services.kubesim.commit import CONTROLLERS, Object, Write
from services.kubesim.deleting import delete, let_go
from services.kubesim.kinds import Resource
from services.kubesim.store import Name

STRANGER = "somebody"


class Objects:
    """A cluster's objects, read and written without HTTP; refusals raise `RefusedError` as the API would answer."""

    def __init__(self, cluster: ClusterState) -> None:
        self._cluster = cluster

    def get(self, api_version: str, kind: str, namespace: str, name: str) -> Object | None:
        """Return an object, None when it does not exist."""
        resource = self._resource(api_version, kind)
        stored = self._cluster.store.get(resource.storage, Name(namespace if resource.namespaced else "", name))
        return conversion.shown(resource, stored.decode()) if stored else None

    def list(self, api_version: str, kind: str, namespace: str = "") -> Sequence[Object]:
        """Return the objects of a kind; an empty namespace means all."""
        resource = self._resource(api_version, kind)
        found = self._cluster.store.select(resource.storage, namespace)
        return [conversion.shown(resource, stored.decode()) for _, stored in found]

    def objects(self) -> Sequence[Object]:
        """Return every object of the cluster, each once."""
        return [stored.decode() for _, _, stored in self._cluster.store.everything()]

    def apply(self, manifest: Mapping[str, Any], *, manager: str = STRANGER, force: bool = True) -> Object:
        """Apply a manifest server-side as another manager."""
        write = self._write(manifest, manager, force=force)
        return conversion.shown(write.resource, writing.apply(self._cluster, write, dict(manifest)))

    def create(self, manifest: Mapping[str, Any], *, manager: str = STRANGER) -> Object:
        """Create an object as another manager, without an apply."""
        write = self._write(manifest, manager)
        return conversion.shown(write.resource, writing.create(self._cluster, write, dict(manifest)))

    def patch(self, manifest: Mapping[str, Any], change: Mapping[str, Any], *, manager: str = STRANGER) -> Object:
        """Change the object that `manifest` names by a merge patch, as another manager."""
        write = self._write(manifest, manager)
        return self._patched(write, change)

    def set_status(self, manifest: Mapping[str, Any], status: Mapping[str, Any]) -> Object:
        """Write the status of the object that `manifest` names, as its controller would."""
        write = self._write(manifest, "controller", subresource="status")
        changed = writing.patch(self._cluster, write, lambda value: {**value, "status": dict(status)})
        return conversion.shown(write.resource, changed)

    def scale(self, manifest: Mapping[str, Any], replicas: int, *, manager: str = CONTROLLERS) -> Object:
        """Set the replicas of a workload through its `scale` subresource, as an autoscaler does."""
        write = self._write(manifest, manager, subresource="scale")
        return self._patched(write, {"spec": {"replicas": replicas}})

    def delete(self, api_version: str, kind: str, namespace: str, name: str, *, policy: str = "Background") -> None:
        """Delete an object; one that does not exist is no error."""
        resource = self._resource(api_version, kind)
        stored = self._cluster.store.get(resource.storage, Name(namespace if resource.namespaced else "", name))
        if stored is not None:
            delete(self._cluster, resource, stored.decode(), policy)

    def let_go(self, manifest: Mapping[str, Any], finalizer: str) -> None:
        """Take a finalizer off an object that is going away."""
        write = self._write(manifest, STRANGER)
        let_go(self._cluster, write.resource.storage, write.name, finalizer)

    def end_watches(self, api_version: str, kind: str) -> None:
        """End the open watches of a kind; resuming them gives a 410."""
        self._cluster.store.end_watches(self._resource(api_version, kind).storage)

    def compact(self) -> None:
        """Forget the history: watches that resume from an older version get a 410."""
        self._cluster.store.compact()

    def _patched(self, write: Write, change: Mapping[str, Any]) -> Object:
        changed = writing.patch(self._cluster, write, lambda value: patches.merged(value, change))
        return conversion.shown(write.resource, changed)

    def _resource(self, api_version: str, kind: str) -> Resource:
        resource = self._cluster.catalogue.by_kind(api_version, kind)
        if resource is None:
            raise not_served()
        return resource

    def _write(self, manifest: Mapping[str, Any], manager: str, *, force: bool = False, subresource: str = "") -> Write:
        resource = self._resource(manifest["apiVersion"], manifest["kind"])
        metadata = manifest["metadata"]
        namespace = metadata.get("namespace") or "default" if resource.namespaced else ""
        return Write(resource, Name(namespace, metadata["name"]), manager, force=force, subresource=subresource)
