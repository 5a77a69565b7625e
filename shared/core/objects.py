"""Kubernetes objects as plain mappings: who they are and in which order they stand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from shared.errors import PermanentError

Manifest = Mapping[str, Any]


class BadKeyError(PermanentError):
    """Text is not an object's key."""

    code = "object.bad-key"


class ObjectKey(NamedTuple):
    """An object's identity; the version is not part of it. `namespace` is empty for cluster-scoped objects."""

    group: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        """Return `group/kind:namespace/name`, the form of annotations, reports and expected deletes."""
        return f"{self.group}/{self.kind}:{self.namespace}/{self.name}"


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


def parse_key(text: str) -> ObjectKey:
    """Return the key that `str` of it gives.

    Raises:
        BadKeyError: the text has another form.
    """
    kind, colon, name = text.partition(":")
    group, slash, kind = kind.rpartition("/")
    namespace, other_slash, name = name.partition("/")
    if not (colon and slash and other_slash and kind and name):
        raise BadKeyError(f"{text!r} is not an object's key: expected group/kind:namespace/name")
    return ObjectKey(group, kind, namespace, name)
