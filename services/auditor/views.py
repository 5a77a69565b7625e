"""What the API shows: the shapes that `cli.md` promises, and lists of them."""

from __future__ import annotations

from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from shared.core.status import ClusterState, Health, Sync
from shared.messages.facts import CloudEvent


class View(BaseModel):
    """A piece of an answer; fields are only added."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)


Item = TypeVar("Item", bound=BaseModel)


class Listing(View, Generic[Item]):
    """One page of a list; `next` is the cursor of the next page, null on the last."""

    api_version: Literal["towline.dev/v1"] = Field(default="towline.dev/v1", alias="apiVersion")
    kind: str
    items: list[Item]
    next: str | None = None


class Condition(View):
    """A condition in the manner of kstatus; Reconciling and Stalled are only there while they are true."""

    type: Literal["Ready", "Healthy", "Reconciling", "Stalled"]
    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str = ""


class ClusterView(View):
    """A cluster: what it is, and whether its agent is there."""

    name: str
    state: ClusterState
    labels: dict[str, str]
    origins: dict[str, str] = Field(description="Label → git, hub or claim")
    pending_claims: dict[str, str]
    in_git: bool
    uid: str
    kubernetes: str
    agent: str = Field(description="Version of the agent")
    standby: bool
    last_seen: str | None
    epoch: int
    generation: int
    targets: int
    not_ready: int


class RevisionRef(View):
    """Where a target's content comes from."""

    source: str
    ref: str
    commit: str


class CountsView(View):
    """Objects of the last run."""

    objects: int = 0
    created: int = 0
    patched: int = 0
    pruned: int = 0
    failed: int = 0


class ObservedView(View):
    """What an agent last said that it runs."""

    epoch: int
    generation: int
    bundle: str
    at: str | None


class RenderView(View):
    """What the newest render made of a target."""

    source: str
    number: int
    bundle: str
    failed: bool
    problems: list[dict[str, Any]]


class RollbackView(View):
    """Why a target runs something older than git says."""

    from_: str = Field(default="", alias="from", description="The release that is set aside; empty: it never came here")
    to: str = Field(default="", description="The release whose content runs again")
    commit: str = Field(default="", description="The commit that is set aside")
    commits: list[str] = Field(default_factory=list, description="The commits of what runs again")
    reason: str = ""
    actor: str = ""
    automatic: bool = False
    at: str = ""


class TargetView(View):
    """One app on one cluster: what was released for it, and how it does."""

    cluster: str
    app: str
    revision: RevisionRef | None
    bundle: str
    epoch: int
    generation: int
    state: str = Field(description="present, or removed while its tombstone is on the way")
    sync: Sync
    health: Health
    conditions: list[Condition]
    counts: CountsView
    applied_at: str | None
    message: str
    reason: str
    result: str
    attempt: int
    failures: list[dict[str, Any]]
    hold: dict[str, Any] | None
    drift: list[str]
    warnings: list[str]
    observed: ObservedView | None
    render: RenderView | None
    rollout: str
    stage: str
    rollback: RollbackView | None = None


class AppView(View):
    """One app over all its clusters."""

    name: str
    targets: int
    sync: dict[str, int] = Field(description="Status word → targets")
    health: dict[str, int]
    failed: int = Field(description="Targets whose render or last run failed, or that were taken back")
    revisions: list[RevisionRef] = Field(description="What its targets are released at, newest release first")


class RevisionView(View):
    """One tip that was observed, and how far it came."""

    source: str
    number: int
    repository: str
    ref: str
    commit: str
    subject: str
    author: str
    history: str
    state: Literal["observed", "rendered", "released", "applied", "healthy", "superseded", "failed"]
    committed_at: str
    stages: dict[str, str | None] = Field(description="Stage → when all its targets were there")
    targets: int
    failed: int
    released: int
    applied: int
    healthy: int
    problems: list[dict[str, Any]]


class ReleaseView(View):
    """The permission for a target to run a bundle."""

    name: str = Field(description="<cluster>/<app>@<epoch>.<generation>")
    cluster: str
    app: str
    epoch: int
    generation: int
    bundle: str
    state: str
    revision: RevisionRef
    rollout: str
    stage: str
    released_at: str | None
    result: str
    reported_at: str | None
    rollback: str = Field(default="", description="Who takes the target back, from where to where, and why")


class RolloutView(View):
    """A revision on its way over the targets of an app."""

    name: str
    app: str
    source: str
    commit: str
    state: str
    stage: str
    message: str
    details: dict[str, Any]
    updated_at: str


class HoldView(View):
    """Something that waits for a person, and how to let it go."""

    name: str
    kind: Literal["target", "claims", "hub"]
    cluster: str
    app: str
    message: str
    digest: str = Field(description="What an approval names: the digest of what was seen")
    details: dict[str, Any]


class SourceView(View):
    """A ref that a source follows: whether it can be had, and where it is."""

    name: str
    repository: str
    asked_ref: str
    failed: bool
    code: str
    message: str
    hint: str
    checked_at: str
    ref: str
    """What was observed last; it stays when the ref cannot be had any more."""
    commit: str
    history: str
    observed_at: str


class CommandView(View):
    """A command and its answer."""

    id: str
    program: str
    verb: str
    state: Literal["pending", "done", "failed"]
    result: dict[str, Any]
    code: str
    message: str
    given_at: str


class Progress(View):
    """How far a selection of targets came on its way to a stage."""

    state: Literal["waiting", "done", "failed", "empty"]
    targets: int
    reached: int
    message: str
    failures: list[Failure]
    waiting: list[str] = Field(description="The first 20 targets that are not there yet")
    version: str = Field(description="Give it back as `since` to wait for the next change")


class Failure(View):
    """What will not get there by itself."""

    name: str = Field(description="<cluster>/<app> or <source>@<commit>")
    message: str


class Problem(View):
    """An error as RFC 9457 has it, with our stable code."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str
    hint: str = ""


class TargetList(Listing[TargetView]):
    """A page of targets."""

    kind: str = "TargetList"


class ClusterList(Listing[ClusterView]):
    """A page of clusters."""

    kind: str = "ClusterList"


class AppList(Listing[AppView]):
    """A page of apps."""

    kind: str = "AppList"


class RevisionList(Listing[RevisionView]):
    """A page of revisions, newest first."""

    kind: str = "RevisionList"


class ReleaseList(Listing[ReleaseView]):
    """A page of releases, newest first."""

    kind: str = "ReleaseList"


class RolloutList(Listing[RolloutView]):
    """A page of rollouts."""

    kind: str = "RolloutList"


class HoldList(Listing[HoldView]):
    """What waits for a person."""

    kind: str = "HoldList"


class SourceList(Listing[SourceView]):
    """What sources follow."""

    kind: str = "SourceList"


class EventList(Listing[CloudEvent]):
    """A page of events, newest first."""

    kind: str = "EventList"


Progress.model_rebuild()
