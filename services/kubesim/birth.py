"""Give a cluster what every cluster has from its first second: namespaces, their accounts, the API's own Service."""

from __future__ import annotations

from services.kubesim.cluster import BIRTH_NAMESPACES, NAMESPACES, ClusterState
from services.kubesim.commit import CONTROLLERS, Object, Write
from services.kubesim.store import Name
from services.kubesim.writing import create


def bear(cluster: ClusterState) -> ClusterState:
    """Fill an empty cluster and return it; its namespaces have the same UIDs whenever it is made again."""
    for name in BIRTH_NAMESPACES:
        _make(cluster, "namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        _fix_uid(cluster, name)
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": "kubernetes",
            "namespace": "default",
            "labels": {"component": "apiserver", "provider": "kubernetes"},
        },
        "spec": {"clusterIP": "10.96.0.1", "ports": [{"name": "https", "port": 443, "targetPort": 6443}]},
    }
    _make(cluster, "services", service)
    return cluster


def _make(cluster: ClusterState, plural: str, body: Object) -> None:
    resource = cluster.catalogue.find("", "v1", plural)
    if resource is not None:
        metadata = body["metadata"]
        create(cluster, Write(resource, Name(metadata.get("namespace", ""), metadata["name"]), CONTROLLERS), body)


def _fix_uid(cluster: ClusterState, namespace: str) -> None:
    value = cluster.namespace(namespace)
    if value is not None:
        value["metadata"]["uid"] = cluster.stable_uid(f"namespace/{namespace}")
        cluster.store.put(NAMESPACES, value)
