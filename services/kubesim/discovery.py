"""Describe what a cluster serves: the old lists, the aggregated documents, and OpenAPI as far as kubectl asks."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

import orjson

from services.kubesim.kinds import Resource

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
SUB_VERBS = ("get", "patch", "update")
# Kubernetes puts its own groups in a fixed order; what matters is the preferred version.
VERSION_RANK = {"v1": 0, "v2": -1}


def _rank(version: str) -> tuple[int, str]:
    return (VERSION_RANK.get(version, 1 if "beta" in version else 2 if "alpha" in version else 0), version)


class Catalogue:
    """The resources that a cluster serves, looked up and described; immutable, shared by clusters with equal ones."""

    def __init__(self, resources: Iterable[Resource], stale: frozenset[str] = frozenset()) -> None:
        self.resources = tuple(resources)
        self.stale = stale
        self.groups: dict[str, dict[str, dict[str, Resource]]] = {}
        for one in self.resources:
            self.groups.setdefault(one.group, {}).setdefault(one.version, {})[one.plural] = one

    def find(self, group: str, version: str, plural: str) -> Resource | None:
        """Return the resource of a path, None when it is not served."""
        return self.groups.get(group, {}).get(version, {}).get(plural)

    def by_kind(self, api_version: str, kind: str) -> Resource | None:
        """Return the resource that serves a kind, None when none does."""
        group, _, version = api_version.rpartition("/")
        return next((one for one in self.groups.get(group, {}).get(version, {}).values() if one.kind == kind), None)

    def by_storage(self, storage: str) -> Resource | None:
        """Return the resource in the version in which objects are stored."""
        served = [one for one in self.resources if one.storage == storage]
        exact = [one for one in served if one.api_version == one.stored_api_version]
        return next(iter(exact or served), None)

    def versions(self, group: str) -> list[str]:
        """Return the versions of a group, preferred first."""
        return sorted(self.groups[group], key=_rank)

    def without(self, groups: frozenset[str], stale: frozenset[str]) -> Catalogue:
        """Return the catalogue of a server that lacks some groups yet, and cannot ask the servers of `stale` ones."""
        return Catalogue((one for one in self.resources if one.group not in groups), stale)

    @cached_property
    def group_list(self) -> bytes:
        """Return the body of `/apis`."""
        groups = [self.group_document(group) for group in self.groups if group]
        return orjson.dumps({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})

    def group_document(self, group: str) -> dict[str, Any]:
        """Return the entry of one group."""
        versions = [{"groupVersion": f"{group}/{version}", "version": version} for version in self.versions(group)]
        return {"name": group, "versions": versions, "preferredVersion": versions[0]}

    def resource_list(self, group: str, version: str) -> dict[str, Any]:
        """Return the body of `/apis/<group>/<version>`."""
        entries: list[dict[str, Any]] = []
        for one in self.groups[group][version].values():
            entry: dict[str, Any] = {
                "name": one.plural,
                "singularName": one.singular,
                "namespaced": one.namespaced,
                "kind": one.kind,
                "verbs": list(one.verbs),
            }
            if one.short:
                entry["shortNames"] = list(one.short)
            if one.categories:
                entry["categories"] = list(one.categories)
            entries.append(entry)
            entries += [_sub_entry(one, name, extra) for name, extra in _subresources(one)]
        api_version = f"{group}/{version}" if group else version
        return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": api_version, "resources": entries}

    @cached_property
    def aggregated(self) -> tuple[bytes, bytes]:
        """Return the aggregated documents of `/api` and `/apis`."""
        core = [self._discovery_group(group) for group in self.groups if not group]
        named = [self._discovery_group(group) for group in self.groups if group]
        head = {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}}
        return orjson.dumps({**head, "items": core}), orjson.dumps({**head, "items": named})

    @cached_property
    def etag(self) -> str:
        """Return the quoted tag of the aggregated documents."""
        return '"' + hashlib.sha256(b"".join(self.aggregated)).hexdigest().upper() + '"'

    def _discovery_group(self, group: str) -> dict[str, Any]:
        versions: list[dict[str, Any]] = []
        for version in self.versions(group):
            if group in self.stale:
                versions.append({"version": version, "freshness": "Stale"})
                continue
            entries = [_discovery_entry(one) for one in self.groups[group][version].values()]
            versions.append({"version": version, "resources": entries, "freshness": "Current"})
        return {"metadata": {"name": group, "creationTimestamp": None}, "versions": versions}

    @cached_property
    def openapi_index(self) -> bytes:
        """Return the body of `/openapi/v3`."""
        paths = {
            path: {"serverRelativeURL": f"/openapi/v3/{path}?hash={self.etag[1:33]}"} for path in self._openapi_paths()
        }
        return orjson.dumps({"paths": paths})

    def _openapi_paths(self) -> list[str]:
        named = [f"apis/{group}/{version}" for group in self.groups if group for version in self.groups[group]]
        return ["api/v1", *named]

    def openapi(self, group: str, version: str) -> dict[str, Any]:
        """Return the OpenAPI v3 document of a group: which writes understand fieldValidation and dryRun."""
        root = f"/apis/{group}/{version}" if group else f"/api/{version}"
        paths: dict[str, Any] = {}
        for one in self.groups[group][version].values():
            place = f"{root}/namespaces/{{namespace}}" if one.namespaced else root
            paths[f"{place}/{one.plural}/{{name}}"] = {"patch": _patch_operation(one)}
        return {
            "openapi": "3.0.0",
            "info": {"title": "Kubernetes", "version": "v1.37.0"},
            "paths": paths,
            "components": {"schemas": {}},
        }


def _patch_operation(one: Resource) -> dict[str, Any]:
    names = ("dryRun", "fieldManager", "fieldValidation", "force")
    parameters = [{"name": name, "in": "query", "schema": {"type": "string"}} for name in names]
    gvk = {"group": one.group, "version": one.version, "kind": one.kind}
    return {
        "parameters": parameters,
        "responses": {},
        "x-kubernetes-action": "patch",
        "x-kubernetes-group-version-kind": gvk,
    }


def _subresources(one: Resource) -> list[tuple[str, Mapping[str, str]]]:
    found: list[tuple[str, Mapping[str, str]]] = []
    if one.status:
        found.append(("status", {"kind": one.kind}))
    if one.scale:
        found.append(("scale", {"group": "autoscaling", "version": "v1", "kind": "Scale"}))
    return found


def _sub_entry(one: Resource, name: str, kind: Mapping[str, str]) -> dict[str, Any]:
    entry = {"name": f"{one.plural}/{name}", "singularName": "", "namespaced": one.namespaced}
    return {**entry, **kind, "verbs": list(SUB_VERBS)}


def _discovery_entry(one: Resource) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "resource": one.plural,
        "responseKind": {"group": one.group, "version": one.version, "kind": one.kind},
        "scope": "Namespaced" if one.namespaced else "Cluster",
        "singularResource": one.singular,
        "verbs": list(one.verbs),
    }
    if one.short:
        entry["shortNames"] = list(one.short)
    if one.categories:
        entry["categories"] = list(one.categories)
    subresources = [
        {
            "subresource": name,
            "responseKind": {"group": "", "version": "", "kind": kind["kind"]} | dict(kind),
            "verbs": list(SUB_VERBS),
        }
        for name, kind in _subresources(one)
    ]
    return entry | ({"subresources": subresources} if subresources else {})
