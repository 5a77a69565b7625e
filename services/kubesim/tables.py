"""Print objects as the columns of `kubectl get`, and reduce them to their metadata."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from services.kubesim.kinds import Resource
from services.kubesim.selectors import value_at

Object = dict[str, Any]
Cell = Callable[[Mapping[str, Any]], Any]


def partial(value: Mapping[str, Any]) -> Object:
    """Return an object's metadata alone."""
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": value["metadata"]}


def table(
    resource: Resource, values: Iterable[Mapping[str, Any]], now: datetime, metadata: Mapping[str, Any]
) -> Object:
    """Return a Table of the objects; each row carries the object's metadata."""
    columns = COLUMNS.get(resource.storage, ())
    titles = ["Name", *(title for title, _ in columns), "Age"]
    rows = [
        {
            "cells": [value["metadata"]["name"], *(cell(value) for _, cell in columns), age(value, now)],
            "object": partial(value),
        }
        for value in values
    ]
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": dict(metadata),
        "columnDefinitions": [_definition(title) for title in titles],
        "rows": rows,
    }


def _definition(title: str) -> Object:
    form = "name" if title == "Name" else ""
    return {"name": title, "type": "string", "format": form, "description": title, "priority": 0}


def age(value: Mapping[str, Any], now: datetime) -> str:
    """Return the age of an object as kubectl shows it."""
    made = value["metadata"].get("creationTimestamp")
    if not made:
        return "<unknown>"
    seconds = max(0, int((now - datetime.fromisoformat(made)).total_seconds()))
    for unit, size, least in (("d", 86400, 2 * 86400), ("h", 3600, 3 * 3600), ("m", 60, 120)):
        if seconds >= least:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def _at(path: str, otherwise: str = "") -> Cell:
    return lambda value: value_at(value, path) or otherwise


def _share(part: str, whole: str) -> Cell:
    return lambda value: f"{value_at(value, part) or 0}/{value_at(value, whole) or 0}"


def _count(name: str) -> Cell:
    return lambda value: len(value.get(name) or ())


def _ports(value: Mapping[str, Any]) -> str:
    ports: Sequence[Mapping[str, Any]] = (value.get("spec") or {}).get("ports") or ()
    texts = []
    for port in ports:
        node = f":{port['nodePort']}" if port.get("nodePort") else ""
        texts.append(f"{port.get('port')}{node}/{port.get('protocol', 'TCP')}")
    return ",".join(texts) or "<none>"


def _hosts(value: Mapping[str, Any]) -> str:
    rules = (value.get("spec") or {}).get("rules") or ()
    return ",".join(rule.get("host") or "*" for rule in rules) or "*"


def _ready_containers(value: Mapping[str, Any]) -> str:
    states = (value.get("status") or {}).get("containerStatuses") or ()
    return f"{sum(bool(one.get('ready')) for one in states)}/{len(states)}"


def _job_state(value: Mapping[str, Any]) -> str:
    conditions = (value.get("status") or {}).get("conditions") or ()
    return next((one["type"] for one in conditions if one["type"] in {"Complete", "Failed", "Suspended"}), "Running")


COLUMNS: dict[str, tuple[tuple[str, Cell], ...]] = {
    "/namespaces": (("Status", _at("status.phase")),),
    "/configmaps": (("Data", _count("data")),),
    "/secrets": (("Type", _at("type")), ("Data", _count("data"))),
    "/pods": (("Ready", _ready_containers), ("Status", _at("status.phase")), ("Restarts", lambda _: 0)),
    "/services": (
        ("Type", _at("spec.type")),
        ("Cluster-IP", _at("spec.clusterIP", "<none>")),
        ("External-IP", lambda _: "<none>"),
        ("Port(s)", _ports),
    ),
    "/persistentvolumeclaims": (("Status", _at("status.phase")), ("Volume", _at("spec.volumeName"))),
    "apps/deployments": (
        ("Ready", _share("status.readyReplicas", "spec.replicas")),
        ("Up-to-date", _at("status.updatedReplicas", "0")),
        ("Available", _at("status.availableReplicas", "0")),
    ),
    "apps/statefulsets": (("Ready", _share("status.readyReplicas", "spec.replicas")),),
    "apps/replicasets": (
        ("Desired", _at("spec.replicas", "0")),
        ("Current", _at("status.replicas", "0")),
        ("Ready", _at("status.readyReplicas", "0")),
    ),
    "apps/daemonsets": (
        ("Desired", _at("status.desiredNumberScheduled", "0")),
        ("Ready", _at("status.numberReady", "0")),
    ),
    "batch/jobs": (("Status", _job_state), ("Completions", _share("status.succeeded", "spec.completions"))),
    "batch/cronjobs": (("Schedule", _at("spec.schedule")), ("Suspend", _at("spec.suspend"))),
    "networking.k8s.io/ingresses": (("Class", _at("spec.ingressClassName", "<none>")), ("Hosts", _hosts)),
    "autoscaling/horizontalpodautoscalers": (
        ("Reference", _at("spec.scaleTargetRef.name")),
        ("MinPods", _at("spec.minReplicas")),
        ("MaxPods", _at("spec.maxReplicas")),
    ),
    "coordination.k8s.io/leases": (("Holder", _at("spec.holderIdentity")),),
}
