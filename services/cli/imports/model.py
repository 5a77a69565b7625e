"""What an import finds: apps on clusters, how their originals were made, and what could not be taken over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.errors import Finding

Key = tuple[str, str, str]
"""Kind, namespace and name of what an app was in the other tool."""
MANIFESTS = "manifests"
"""The folder of the written fleet that holds the other repository's files, with the paths they had there."""


@dataclass(frozen=True, slots=True)
class Kustomized:
    """Objects of a kustomization, with fields added to it as the other tool adds them before it builds."""

    path: str
    namespace: str = "default"
    fields: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    """Set on every object after the build, as `annotations` are."""
    annotations: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] | None = None
    """For `${name}`; None: texts stay as they are."""
    listed: tuple[str, ...] = ()
    """The members of a kustomization that the other tool makes where the folder has none."""


@dataclass(frozen=True, slots=True)
class Charted:
    """Objects of a chart in the repository."""

    path: str
    release: str
    namespace: str
    files: tuple[str, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Listed:
    """Objects of YAML files."""

    files: tuple[str, ...]
    namespace: str


@dataclass(frozen=True, slots=True)
class Absent:
    """Objects that cannot be made here, and when they can be compared."""

    reason: str


Original = Kustomized | Charted | Listed | Absent


@dataclass(frozen=True, slots=True)
class Draft:
    """One app on one cluster, as it will be written; paths are those of the other repository."""

    key: Key
    cluster: str
    name: str
    original: Original
    namespace: str = ""
    kustomization: Mapping[str, Any] | None = None
    plain: tuple[str, ...] = ()
    """The folders or files of plain manifests."""
    helm: Mapping[str, Any] | None = None
    layers: tuple[str, ...] = ()
    """Values files of the chart, in order."""
    values: Mapping[str, Any] | None = None
    source: Mapping[str, Any] | None = None
    substitute: Mapping[str, str] | None = None
    sync: Mapping[str, Any] = field(default_factory=dict)
    after: tuple[Key, ...] = ()
    """What it waits for."""
    project: str = ""
    made_of: tuple[str, ...] = ()
    """Files and folders of the other repository that must come along."""


@dataclass(frozen=True, slots=True)
class ClusterFound:
    """A cluster that the other tool knows, or a name for one."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Import:
    """All that was found in a repository."""

    clusters: tuple[ClusterFound, ...] = ()
    drafts: tuple[Draft, ...] = ()
    selectors: Mapping[Key, tuple[Mapping[str, tuple[str, ...]], ...]] = field(default_factory=dict)
    """For which clusters an app is, where the other tool says it by labels."""
    projects: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    added: Mapping[str, str] = field(default_factory=dict)
    """Files that the other tool would make, by path in the other repository."""
    findings: tuple[Finding, ...] = ()
