"""Show stored objects in the version a request asks for, and store what it sends in the stored version."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from services.kubesim.kinds import Resource

Object = dict[str, Any]


def stored(resource: Resource, value: Object) -> Object:
    """Return an object of the request's version as it is stored."""
    if value.get("apiVersion") == resource.stored_api_version:
        return value
    rule = RULES.get((resource.storage, resource.version))
    return {**(rule[0](value) if rule else value), "apiVersion": resource.stored_api_version}


def shown(resource: Resource, value: Object) -> Object:
    """Return a stored object in the request's version."""
    if value.get("apiVersion") == resource.api_version:
        return value
    rule = RULES.get((resource.storage, resource.version))
    return {**(rule[1](value) if rule else value), "apiVersion": resource.api_version}


def relabels_only(resource: Resource) -> bool:
    """Tell whether stored objects are sent as they are."""
    return resource.api_version == resource.stored_api_version


def _new_backend(backend: Any) -> Any:
    if not isinstance(backend, Mapping) or "serviceName" not in backend:
        return backend
    port = backend.get("servicePort")
    kept = {name: inner for name, inner in backend.items() if name not in {"serviceName", "servicePort"}}
    service: Object = {"name": backend["serviceName"]}
    if port is not None:
        service["port"] = {"number": port} if isinstance(port, int) else {"name": port}
    return {**kept, "service": service}


def _old_backend(backend: Any) -> Any:
    if not isinstance(backend, Mapping) or not isinstance(backend.get("service"), Mapping):
        return backend
    service = backend["service"]
    kept = {name: inner for name, inner in backend.items() if name != "service"}
    port = service.get("port") or {}
    old = {**kept, "serviceName": service.get("name")}
    number = port.get("number", port.get("name"))
    return old if number is None else {**old, "servicePort": number}


def _ingress(value: Object, change: Callable[[Any], Any], names: tuple[str, str]) -> Object:
    spec = dict(value.get("spec") or {})
    before, after = names
    if before in spec:
        spec[after] = change(spec.pop(before))
    rules = []
    for rule in spec.get("rules") or ():
        http = rule.get("http") or {}
        paths = [{**path, "backend": change(path.get("backend"))} for path in http.get("paths") or ()]
        if after == "defaultBackend":
            paths = [{"pathType": "ImplementationSpecific", **path} for path in paths]
        rules.append({**rule, "http": {**http, "paths": paths}} if http else rule)
    if rules:
        spec["rules"] = rules
    return {**value, "spec": spec}


def _new_ingress(value: Object) -> Object:
    return _ingress(value, _new_backend, ("backend", "defaultBackend"))


def _old_ingress(value: Object) -> Object:
    return _ingress(value, _old_backend, ("defaultBackend", "backend"))


def _metrics(value: Object, change: Callable[[Object], Object]) -> Object:
    spec = dict(value.get("spec") or {})
    if spec.get("metrics"):
        spec["metrics"] = [change(dict(metric)) for metric in spec["metrics"]]
    return {**value, "spec": spec}


def _new_metric(metric: Object) -> Object:
    resource = dict(metric.get("resource") or {})
    if not resource or "target" in resource:
        return metric
    share = resource.pop("targetAverageUtilization", None)
    amount = resource.pop("targetAverageValue", None)
    target = (
        {"type": "Utilization", "averageUtilization": share}
        if share is not None
        else {"type": "AverageValue", "averageValue": amount}
    )
    return {**metric, "resource": {**resource, "target": target}}


def _old_metric(metric: Object) -> Object:
    resource = dict(metric.get("resource") or {})
    target = resource.pop("target", None)
    if not target:
        return metric
    if "averageUtilization" in target:
        resource["targetAverageUtilization"] = target["averageUtilization"]
    elif "averageValue" in target:
        resource["targetAverageValue"] = target["averageValue"]
    return {**metric, "resource": resource}


def _scaler_from_v1(value: Object) -> Object:
    spec = dict(value.get("spec") or {})
    share = spec.pop("targetCPUUtilizationPercentage", None)
    if share is not None:
        target = {"type": "Utilization", "averageUtilization": share}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    return {**value, "spec": spec}


def _scaler_to_v1(value: Object) -> Object:
    spec = dict(value.get("spec") or {})
    for metric in spec.pop("metrics", None) or ():
        resource = metric.get("resource") or {}
        share = (resource.get("target") or {}).get("averageUtilization")
        if resource.get("name") == "cpu" and share is not None:
            spec["targetCPUUtilizationPercentage"] = share
    return {**value, "spec": spec}


def _new_definition(value: Object) -> Object:
    spec = dict(value.get("spec") or {})
    shared = {
        "schema": spec.pop("validation", None),
        "subresources": spec.pop("subresources", None),
        "additionalPrinterColumns": spec.pop("additionalPrinterColumns", None),
    }
    version = spec.pop("version", None)
    versions = spec.get("versions") or [{"name": version or "v1", "served": True, "storage": True}]
    spec["versions"] = [{**{name: part for name, part in shared.items() if part}, **one} for one in versions]
    for one in spec["versions"]:
        one.setdefault("schema", {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}})
    spec.pop("preserveUnknownFields", None)
    return {**value, "spec": spec}


def _old_definition(value: Object) -> Object:
    spec = dict(value.get("spec") or {})
    stored_one: Object = next((one for one in spec.get("versions") or () if one.get("storage")), {})
    return {**value, "spec": {**spec, "version": stored_one.get("name", "")}}


def _same(value: Object) -> Object:
    return value


def _new_deployment(value: Object) -> Object:
    """Return an old workload with what those versions filled in: the selector, from the template's labels."""
    spec = dict(value.get("spec") or {})
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels")
    spec.pop("rollbackTo", None)
    if not spec.get("selector") and labels:
        spec["selector"] = {"matchLabels": dict(labels)}
    return {**value, "spec": spec}


WORKLOAD = (_new_deployment, _same)
RULES: dict[tuple[str, str], tuple[Callable[[Object], Object], Callable[[Object], Object]]] = {
    ("networking.k8s.io/ingresses", "v1beta1"): (_new_ingress, _old_ingress),
    ("autoscaling/horizontalpodautoscalers", "v1"): (_scaler_from_v1, _scaler_to_v1),
    ("autoscaling/horizontalpodautoscalers", "v2beta1"): (
        lambda value: _metrics(value, _new_metric),
        lambda value: _metrics(value, _old_metric),
    ),
    ("apiextensions.k8s.io/customresourcedefinitions", "v1beta1"): (_new_definition, _old_definition),
    ("apps/deployments", "v1beta1"): WORKLOAD,
    ("apps/statefulsets", "v1beta1"): WORKLOAD,
    ("apps/daemonsets", "v1beta1"): WORKLOAD,
}
