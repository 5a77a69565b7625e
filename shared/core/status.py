"""The closed lists of status words; whatever a program computes, these are what users see."""

from __future__ import annotations

from enum import StrEnum

ROLLED_BACK = "RolledBack"
"""The reason of a target that runs older content than git says, on purpose, and runs it whole."""


class Sync(StrEnum):
    """Whether a target runs what was released for it."""

    SYNCED = "Synced"
    OUT_OF_SYNC = "OutOfSync"
    APPLYING = "Applying"
    HELD = "Held"
    SUSPENDED = "Suspended"
    UNKNOWN = "Unknown"


class Health(StrEnum):
    """How the objects of a target do, in the words of kstatus."""

    CURRENT = "Current"
    IN_PROGRESS = "InProgress"
    FAILED = "Failed"
    TERMINATING = "Terminating"
    NOT_FOUND = "NotFound"
    UNKNOWN = "Unknown"


class Result(StrEnum):
    """How a run of the applier ended."""

    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    FAILED = "failed"
    REFUSED = "refused"
    SUPERSEDED = "superseded"
    HELD = "held"


class ClusterState(StrEnum):
    """Where a cluster stands, from *named in git* to *cut off*."""

    EXPECTED = "expected"
    INVITED = "invited"
    CONNECTED = "connected"
    STALE = "stale"
    OFFLINE = "offline"
    QUARANTINED = "quarantined"
    REVOKED = "revoked"


def way_back(aside: str, to: str, reason: str) -> str:
    """Return how a target went back, in words: from the commit that is set aside to an older one, and why."""
    return f"from {aside[:12] or 'what git says'} to {to[:12]}: {reason}".rstrip(": ")
