"""Do what the API server itself does to objects on their way in: fixed labels, addresses, defaults that depend."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import orjson

from services.kubesim.answers import Cause, RefusedError, Subject, bad_request, invalid, not_found
from services.kubesim.cluster import NAMESPACES, ClusterState, definition_of
from services.kubesim.kinds import Resource
from services.kubesim.schemas import ROLLING
from services.kubesim.store import Name

Object = dict[str, Any]
Mutator = Callable[[ClusterState, Object | None, Object], None]


def mutate(cluster: ClusterState, resource: Resource, live: Object | None, new: Object) -> None:
    """Complete `new`; refuse creates into namespaces that are missing or going away.

    Raises:
        RefusedError: 403 or 404 because of the namespace.
    """
    if live is None and resource.namespaced:
        _check_namespace(cluster, resource, new)
    if live is None and resource.custom:
        _check_definition(cluster, resource, new)
    mutator = MUTATORS.get(resource.storage)
    if mutator is not None:
        mutator(cluster, live, new)


def _check_namespace(cluster: ClusterState, resource: Resource, new: Object) -> None:
    namespace = new["metadata"]["namespace"]
    stored = cluster.store.get(NAMESPACES, Name("", namespace))
    if stored is None:
        raise not_found(Subject("", "namespaces", namespace))
    if b'"deletionTimestamp"' in stored.raw and stored.decode()["metadata"].get("deletionTimestamp"):
        subject = Subject(resource.group, resource.plural, new["metadata"].get("name") or "")
        text = f"unable to create new content in namespace {namespace} because it is being terminated"
        cause = {
            "reason": "NamespaceTerminating",
            "message": f"namespace {namespace} is being terminated",
            "field": "metadata.namespace",
        }
        details = {**subject.details(), "causes": [cause]}
        raise RefusedError(403, f"{subject} is forbidden: {text}", details=details)


def _check_definition(cluster: ClusterState, resource: Resource, new: Object) -> None:
    crd = f"{resource.plural}.{resource.group}"
    stored = cluster.store.get("apiextensions.k8s.io/customresourcedefinitions", Name("", crd))
    if stored is not None and stored.decode()["metadata"].get("deletionTimestamp"):
        subject = Subject(resource.group, resource.plural, new["metadata"].get("name") or "")
        text = "create not allowed while custom resource definition is terminating"
        raise RefusedError(403, f"{subject} is forbidden: {text}", details=subject.details())


def _namespace(_cluster: ClusterState, live: Object | None, new: Object) -> None:
    new["metadata"].setdefault("labels", {})["kubernetes.io/metadata.name"] = new["metadata"]["name"]
    if live is None:
        new["spec"] = {"finalizers": ["kubernetes"]}
    else:
        new["spec"] = live.get("spec") or {}


def _secret(_cluster: ClusterState, _live: Object | None, new: Object) -> None:
    plain = new.pop("stringData", None)
    if plain:
        coded = {key: base64.b64encode(text.encode()).decode() for key, text in plain.items()}
        new["data"] = {**(new.get("data") or {}), **coded}
    for text in (new.get("data") or {}).values():
        try:
            base64.b64decode(text, validate=True)
        except ValueError as error:
            name = f"{new['metadata'].get('namespace')}/{new['metadata'].get('name')}; /v1, Kind=Secret"
            why = "unable to convert unstructured object to /v1, Kind=Secret: error decoding from json"
            wrong = f"illegal base64 data at input byte {_first_wrong(text)}"
            message = f"failed to convert new object ({name}) to proper version: {why}: {wrong}"
            raise RefusedError(500, message, reason="") from error


def _first_wrong(text: str) -> int:
    return next((place for place, sign in enumerate(text) if not (sign.isalnum() or sign in "+/=")), len(text))


def _service(cluster: ClusterState, live: Object | None, new: Object) -> None:
    spec = new["spec"] = new.get("spec") or {"type": "ClusterIP", "sessionAffinity": "None"}
    before = (live or {}).get("spec") or {}
    if spec.get("type") == "ExternalName":
        return
    for name in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"):
        if not spec.get(name) and before.get(name):
            spec[name] = before[name]
    if not spec.get("clusterIP"):
        cluster.service_addresses += 1
        number = cluster.service_addresses
        spec["clusterIP"] = f"10.96.{number // 250 % 250}.{number % 250 + 1}"
    spec["clusterIPs"] = [spec["clusterIP"]]
    if spec["clusterIP"] != "None" or spec.get("selector"):
        spec.setdefault("ipFamilies", ["IPv4"])
        spec.setdefault("ipFamilyPolicy", "SingleStack")
    spec.setdefault("internalTrafficPolicy", "Cluster")
    for port in spec.get("ports") or ():
        port.setdefault("targetPort", port.get("port"))
    if spec.get("type") in {"NodePort", "LoadBalancer"}:
        _node_ports(cluster, before, spec)


def _node_ports(cluster: ClusterState, before: Object, spec: Object) -> None:
    spec.setdefault("externalTrafficPolicy", "Cluster")
    if spec["type"] == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)
    known = {(port.get("port"), port.get("protocol")): port.get("nodePort") for port in before.get("ports") or ()}
    for port in spec.get("ports") or ():
        if not port.get("nodePort"):
            cluster.service_addresses += 1
            kept = known.get((port.get("port"), port.get("protocol")))
            port["nodePort"] = kept or 30000 + cluster.service_addresses % 2768


def _rolling(_cluster: ClusterState, _live: Object | None, new: Object) -> None:
    strategy = (new.get("spec") or {}).get("strategy")
    if strategy and strategy.get("type") == "RollingUpdate":
        strategy["rollingUpdate"] = ROLLING | (strategy.get("rollingUpdate") or {})


def _partition(_cluster: ClusterState, _live: Object | None, new: Object) -> None:
    strategy = (new.get("spec") or {}).get("updateStrategy")
    if strategy and strategy.get("type") == "RollingUpdate":
        strategy["rollingUpdate"] = {"maxUnavailable": 1, "partition": 0} | (strategy.get("rollingUpdate") or {})


def _daemons(_cluster: ClusterState, _live: Object | None, new: Object) -> None:
    strategy = (new.get("spec") or {}).get("updateStrategy")
    if strategy and strategy.get("type") == "RollingUpdate":
        strategy["rollingUpdate"] = {"maxSurge": 0, "maxUnavailable": 1} | (strategy.get("rollingUpdate") or {})


def _job(cluster: ClusterState, live: Object | None, new: Object) -> None:
    spec = new.get("spec") or {}
    if live is not None:
        spec.setdefault("selector", (live.get("spec") or {}).get("selector"))
        labels = (((live.get("spec") or {}).get("template") or {}).get("metadata") or {}).get("labels") or {}
    else:
        uid = cluster.new_uid()
        spec.setdefault("selector", {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}})
        known = {"controller-uid": uid, "job-name": new["metadata"].get("name")}
        labels = {f"{prefix}{key}": value for key, value in known.items() for prefix in ("batch.kubernetes.io/", "")}
    own = {key: value for key, value in labels.items() if key.rpartition("/")[2] in {"controller-uid", "job-name"}}
    template = spec.get("template") or {}
    metadata = template.setdefault("metadata", {})
    metadata["labels"] = {**(metadata.get("labels") or {}), **own}
    if not new["metadata"].get("labels"):
        new["metadata"]["labels"] = dict(metadata["labels"])


def _claim(_cluster: ClusterState, live: Object | None, new: Object) -> None:
    spec = new.get("spec") or {}
    before = (live or {}).get("spec") or {}
    spec.setdefault("storageClassName", before.get("storageClassName") or "standard")
    if "volumeName" not in spec and before.get("volumeName"):
        spec["volumeName"] = before["volumeName"]
    finalizers = new["metadata"].get("finalizers") or []
    if live is None and "kubernetes.io/pvc-protection" not in finalizers:
        new["metadata"]["finalizers"] = [*finalizers, "kubernetes.io/pvc-protection"]


def _definition(_cluster: ClusterState, live: Object | None, new: Object) -> None:
    spec = new.get("spec") or {}
    names = spec.get("names")
    if not isinstance(names, dict) or not names.get("kind"):
        raise bad_request("spec.names.kind: Required value")
    names.setdefault("singular", names["kind"].lower())
    names.setdefault("listKind", names["kind"] + "List")
    spec.setdefault("conversion", {"strategy": "None"})
    if live is None and not spec.get("scope"):
        spec["scope"] = "Namespaced"
    try:
        definition_of(orjson.dumps(spec, option=orjson.OPT_SORT_KEYS))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        subject = Subject("apiextensions.k8s.io", "CustomResourceDefinition", new["metadata"].get("name") or "")
        cause = Cause("FieldValueInvalid", f"Invalid value: the schema cannot be read: {error}", "spec.versions")
        raise invalid(subject, [cause]) from error


def _scaler(_cluster: ClusterState, _live: Object | None, new: Object) -> None:
    spec = new.get("spec") or {}
    if not spec.get("metrics"):
        target = {"type": "Utilization", "averageUtilization": 80}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]


MUTATORS: dict[str, Mutator] = {
    NAMESPACES: _namespace,
    "/secrets": _secret,
    "/services": _service,
    "/persistentvolumeclaims": _claim,
    "apps/deployments": _rolling,
    "apps/statefulsets": _partition,
    "apps/daemonsets": _daemons,
    "batch/jobs": _job,
    "apiextensions.k8s.io/customresourcedefinitions": _definition,
    "autoscaling/horizontalpodautoscalers": _scaler,
}
