"""A fleet as one source declares it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.errors import Finding
from shared.fleet.files import AppFile, FleetFile, Verify

ROOT = "fleet.yaml"


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster with what it is known by."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
    file: str = ""
    line: int = 0
    column: int = 0
    kube_version: str = ""
    api_versions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A place in another repository."""

    repository: str
    ref: str = ""
    path: str = ""
    verify: tuple[Verify, ...] = ()
    """Which signatures its commits must carry; all of these count."""


@dataclass(frozen=True, slots=True)
class App:
    """An app as its files declare it."""

    name: str
    folder: str
    """Where its `app.yaml` is or would be."""
    file: str
    """What findings about the app as a whole name: `app.yaml`, or the folder."""
    written: AppFile = field(default_factory=AppFile)
    elsewhere: Elsewhere | None = None
    line: int = 0
    column: int = 0
    layer_places: tuple[tuple[int, int], ...] = ()
    """Line and column of each layer."""
    depends_at: tuple[int, int] = (0, 0)
    """Line and column of `dependsOn`."""
    source_at: tuple[int, int] = (0, 0)
    """Line and column of `source`, else of `project`."""
    helm_at: tuple[int, int] = (0, 0)
    """Line and column of `helm`."""

    @property
    def namespace(self) -> str:
        """Return the namespace of objects that name none."""
        return self.written.namespace or "default"


@dataclass(frozen=True, slots=True)
class Fleet:
    """Everything that a source declares, and everything that is wrong with it."""

    source: str
    file: FleetFile | None = None
    """None: there is no `fleet.yaml`, or it cannot be read."""
    clusters: tuple[Cluster, ...] = ()
    unreadable_clusters: tuple[str, ...] = ()
    apps: tuple[App, ...] = ()
    unreadable_apps: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    readable: bool = True
    """False: nothing of this source may change."""
    whole: bool = True
    """False: something was not read, so what is absent may only be unread."""
    governs: bool = False
    """True for the fleet source: it has clusters, rollouts, projects, claims or windows."""

    @property
    def errors(self) -> tuple[Finding, ...]:
        """Return the findings that are no mere warnings."""
        return tuple(finding for finding in self.findings if finding.severity == "error")
