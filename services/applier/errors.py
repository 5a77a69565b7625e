"""Say what an answer of the API server means: which class, whether to try again, what to tell people.

Judged by the body and not by the status alone: the same code stands for a bad manifest and for a server that starts,
and a JSON body may be sent as text/plain.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from shared.core.objects import ObjectKey


class ErrorClass(StrEnum):
    """What kind of failure it is (rule E1); the values stand in reports."""

    SCHEMA = "Schema"
    INVALID = "Invalid"
    IMMUTABLE = "Immutable"
    REPLACED = "Replaced"
    """Another object has the name now: decide again, never recreate."""
    CONFLICT = "Conflict"
    """Another field manager owns a field."""
    STALE = "Stale"
    """The object changed since we read it: read again, try again at once."""
    FORBIDDEN = "Forbidden"
    IMPERSONATION_FORBIDDEN = "ImpersonationForbidden"
    UNAUTHENTICATED = "Unauthenticated"
    QUOTA = "Quota"
    GONE = "Gone"
    """The object itself does not exist."""
    NAMESPACE_MISSING = "NamespaceMissing"
    NAMESPACE_TERMINATING = "NamespaceTerminating"
    UNKNOWN_KIND = "UnknownKind"
    DEAD_VERSION = "DeadVersion"
    """managedFields name a version that the CRD no longer has (D12): rewrite them, try once more."""
    WEBHOOK = "Webhook"
    """A webhook or an admission policy denied it."""
    WEBHOOK_DOWN = "WebhookDown"
    TOO_LARGE = "TooLarge"
    THROTTLED = "Throttled"
    INITIALIZING = "Initializing"
    """The kind's cache is being built: this kind only, and soon."""
    EXPIRED = "Expired"
    """A resource version or continue token is too old, or from the future: list again."""
    UNAVAILABLE = "Unavailable"
    TIMEOUT = "Timeout"
    TERMINATING = "Terminating"
    INTERNAL = "Internal"
    """A bug of ours in the code for one object."""
    DROPPED = "Dropped"
    """The server stored the object without a field that we sent."""

    @property
    def transient(self) -> bool:
        """Tell whether the same request may succeed later without anybody changing anything (rule E4)."""
        return self in _TRANSIENT


_TRANSIENT = frozenset(
    {
        ErrorClass.STALE,
        ErrorClass.THROTTLED,
        ErrorClass.INITIALIZING,
        ErrorClass.UNAVAILABLE,
        ErrorClass.TIMEOUT,
        ErrorClass.WEBHOOK_DOWN,
    },
)


@dataclass(frozen=True, slots=True)
class FieldConflict:
    """A field that another manager owns with another value."""

    manager: str
    field: str


@dataclass(frozen=True, slots=True)
class Failure:
    """Why one object could not be brought to its desired state; safe to leave the agent."""

    error: ErrorClass
    message: str
    """Redacted, at most 1 KiB."""
    hint: str = ""
    retry_after_s: float | None = None
    conflicts: tuple[FieldConflict, ...] = ()
    fields: tuple[str, ...] = ()
    """Paths that the answer names."""
    status: int = 0

    @property
    def transient(self) -> bool:
        """Tell whether the same request may succeed later."""
        return self.error.transient


@dataclass(frozen=True, slots=True)
class Answer:
    """What the API server answered."""

    status: int
    body: bytes
    content_type: str = ""
    retry_after: str = ""
    """The header's value."""


def classify(answer: Answer, key: ObjectKey | None = None) -> Failure:
    """Return what a refusing answer means for the object that was asked for; None for a collection or a path."""
    raise NotImplementedError


def unreachable(what: str, *, timed_out: bool = False) -> Failure:
    """Return the failure of a request that got no answer: `what` says how, without addresses or values."""
    raise NotImplementedError
