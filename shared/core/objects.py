"""Kubernetes objects as plain mappings: who they are and in which order they stand."""

from __future__ import annotations

from collections.abc import Mapping
from sys import intern
from typing import Any, NamedTuple

Manifest = Mapping[str, Any]


class ObjectKey(NamedTuple):
    """An object's identity; the version is not part of it. `namespace` is empty for cluster-scoped objects."""

    group: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        """Return `group/kind:namespace/name`, the form of annotations, reports and expected deletes."""
        return f"{self.group}/{self.kind}:{self.namespace}/{self.name}"


def interned(key: ObjectKey) -> ObjectKey:
    """Return the key with one copy of what many keys have alike, for whoever keeps many."""
    return ObjectKey(intern(key.group), intern(key.kind), intern(key.namespace), key.name)


def group_of(api_version: str) -> str:
    """Return the group of an `apiVersion`, empty for the core group."""
    group, slash, _ = api_version.partition("/")
    return group if slash else ""


def key_of(manifest: Manifest) -> ObjectKey:
    """Return the identity of `manifest`; fields that are missing read as empty."""
    metadata = manifest.get("metadata") or {}
    return ObjectKey(
        group_of(manifest.get("apiVersion") or ""),
        manifest.get("kind") or "",
        metadata.get("namespace") or "",
        metadata.get("name") or "",
    )
