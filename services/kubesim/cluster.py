"""Be one simulated cluster: its store, what it serves now, its clock, and what tests ask of it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import Any

import orjson

from services.kubesim.discovery import Catalogue
from services.kubesim.kinds import BUILTIN, BUILTIN_LEGACY, Resource
from services.kubesim.schema import Shape, from_openapi
from services.kubesim.schemas import META, shape_of
from services.kubesim.store import Name, Store

UIDS = uuid.UUID("0b6d8a52-2f0c-4f6e-9d1c-6d3a5a4f9c11")
CRDS = "apiextensions.k8s.io/customresourcedefinitions"
NAMESPACES = "/namespaces"
OPEN_SCHEMA: Mapping[str, Any] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
BIRTH_NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")


@cache
def builtin_catalogue(*, legacy: bool) -> Catalogue:
    """Return the catalogue of the built-in kinds, the same one for all clusters of a process."""
    return Catalogue(BUILTIN_LEGACY if legacy else BUILTIN)


@lru_cache(maxsize=64)
def extended_catalogue(extra: tuple[Resource, ...], *, legacy: bool) -> Catalogue:
    """Return the catalogue with custom kinds; clusters with the same definitions share it."""
    return Catalogue((*builtin_catalogue(legacy=legacy).resources, *extra))


@dataclass(frozen=True, slots=True)
class Definition:
    """What a CRD makes a cluster serve; equal CRDs of many clusters share one."""

    storage: str
    resources: tuple[Resource, ...]
    schemas: Mapping[tuple[str, str], Mapping[str, Any]]
    shapes: Mapping[tuple[str, str], Shape]


@lru_cache(maxsize=256)
def definition_of(spec_json: bytes) -> Definition:
    """Return what the `spec` of a CRD (v1) declares; a version without a schema takes any field."""
    spec = orjson.loads(spec_json)
    schemas = _schemas(spec)
    shapes = {key: _custom_shape(schema) for key, schema in schemas.items()}
    return Definition(f"{spec['group']}/{spec['names']['plural']}", _resources(spec), schemas, shapes)


def clock() -> datetime:
    """Return the present time."""
    return datetime.now(UTC)


@dataclass(slots=True)
class ClusterState:
    """Everything a cluster consists of; the API, the writes and the controllers work on it."""

    name: str
    legacy: bool = False
    clock: Callable[[], datetime] = clock
    store: Store = field(default_factory=Store)
    definitions: dict[str, Definition] = field(default_factory=dict)
    shapes: dict[tuple[str, str], Shape] = field(default_factory=dict)
    schemas: dict[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)
    """The types of custom resources, by storage and version: for merging, and as their definitions state them."""
    catalogue: Catalogue = field(init=False)
    hidden_groups: frozenset[str] = frozenset()
    """Groups that are not there yet, as on a starting server."""
    stale_groups: frozenset[str] = frozenset()
    """Groups of an aggregated API whose server is down."""
    failing: set[str] = field(default_factory=set)
    """Names of workloads that never become healthy."""
    service_addresses: int = 10
    namespace_linger_s: float = 0.0
    """How long a deleted namespace keeps its contents; a real one takes some seconds."""
    settle: bool = True
    """Whether the controllers run: workloads become ready, claims bound, jobs complete."""

    def __post_init__(self) -> None:
        self.catalogue = builtin_catalogue(legacy=self.legacy)

    def now(self) -> str:
        """Return the present time as objects carry it."""
        return self.clock().strftime("%Y-%m-%dT%H:%M:%SZ")

    @staticmethod
    def new_uid() -> str:
        """Return a fresh UID."""
        return str(uuid.uuid4())

    def stable_uid(self, what: str) -> str:
        """Return the UID of an object every cluster has; stable over restarts, another one in each cluster."""
        return str(uuid.uuid5(UIDS, f"{self.name}/{what}"))

    def shape(self, resource: Resource) -> Shape:
        """Return the type of a resource's objects."""
        if not resource.custom:
            return shape_of(resource.kind)
        return self.shapes[resource.storage, resource.version]

    def namespace(self, name: str) -> dict[str, Any] | None:
        """Return a Namespace object, None when there is none."""
        stored = self.store.get(NAMESPACES, Name("", name))
        return stored.decode() if stored else None

    def serve_custom(self, crd: Mapping[str, Any]) -> None:
        """Serve the versions of an established CRD from now on."""
        definition = definition_of(orjson.dumps(crd["spec"], option=orjson.OPT_SORT_KEYS))
        name = crd["metadata"]["name"]
        if self.definitions.get(name) is definition:
            return
        self.definitions[name] = definition
        self.schemas.update(definition.schemas)
        self.shapes.update(definition.shapes)
        self._describe()
        self.store.end_watches(definition.storage)

    def drop_custom(self, name: str) -> None:
        """Serve the kinds of a removed CRD no more."""
        if self.definitions.pop(name, None) is not None:
            self._describe()

    def _describe(self) -> None:
        base = builtin_catalogue(legacy=self.legacy)
        extra = tuple(one for _, definition in sorted(self.definitions.items()) for one in definition.resources)
        self.catalogue = extended_catalogue(extra, legacy=self.legacy) if extra else base


def _schemas(spec: Mapping[str, Any]) -> dict[tuple[str, str], Mapping[str, Any]]:
    storage = f"{spec['group']}/{spec['names']['plural']}"
    return {
        (storage, one["name"]): (one.get("schema") or {}).get("openAPIV3Schema") or OPEN_SCHEMA
        for one in spec.get("versions") or ()
        if one.get("served", True)
    }


def _resources(spec: Mapping[str, Any]) -> tuple[Resource, ...]:
    names = spec["names"]
    versions = [one for one in spec.get("versions") or () if one.get("served", True)]
    stored = next((one["name"] for one in spec.get("versions") or () if one.get("storage")), "")
    storage = f"{spec['group']}/{names['plural']}"
    return tuple(
        Resource(
            group=spec["group"],
            version=one["name"],
            kind=names["kind"],
            plural=names["plural"],
            namespaced=spec.get("scope") != "Cluster",
            short=tuple(names.get("shortNames") or ()),
            status="status" in (one.get("subresources") or {}),
            scale="scale" in (one.get("subresources") or {}),
            generation=True,
            categories=tuple(names.get("categories") or ()),
            storage=storage,
            stored_version=stored,
            custom=True,
            singular=names.get("singular") or names["kind"].lower(),
            list_kind=names.get("listKind") or "",
        )
        for one in versions
    )


def _custom_shape(schema: Mapping[str, Any]) -> Shape:
    inner = from_openapi(schema if "type" in schema else {**schema, "type": "object"})
    text = Shape("leaf", "string")
    fields = {**inner.fields, "apiVersion": text, "kind": text, "metadata": META}
    return Shape("struct", fields=fields, open=inner.open)
