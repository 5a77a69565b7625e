"""What poller and renderer say to each other about git."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, Literal

from shared.messages.base import Message, Part, Timestamp
from shared.messages.blobs import BlobRef
from shared.messages.renders import Provenance

HEAD: Final = "head"
STRICT: Final = "strict"


class History(StrEnum):
    """How a tip relates to the one before it."""

    FIRST = "first"
    FORWARD = "forward"
    REWRITTEN = "rewritten"


class Commit(Part):
    """A commit as people know it; times are the committer's."""

    id: str
    tree: str
    subject: str = ""
    author: str = ""
    committed_at: Timestamp


class Revision(Message):
    """A tip was observed at a ref (stream REVISIONS)."""

    source: str
    number: int
    """The observation's number: it rises for ever within a source."""
    repository: str
    """URL without credentials."""
    ref: str
    """The full name: `refs/heads/main`, `refs/tags/v1`, or a commit id."""
    asked_ref: str = ""
    """The ref as it was asked for, or empty for the default branch."""
    commit: Commit
    previous: str = ""
    """The commit observed before at this ref."""
    history: History = History.FIRST
    superseded: tuple[str, ...] = ()
    """Commits between `previous` and this one that were never tips here, newest first, 1000 at most."""
    observed_at: Timestamp
    hinted_by: str = ""
    """Whose webhook had it looked at; empty: the interval was over, or somebody asked."""


class Checkout(Part):
    """One repository at one commit, and the packs that hold its tree."""

    repository: str
    """URL without credentials; the identity of the repository within the request."""
    asked_ref: str
    """The ref as the user wrote it, or empty for the source's own default."""
    ref: str
    """The full name it resolved to."""
    commit: Commit
    packs: tuple[BlobRef, ...]
    """The last full pack and the increments after it, oldest first; stream SOURCES."""


class SourceFailure(Part):
    """A repository that could not be had; `code` is `source.auth`, `source.unreachable`, `source.ref-missing`, ..."""

    repository: str
    asked_ref: str = ""
    code: str
    message: str
    hint: str = ""


class ChartArchive(Part):
    """An archive that the lock of a fleet names: where it is on the bus, or why it could not be had."""

    url: str
    digest: str
    """Sha256 of the archive, in hex."""
    blob: BlobRef | None = None
    """Among the source's packs, stream SOURCES."""
    failure: SourceFailure | None = None


class Lost(Part):
    """Bundles that clusters run and the bus has no more, and what they were made of; in the command `restore`."""

    apps: tuple[str, ...]
    blobs: tuple[BlobRef, ...]
    provenance: tuple[Provenance, ...]


class RenderRequest(Message):
    """Render this source at these commits (stream RENDER, the newest request replaces a waiting one)."""

    source: str
    number: int
    checkout: Checkout
    others: tuple[Checkout, ...] = ()
    """The other repositories that this fleet's apps name."""
    failures: tuple[SourceFailure, ...] = ()
    """Those of them that could not be had."""
    charts: tuple[ChartArchive, ...] = ()
    """What was fetched, or tried in vain, of the charts that this fleet's lock names."""
    reason: str = "commit"
    """`commit`, `clusters`, `needs`, `sync`, `rebuild`: for logs only."""
    requested_at: Timestamp
    lost: Lost | None = None
    """Only this is to be on the bus again; of such a request nothing is told. A critical field."""


class Verify(Part):
    """Which signatures the commits of a repository must carry."""

    mode: Literal["head", "strict"] = HEAD
    """The tip alone, or every commit since the last one that was taken."""
    signers: tuple[str, ...]
    """Any of them is enough; the hub has their keys."""


class Wanted(Part):
    """One repository that a fleet names besides its own."""

    repository: str
    ref: str = ""
    verify: tuple[Verify, ...] = ()
    """All of these count."""


class WantedChart(Part):
    """One archive of a chart that a fleet's lock names."""

    url: str
    digest: str


class Needs(Message):
    """Everything that a fleet needs besides its own repository, and the packs the renderer lacks (stream NEEDS)."""

    source: str
    number: int
    repositories: tuple[Wanted, ...] = ()
    """The complete list: what is not here is no longer followed."""
    charts: tuple[WantedChart, ...] = ()
    """The complete list, as well."""
    lost_packs: tuple[str, ...] = ()
    """Digests of packs that are no longer on the bus: a full pack is wanted."""
