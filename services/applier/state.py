"""What the applier knows when it decides: wanted objects, its inventory, and what is live.

*Unknown* is a state of its own: what could not be read is never taken for absent, so it is neither created nor
deleted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from services.applier.errors import Failure
from services.applier.policy import NOTHING, Leave, Policy
from shared.core.objects import ObjectKey


@dataclass(frozen=True, slots=True)
class Wanted:
    """One object of a bundle, ready to be sent."""

    key: ObjectKey
    version: str
    """The version of its `apiVersion`: `v1`."""
    body: bytes
    """Canonical JSON with our label and annotation: the body of the PATCH, as it is."""
    digest: str
    """Keyed digest of the body: tells nothing about a Secret's values."""
    content: str = ""
    """Keyed digest of the body without our marks, where apps may share the object (G5)."""
    wave: int = 0
    rank: int | None = None
    """Its stage where something that depends on it stands in an earlier one; None: the stage of its kind."""
    level: int = 0
    """Its place inside the stage: after what it depends on."""
    needs: tuple[ObjectKey, ...] = ()
    """Objects of the bundle that must do well before it is applied (C4)."""
    policy: Policy = NOTHING
    bodied: bool = True
    """Has fields besides its identity and metadata (rule A14)."""
    tracked: bool = True
    """False: created when absent and forgotten, as the app's namespace is."""
    run: str = ""
    """Of what is made anew for each bundle: which one this is for."""
    closed: Failure | None = None
    """Why it cannot be decrypted: it is never sent, and fails."""
    stem: str = ""
    """Of a hook that leaves its name to the API server: how that was to begin (K7)."""

    @property
    def api_version(self) -> str:
        """Return `group/version`, or the version alone in the core group."""
        return f"{self.key.group}/{self.version}" if self.key.group else self.version


@dataclass(frozen=True, slots=True)
class Entry:
    """One object in the inventory of an app."""

    key: ObjectKey
    version: str
    """The version last applied."""
    uid: str = ""
    """Empty: claimed, never seen applied."""
    desired: str = ""
    """`Wanted.digest` last applied; empty: claimed only."""
    owned: str = ""
    """Digest of our Apply entry's fields after our last write."""
    owned_at: str = ""
    """Time of that entry, compared for equality only; may be absent."""
    resource_version: str = ""
    created: bool = False
    """We made it; False: it was adopted, or is claimed only."""
    wave: int = 0
    prune: str = Leave.DELETE
    """What was asked for when it was last applied; the live object may ask for more."""
    bodied: bool = False
    approved: str = ""
    """Digest of the approval that released its deletion."""
    delete: str = Leave.DELETE
    hook: bool = False
    """It ran, and is none of the objects that the app keeps (K1)."""
    waits: bool = True
    """Its health counts (J9)."""
    rank: int | None = None
    level: int = 0
    done: bool = False
    """It has done its work, and its cluster may remove it: it is neither missing nor made anew (J7)."""
    fixed: str = ""
    """Digest of the fields last applied that never change; empty: it has none, or nobody knows (`fixed`)."""

    def leaves(self, *, removed: bool) -> str:
        """Return what becomes of the object; `removed`: its whole app goes."""
        return self.delete if removed else self.prune


@dataclass(frozen=True, slots=True)
class Header:
    """What an app's inventory says about the app as a whole."""

    app: str
    epoch: int = 0
    generation: int = 0
    """The highest release accepted."""
    key: str = ""
    """Id of the release key under which it was accepted."""
    bundle: str = ""
    """Digest of the bundle that was last claimed; empty after a tombstone."""
    settled_bundle: str = ""
    """Digest of the bundle that was last applied whole."""
    attempt: int = 0
    """How often the present release was tried."""
    settled: bool = True
    """False: claimed, and the last step was not reached."""
    recovered: bool = False
    """The entries were found again by our annotations after the inventory was lost: nothing is pruned (M7)."""
    approval_used: str = ""
    """Digest of the last approval that was taken: each works once."""
    past: str = ""
    """Digests of the blobs of the last bundles that were applied whole, the newest first, with spaces between (L1)."""
    farewell: bool | None = None
    """The bundle that was last claimed has hooks for the app's removal; None: nobody looked (F13)."""
    removal: str = ""
    """Number of the tombstone that began the present removal; empty: there is none."""
    hookless: bool = False
    """A person let the present removal go on without its hooks."""


@dataclass(frozen=True, slots=True)
class Inventory:
    """The objects that an app owns in this cluster."""

    header: Header
    entries: Mapping[ObjectKey, Entry] = field(default_factory=dict)


class Why(StrEnum):
    """Why a live state is unknown."""

    NOT_READ = "NotRead"
    """Nobody looked."""
    UNSERVED = "UnknownKind"
    """The API server does not serve the kind now."""
    KIND_GONE = "KindGone"
    """It has not served the kind for minutes, and was sure of that all the time (F11)."""
    FORBIDDEN = "Forbidden"
    """The agent may not read it."""
    FAILED = "Failed"
    """Reading failed."""


@dataclass(frozen=True, slots=True)
class Absent:
    """The API server said that the object does not exist."""


@dataclass(frozen=True, slots=True)
class Present:
    """The object exists; these are facts of its metadata."""

    uid: str
    resource_version: str = ""
    generation: int = 0
    owner: str = ""
    """Our annotation's value: `app:group/kind:namespace/name`."""
    agent: str = ""
    """Our label's value."""
    foreign: str = ""
    """Another tool that tracks it, in words: `Helm release shop/api`."""
    owned: str = ""
    """Digest of our Apply entry's fields; empty when there is none."""
    owned_at: str = ""
    managers: tuple[str, ...] = ()
    """Names of the other field managers."""
    writers: tuple[str, ...] = ()
    """Those of them whose fields could be taken over (D10)."""
    held: bool = False
    """A controller holds one of its fields on purpose (G4)."""
    policy: Policy = NOTHING
    """What the live object asks for."""
    own: Policy = NOTHING
    """The same, by our names only."""
    run: str = ""
    """The bundle for which it was made anew."""
    deleting: str = ""
    """When its deletion was asked for, by the server's clock; empty: it stays."""
    finalizers: tuple[str, ...] = ()

    def asks(self, *, compat: bool) -> Policy:
        """Return what the live object asks for; without `compat` by our names only."""
        return self.policy if compat else self.own


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nobody can say whether the object exists."""

    why: Why = Why.NOT_READ
    detail: str = ""


Live = Absent | Present | Unknown
NOT_READ = Unknown()
