"""What the releaser says: clusters, rosters, the signed desired state, instructions."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import Field

from shared.messages.base import Message, Part, Timestamp
from shared.messages.blobs import BlobRef, BundleRef
from shared.messages.renders import Provenance


class Membership(StrEnum):
    """Where a cluster stands with the hub; presence (connected, stale, offline) is the auditor's knowledge."""

    EXPECTED = "expected"
    INVITED = "invited"
    JOINED = "joined"
    QUARANTINED = "quarantined"
    REVOKED = "revoked"
    REMOVED = "removed"


class Cluster(Message):
    """A cluster as it counts (stream CLUSTERS, last value)."""

    cluster: str
    membership: Membership
    labels: dict[str, str] = Field(default_factory=dict)
    origins: dict[str, str] = Field(default_factory=dict)
    """Label → `git`, `hub` or `claim`."""
    values: dict[str, Any] = Field(default_factory=dict)
    kube_version: str = ""
    """What git says about it; charts are rendered for it."""
    api_versions: tuple[str, ...] = ()
    pending_claims: dict[str, str] = Field(default_factory=dict)
    in_git: bool = False
    uid: str = ""
    kubernetes: str = ""
    updated_at: Timestamp


class ClusterIndex(Message):
    """All clusters that the hub knows, in one message (stream CLUSTERS, subject of the reserved name `hub`)."""

    version: int
    """Rises with every change; the renderer repeats it in `Rendered.clusters_version`."""
    clusters: tuple[Cluster, ...] = ()


class ReleaseState(StrEnum):
    """Whether an app shall be on a cluster."""

    PRESENT = "present"
    REMOVED = "removed"


class RolloutPlace(Part):
    """The rollout and stage that released a target."""

    id: str
    stage: str = ""


class Rollback(Part):
    """Why a target runs something older than git says."""

    from_: str = Field(default="", alias="from")
    """The release that is set aside, `<epoch>.<generation>`; empty where it never came to this cluster."""
    to: str = ""
    """The release whose content runs again."""
    commit: str = ""
    """The commit that is set aside."""
    reason: str = ""
    actor: str = ""
    automatic: bool = False
    """A rollout asked for it, because the target failed."""


class Release(Part):
    """The permission for one target to run one bundle."""

    app: str
    epoch: int
    generation: int
    state: ReleaseState = ReleaseState.PRESENT
    bundle: BundleRef | None = None
    """Absent in a tombstone."""
    last: BundleRef | None = None
    """In a tombstone: the bundle that was released before, which holds the hooks for the removal."""
    previous: str = ""
    """Digest of the bundle released before."""
    provenance: tuple[Provenance, ...] = ()
    tools: dict[str, str] = Field(default_factory=dict)
    deletes: tuple[str, ...] = ()
    """Keys of objects that may be deleted; everything else that would go is Held."""
    deletes_known: bool = True
    """False: the history behind `deletes` was lost, so all deletes are Held until approved."""
    options: dict[str, Any] = Field(default_factory=dict)
    rollout: RolloutPlace | None = None
    suspend: dict[str, str] | None = None
    """`reason`, `by`, `until` (RFC 3339 or empty) while this target is suspended."""
    approval: str = ""
    """sha256 of the sorted prune keys, one a line, that a person approved; single use."""
    rollback: Rollback | None = None
    """Set while the target runs older content on purpose."""


class Roster(Message):
    """All releases of one cluster; a blob in the cluster's own audience, compressed canonical JSON."""

    cluster: str
    releases: dict[str, Release] = Field(default_factory=dict)


class Desired(Message):
    """The body of the signed document of one cluster (DSSE type `shared.core.dsse.DESIRED`)."""

    hub: str
    """Fingerprint of the root key, in hex."""
    cluster: str
    epoch: int
    generation: int
    previous: int = 0
    roster: BlobRef
    suspend: dict[str, str] | None = None
    policy: int = 0
    created: Timestamp
    key: str


class KeySet(Message):
    """Which release keys are good (DSSE type `shared.core.dsse.KEY_SET`, signed by the root key)."""

    hub: str
    root: str = ""
    """The root key's public half in hex: who knows the fingerprint (its sha256) can check it, and so this document."""
    version: int
    keys: dict[str, str]
    """Id → public key in hex."""
    revoked: tuple[str, ...] = ()


class Instruction(Message):
    """A signed request to an agent (DSSE type `shared.core.dsse.INSTRUCTION`); the answer is a report."""

    id: str
    hub: str
    cluster: str
    verb: str
    """`sync`, `renew`, ..."""
    arguments: dict[str, Any] = Field(default_factory=dict)
    expires: Timestamp


class EnrolRequest(Message):
    """What an agent posts to `/enrol/v1`, and the arguments of the `enrol` command."""

    cluster: str
    secret: str
    """The join token's secret; worthless after its first use."""
    public_key: str
    """NKey of the agent's user, `U...`."""
    nonce: str
    proof: str
    """Signature in hex by the agent's key over `towline-enrol:<cluster>:<nonce>:<sha256 of the secret in hex>`: the
    releaser, which checks it, never sees the secret itself."""
    uid: str
    """UID of the namespace kube-system: the cluster's identity."""
    kubernetes: str = ""
    agent: str = ""
    claims: dict[str, str] = Field(default_factory=dict)


class RenewRequest(Message):
    """What an agent posts to `/enrol/v1/renew`, and the arguments of the `renew` command.

    An agent that is connected needs no request: the releaser sends it an instruction `renew` with the arguments
    `user_jwt` and `expires`, in time and over the bus.
    """

    cluster: str
    public_key: str
    nonce: str
    proof: str
    """Signature in hex by the agent's key over `towline-renew:<cluster>:<nonce>`."""
    uid: str


class Enrolment(Message):
    """What an enrolled agent gets back, and keeps."""

    cluster: str
    hub: str
    user_jwt: str
    expires: Timestamp
    key_set: str
    """The root-signed envelope of the key set, as text."""
    bus: tuple[str, ...]
    """URLs of the bus."""
    labels: dict[str, str] = Field(default_factory=dict)
