"""What the renderer tells the releaser and the auditor."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from shared.errors import Finding
from shared.messages.base import Message, Part, Timestamp
from shared.messages.blobs import BlobRef, BundleRef


class Problem(Part):
    """A finding on its way over the bus."""

    code: str
    message: str
    file: str = ""
    line: int = 0
    column: int = 0
    hint: str = ""
    cluster: str = ""
    app: str = ""
    severity: str = "error"

    @classmethod
    def of(cls, finding: Finding) -> Problem:
        """Return the message form of `finding`."""
        return cls(**finding.as_dict())


class Provenance(Part):
    """Where a part of a target's content came from."""

    source: str
    repository: str
    ref: str
    commit: str
    tree: str = ""


class StagePlan(Part):
    """One stage of a rollout, as `fleet-format.md` defines it; unknown gates stand in `gates` and pause."""

    name: str
    match: dict[str, str | tuple[str, ...]] = Field(default_factory=dict)
    batch: str = ""
    """`25%` or a count; empty for all at once."""
    max_failures: int = 0
    gates: dict[str, Any] = Field(default_factory=dict)
    """soak, approval, windows and whatever else the file names."""


class RolloutPlan(Part):
    """How a revision moves over an app's targets; no stages: all at once."""

    on_failure: str = "pause"
    stages: tuple[StagePlan, ...] = ()


class DeclaredCluster(Part):
    """A cluster as the fleet source declares it."""

    name: str
    labels: dict[str, str] = Field(default_factory=dict)
    values: dict[str, Any] = Field(default_factory=dict)
    kube_version: str = ""
    api_versions: tuple[str, ...] = ()


class ProjectPart(Part):
    """The fences of a group of apps: what an agent holds, and where apps of other sources may come from and go to."""

    namespaces: tuple[str, ...] = ()
    """Globs; none: any."""
    cluster_scoped: bool = False
    run_as: str = ""
    sources: tuple[str, ...] = ()
    """Names of sources; none: any."""
    repositories: tuple[str, ...] = ()
    """Where those of them are that the fleet declares."""
    clusters: dict[str, tuple[str, ...]] = Field(default_factory=dict)


class WindowPart(Part):
    """When changes may go out, as `shared.core.windows` reads it."""

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    timezone: str = "UTC"
    heal: bool = False


class FleetPart(Part):
    """What only the fleet source may say; absent in the render of any other source."""

    clusters: tuple[DeclaredCluster, ...] = ()
    rollouts: dict[str, RolloutPlan] = Field(default_factory=dict)
    default_rollout: str = ""
    claims_accept: tuple[str, ...] = ()
    claims_approve: tuple[str, ...] = ()
    projects: dict[str, ProjectPart] = Field(default_factory=dict)
    windows: dict[str, WindowPart] = Field(default_factory=dict)
    unreadable_clusters: tuple[str, ...] = ()
    """Names that are declared twice or wrongly: these clusters stay as they are."""


class AppPart(Part):
    """An app as its source declares it."""

    name: str
    namespace: str = ""
    project: str = ""
    """The project of the fleet whose fences hold for it."""
    rollout: str = ""
    """The name of a rollout of the fleet source; empty with `own_rollout` absent means the fleet's default."""
    own_rollout: RolloutPlan | None = None
    options: dict[str, Any] = Field(default_factory=dict)
    """The `sync` keys of `fleet-format.md`, defaults filled in, and `namespace`."""
    repository: str = ""
    """Where its content is; empty: in its source."""
    everywhere: bool = False
    """It names no clusters, so it is for all of its project."""
    readable: bool = True
    """False: its files are wrong, so it stays everywhere as it is."""


class TargetRender(Part):
    """The one terminal render record of a target at this number: a bundle, or why there is none."""

    cluster: str
    app: str
    bundle: str = ""
    """Digest of the bundle, a key of `bundles`; empty when the target failed."""
    problems: tuple[Problem, ...] = ()
    provenance: tuple[int, ...] = ()
    """Indexes into `provenance` of the render."""


class RenderListing(Part):
    """The large part of a render; stored as a blob when the message would exceed 256 KiB."""

    fleet: FleetPart | None = None
    apps: tuple[AppPart, ...] = ()
    bundles: dict[str, BundleRef] = Field(default_factory=dict)
    targets: tuple[TargetRender, ...] = ()
    problems: tuple[Problem, ...] = ()
    """Findings that belong to no target: files of the fleet, sources that could not be had."""


class Rendered(Message):
    """A source was rendered at a number (stream RENDERED)."""

    source: str
    number: int
    commit: str
    ref: str
    tree: str
    complete: bool
    """Everything was read whole: only then does an absent app or target mean *removed*."""
    clusters_version: int = 0
    """`ClusterIndex.version` of the clusters that this render knew, 0 without any: a target is only absent from a
    cluster that the renderer knew."""
    provenance: tuple[Provenance, ...] = ()
    tools: dict[str, str] = Field(default_factory=dict)
    listing: RenderListing | None = None
    listing_blob: BlobRef | None = None
    """Set instead of `listing` when that is large; audience `hub`, compressed canonical JSON."""
    targets_ok: int = 0
    targets_failed: int = 0
    started_at: Timestamp
    finished_at: Timestamp
