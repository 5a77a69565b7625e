"""Take objects away: finalizers, propagation to dependents, namespaces and CRDs with what they hold."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from services.kubesim.cluster import CRDS, NAMESPACES, ClusterState
from services.kubesim.kinds import Resource
from services.kubesim.store import Name, Stored

Object = dict[str, Any]
FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"
CLEANUP = "customresourcecleanup.apiextensions.k8s.io"
# Finalizers whose controllers let go at once here.
RELEASED = frozenset(
    {"kubernetes.io/pvc-protection", "kubernetes.io/pv-protection", "service.kubernetes.io/load-balancer-cleanup"}
)
ORPHANED_BY_DEFAULT = frozenset({"batch/jobs", "/replicationcontrollers"})


def delete(cluster: ClusterState, resource: Resource, live: Object, policy: str) -> Object | None:
    """Delete an object as `policy` says (Background, Foreground, Orphan, or empty for the kind's default).

    Returns:
        The object as it is while finalizers hold it, None when it is gone.
    """
    metadata = live["metadata"]
    name = Name(metadata.get("namespace") or "", metadata["name"])
    if not policy:
        policy = "Orphan" if resource.storage in ORPHANED_BY_DEFAULT else "Background"
    finalizers = [one for one in metadata.get("finalizers") or () if one not in RELEASED]
    dependents = _dependents(cluster, metadata["uid"])
    if policy == "Orphan":
        for storage, stored in dependents:
            _disown(cluster, storage, stored.decode(), metadata["uid"])
    elif policy == "Foreground" and any(_blocks(stored, metadata["uid"]) for _, stored in dependents):
        finalizers.append(FOREGROUND)
    if resource.storage == CRDS and CLEANUP not in finalizers:
        finalizers.append(CLEANUP)
    spec_holds = resource.storage == NAMESPACES and (live.get("spec") or {}).get("finalizers")
    if not finalizers and not spec_holds:
        remove(cluster, resource, name)
        return None
    return _terminate(cluster, resource, live, sorted(set(finalizers), key=finalizers.index))


def _terminate(cluster: ClusterState, resource: Resource, live: Object, finalizers: list[str]) -> Object:
    metadata = live["metadata"]
    name = Name(metadata.get("namespace") or "", metadata["name"])
    if not metadata.get("deletionTimestamp"):
        metadata["deletionTimestamp"] = cluster.now()
        if resource.storage not in {NAMESPACES, CRDS}:
            metadata["deletionGracePeriodSeconds"] = 0
        if resource.generation and resource.storage != CRDS:
            metadata["generation"] = metadata.get("generation", 0) + 1
        metadata["finalizers"] = finalizers
        if not finalizers:
            metadata.pop("finalizers")
        if resource.storage == NAMESPACES:
            live["status"] = {"phase": "Terminating"}
        cluster.store.put(resource.storage, live)
    if resource.storage == NAMESPACES and cluster.namespace_linger_s:
        asyncio.get_running_loop().call_later(cluster.namespace_linger_s, end_namespace, cluster, name.name)
    elif resource.storage == NAMESPACES:
        end_namespace(cluster, name.name)
    elif CLEANUP in finalizers:
        end_custom(cluster, live)
    elif FOREGROUND in finalizers:
        _end_foreground(cluster, metadata["uid"])
    return live


def remove(cluster: ClusterState, resource: Resource, name: Name) -> None:
    """Remove an object from the store, then whatever lived only through it."""
    gone = cluster.store.remove(resource.storage, name)
    if gone is None:
        return
    if resource.storage == CRDS:
        cluster.store.end_watches(_storage_of(gone))
        cluster.drop_custom(name.name)
    _collect(cluster, gone["metadata"]["uid"])
    for owner in gone["metadata"].get("ownerReferences") or ():
        _release_owner(cluster, owner.get("uid") or "")
    if name.namespace:
        _finish_namespace(cluster, name.namespace)
    if resource.custom:
        _finish_definition(cluster, resource)


def _dependents(cluster: ClusterState, uid: str) -> list[tuple[str, Stored]]:
    needle = uid.encode()
    return [
        (storage, stored)
        for storage, _, stored in cluster.store.everything()
        if needle in stored.raw and any(one.get("uid") == uid for one in _owners(stored.decode()))
    ]


def _owners(value: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return value["metadata"].get("ownerReferences") or []


def _blocks(stored: Stored, uid: str) -> bool:
    return any(one.get("uid") == uid and one.get("blockOwnerDeletion") for one in _owners(stored.decode()))


def _disown(cluster: ClusterState, storage: str, value: Object, uid: str) -> None:
    left = [one for one in _owners(value) if one.get("uid") != uid]
    value["metadata"]["ownerReferences"] = left
    if not left:
        value["metadata"].pop("ownerReferences")
    cluster.store.put(storage, value)


def _collect(cluster: ClusterState, uid: str) -> None:
    """Delete the dependents of an object that is gone; those with another owner are only freed of this one."""
    for storage, stored in _dependents(cluster, uid):
        value = stored.decode()
        resource = cluster.catalogue.by_storage(storage)
        if len(_owners(value)) > 1 or resource is None:
            _disown(cluster, storage, value, uid)
        else:
            delete(cluster, resource, value, "Background")


def _end_foreground(cluster: ClusterState, uid: str) -> None:
    for storage, stored in _dependents(cluster, uid):
        resource = cluster.catalogue.by_storage(storage)
        if resource is not None:
            delete(cluster, resource, stored.decode(), "Foreground")
    _release_owner(cluster, uid)


def _release_owner(cluster: ClusterState, uid: str) -> None:
    """Remove an owner that waits for its dependents, once the last of them is gone."""
    if not uid or any(_blocks(stored, uid) for _, stored in _dependents(cluster, uid)):
        return
    needle = uid.encode()
    for storage, name, stored in cluster.store.everything():
        if needle not in stored.raw or FOREGROUND.encode() not in stored.raw:
            continue
        value = stored.decode()
        if value["metadata"]["uid"] == uid:
            let_go(cluster, storage, name, FOREGROUND)


def let_go(cluster: ClusterState, storage: str, name: Name, finalizer: str) -> None:
    """Take a finalizer off a terminating object, and the object away when it was the last."""
    stored = cluster.store.get(storage, name)
    resource = cluster.catalogue.by_storage(storage)
    if stored is None or resource is None:
        return
    value = stored.decode()
    finalizers = value["metadata"].get("finalizers") or []
    if finalizer not in finalizers:
        return
    left = [one for one in finalizers if one != finalizer]
    if not left:
        remove(cluster, resource, name)
        return
    value["metadata"]["finalizers"] = left
    cluster.store.put(storage, value)


def end_namespace(cluster: ClusterState, namespace: str) -> None:
    """Delete what a terminating namespace holds, then the namespace unless something is held by finalizers."""
    for storage, name, _ in cluster.store.everything():
        resource = cluster.catalogue.by_storage(storage)
        if name.namespace != namespace or resource is None:
            continue
        stored = cluster.store.get(storage, name)
        if stored is not None:
            delete(cluster, resource, stored.decode(), "Background")
    _finish_namespace(cluster, namespace)


def _finish_namespace(cluster: ClusterState, namespace: str) -> None:
    value = cluster.namespace(namespace)
    if value is None or not value["metadata"].get("deletionTimestamp"):
        return
    if any(name.namespace == namespace for _, name, _ in cluster.store.everything()):
        return
    resource = cluster.catalogue.by_storage(NAMESPACES)
    if resource is None:
        return
    if not value["metadata"].get("finalizers"):
        remove(cluster, resource, Name("", namespace))
    elif (value.get("spec") or {}).get("finalizers"):
        value["spec"] = {}
        cluster.store.put(NAMESPACES, value)


def finalize_namespace(cluster: ClusterState, value: Object, finalizers: list[str]) -> Object:
    """Set the finalizers in a namespace's spec (its `finalize` subresource) and return it."""
    value["spec"] = {"finalizers": finalizers} if finalizers else {}
    resource = cluster.catalogue.by_storage(NAMESPACES)
    metadata = value["metadata"]
    if resource and metadata.get("deletionTimestamp") and not finalizers and not metadata.get("finalizers"):
        remove(cluster, resource, Name("", metadata["name"]))
        return value
    return cluster.store.put(NAMESPACES, value)


def _storage_of(crd: Mapping[str, Any]) -> str:
    return f"{crd['spec']['group']}/{crd['spec']['names']['plural']}"


def end_custom(cluster: ClusterState, crd: Mapping[str, Any]) -> None:
    """Delete the objects of a terminating CRD."""
    storage = _storage_of(crd)
    resource = cluster.catalogue.by_storage(storage)
    for name, _ in cluster.store.select(storage):
        stored = cluster.store.get(storage, name)
        if stored is not None and resource is not None:
            delete(cluster, resource, stored.decode(), "Background")
    if not cluster.store.select(storage):
        let_go(cluster, CRDS, Name("", crd["metadata"]["name"]), CLEANUP)


def _finish_definition(cluster: ClusterState, resource: Resource) -> None:
    if not cluster.store.select(resource.storage):
        let_go(cluster, CRDS, Name("", f"{resource.plural}.{resource.group}"), CLEANUP)
