"""Serve the `scale` subresource: the number of replicas of a workload, and nothing else of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from services.kubesim import writing
from services.kubesim.answers import RefusedError, bad_request
from services.kubesim.cluster import ClusterState
from services.kubesim.commit import Object, Write
from services.kubesim.patches import json_patched, merged


def scaled(cluster: ClusterState, write: Write, method: str, body: Callable[[], Any]) -> Object:
    """Return the Scale of a workload, after the change that `method` and `body` ask for."""
    live = writing.read(cluster, write)
    if method == "GET":
        return scale_of(live)
    if method not in {"PUT", "PATCH"}:
        raise RefusedError(405, "the server does not allow this method on the requested resource")
    change = body()
    wanted = json_patched(scale_of(live), change) if isinstance(change, list) else merged(scale_of(live), change)
    replicas = (wanted.get("spec") or {}).get("replicas", 0)
    if not isinstance(replicas, int) or replicas < 0:
        raise bad_request("spec.replicas: must be greater than or equal to 0")

    def change_replicas(value: Object) -> Object:
        return {**value, "spec": {**value["spec"], "replicas": replicas}}

    return scale_of(writing.patch(cluster, replace(write, subresource="scale"), change_replicas))


def scale_of(value: Mapping[str, Any]) -> Object:
    """Return the Scale object of a workload."""
    metadata = value["metadata"]
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    selector = ((value.get("spec") or {}).get("selector") or {}).get("matchLabels") or {}
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {name: metadata[name] for name in kept if name in metadata},
        "spec": {"replicas": (value.get("spec") or {}).get("replicas", 0)},
        "status": {
            "replicas": (value.get("status") or {}).get("replicas", 0),
            "selector": ",".join(f"{key}={text}" for key, text in sorted(selector.items())),
        },
    }
