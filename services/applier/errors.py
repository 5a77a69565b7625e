"""Say what an answer of the API server means: which class, whether to try again, what to tell people.

Judged by the body and not by the status alone: the same code stands for a bad manifest and for a server that starts,
and a JSON body may be sent as text/plain.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from services.applier.rights import advice
from shared.core.canonical import NotJSONError, decode
from shared.core.objects import ObjectKey


class ErrorClass(StrEnum):
    """What kind of failure it is (rule E1); the values stand in reports."""

    SCHEMA = "Schema"
    INVALID = "Invalid"
    IMMUTABLE = "Immutable"
    UNSAFE_DEFINITION = "UnsafeCRD"
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
    ENCRYPTED = "Encrypted"
    """SOPS encrypted it, and it cannot be opened here."""
    HOOK = "HookFailed"
    """A hook ran and did not succeed, or not in time."""
    INTERNAL = "Internal"
    """A bug of ours in the code for one object."""

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
    said = _Said.of(answer, key)
    error = next((error for error, applies in _RULES if applies(said)), None) or _by_status(said)
    return Failure(
        error,
        redacted(said.text) or f"HTTP {answer.status}",
        (advice(said.text) if answer.status == 403 else "") or _hint(error, key),
        said.retry_after_s,
        said.conflicts(),
        said.fields,
        answer.status,
    )


def _hint(error: ErrorClass, key: ObjectKey | None) -> str:
    """Return what a person may do about a failure."""
    if error is ErrorClass.IMMUTABLE and key is not None and (key.group, key.kind) == ("apps", "StatefulSet"):
        return _KEEPS_PODS
    return _HINTS.get(error, "")


def unreachable(what: str, *, timed_out: bool = False) -> Failure:
    """Return the failure of a request that got no answer: `what` says how, without addresses or values."""
    return Failure(ErrorClass.TIMEOUT if timed_out else ErrorClass.UNAVAILABLE, redacted(what))


def redacted(text: str) -> str:
    """Return an API server's text without the values it repeats (P2): field paths and the validator's phrase remain.

    Values may be Secrets' or whole pod templates; all after the first line is such a value.
    """
    first = text.strip().partition("\n")[0]
    first = _GO_VALUE.sub("***", _URL_LOGIN.sub(r"\1***@", _INVALID.sub(r"\1: ***\2", first)))
    return first.encode()[:MESSAGE_LIMIT_BYTES].decode(errors="ignore")


MESSAGE_LIMIT_BYTES = 1024
# The value stands between the phrase and the last `: ` before the validator's words, or fills the rest.
_INVALID = re.compile(
    r"((?:Invalid|Unsupported|Duplicate) value): "
    r"(?:\"(?:[^\"\\]|\\.)*\"?|\S+?\{.*\}|\{.*\}|\[.*\]|[^\s:,]+)"
    r"(:|,|\]|$)",
)
_GO_VALUE = re.compile(r"&?value\.\w+\{[^}]*\}+")
_URL_LOGIN = re.compile(r"(\b[a-z][a-z0-9+.-]*://)[^/@\s]+@")
_MANAGER = re.compile(r'conflict with "([^"]*)"')


@dataclass(frozen=True, slots=True)
class _Said:
    """An answer taken apart."""

    status: int
    reason: str
    text: str
    causes: tuple[tuple[str, str, str], ...]
    """(reason, message, field)"""
    details: Mapping[str, Any]
    is_json: bool
    retry_after_s: float | None
    key: ObjectKey | None

    @classmethod
    def of(cls, answer: Answer, key: ObjectKey | None) -> _Said:
        document = _status_document(answer.body)
        details = document.get("details")
        details = details if isinstance(details, dict) else {}
        causes = [cause for cause in details.get("causes") or () if isinstance(cause, dict)]
        text = document.get("message") if document else answer.body[:4096].decode(errors="replace")
        return cls(
            status=answer.status,
            reason=str(document.get("reason") or ""),
            text=str(text or ""),
            causes=tuple(
                (str(c.get("reason") or ""), str(c.get("message") or ""), str(c.get("field") or "")) for c in causes
            ),
            details=details,
            is_json=bool(document),
            retry_after_s=_seconds(answer.retry_after or details.get("retryAfterSeconds")),
            key=key,
        )

    @property
    def fields(self) -> tuple[str, ...]:
        """The paths that the causes name."""
        return tuple(dict.fromkeys(field for _, _, field in self.causes if field and field != "<nil>"))

    def has_cause(self, reason: str) -> bool:
        return any(cause == reason for cause, _, _ in self.causes)

    def says(self, *phrases: str) -> bool:
        return any(phrase in self.text for phrase in phrases)

    def conflicts(self) -> tuple[FieldConflict, ...]:
        return tuple(
            FieldConflict(found.group(1), field)
            for reason, message, field in self.causes
            if reason == "FieldManagerConflict" and (found := _MANAGER.match(message))
        )

    def is_of_object(self) -> bool:
        """Tell whether a 404 is about the object itself, and not about its namespace or its kind."""
        return self.key is not None and self.details.get("name") == self.key.name and not self._is_of_namespace()

    def _is_of_namespace(self) -> bool:
        is_namespace = self.key is not None and (self.key.group, self.key.kind) == ("", "Namespace")
        return self.details.get("kind") == "namespaces" and not is_namespace

    def is_immutable(self) -> bool:
        """Tell whether a 422 refuses a change of something that cannot change (E3)."""
        causes = [(message, field) for _, message, field in self.causes if not field.startswith("metadata.")]
        return any(phrase.search(message) for message, _ in causes for phrase in _IMMUTABLE)


def _status_document(body: bytes) -> dict[str, Any]:
    """Return the Status in `body`, whatever the content type claimed; empty when there is none."""
    try:
        document = decode(body)
    except NotJSONError:
        return {}
    return document if isinstance(document, dict) and document.get("kind") == "Status" else {}


def _seconds(text: Any) -> float | None:
    try:
        return float(text) if text else None
    except (TypeError, ValueError):
        return None


_IMMUTABLE = tuple(
    re.compile(pattern)
    for pattern in (
        "is immutable",
        "updates to .* are forbidden",
        "may not change once set",
        "may not be changed in an update",
        "pod updates may not change fields other than",
        "may not add or remove containers",
    )
)
_OVERLOAD_TEXTS = ("etcdserver: leader changed", "etcdserver: request timed out")

# The first that applies decides. Texts are the API server's own (table 4.2 of the rules, measured on 1.37).
_RULES: tuple[tuple[ErrorClass, Callable[[_Said], bool]], ...] = (
    (ErrorClass.WEBHOOK, lambda a: a.says("denied the request", "denied request")),
    (ErrorClass.WEBHOOK_DOWN, lambda a: a.says("failed calling webhook", "conversion webhook for")),
    (ErrorClass.TOO_LARGE, lambda a: a.status == 413 or a.says("request is too large", "message larger than max")),
    (ErrorClass.DEAD_VERSION, lambda a: a.says("request to convert CR to an invalid group/version")),
    (
        ErrorClass.SCHEMA,
        lambda a: a.says(
            "failed to create typed patch object",
            "failed to convert new object",
            "unable to convert unstructured object",
            "strict decoding",
        ),
    ),
    (ErrorClass.UNAUTHENTICATED, lambda a: a.status == 401),
    (ErrorClass.IMPERSONATION_FORBIDDEN, lambda a: a.status == 403 and a.says("cannot impersonate")),
    (
        ErrorClass.NAMESPACE_TERMINATING,
        lambda a: a.has_cause("NamespaceTerminating") or a.says("because it is being terminated"),
    ),
    (ErrorClass.TERMINATING, lambda a: a.status == 403 and a.says("custom resource definition is terminating")),
    (ErrorClass.QUOTA, lambda a: a.status == 403 and a.says("exceeded quota")),
    (ErrorClass.FORBIDDEN, lambda a: a.status == 403),
    (ErrorClass.GONE, lambda a: a.status == 404 and a.is_of_object()),
    (ErrorClass.NAMESPACE_MISSING, lambda a: a.status == 404 and a.details.get("kind") == "namespaces"),
    (ErrorClass.UNKNOWN_KIND, lambda a: a.status == 404),
    (ErrorClass.CONFLICT, lambda a: a.status == 409 and a.has_cause("FieldManagerConflict")),
    (ErrorClass.REPLACED, lambda a: a.status == 409 and a.says("uid mismatch")),
    (ErrorClass.REPLACED, lambda a: a.status == 409 and a.says("the UID in the precondition")),
    (ErrorClass.STALE, lambda a: a.status == 409),
    (ErrorClass.EXPIRED, lambda a: a.status == 410 or a.has_cause("ResourceVersionTooLarge")),
    (ErrorClass.REPLACED, lambda a: a.status == 422 and "metadata.uid" in a.fields),
    (ErrorClass.TOO_LARGE, lambda a: a.status == 422 and a.says("Too long: may not be more than")),
    (ErrorClass.IMMUTABLE, lambda a: a.status == 422 and a.is_immutable()),
    (ErrorClass.INVALID, lambda a: a.status in {400, 422}),
    (ErrorClass.INITIALIZING, lambda a: a.status == 429 and a.is_json and a.says("(re)initializing")),
    (ErrorClass.THROTTLED, lambda a: a.status == 429),
    (ErrorClass.TIMEOUT, lambda a: a.status == 504 or a.says(*_OVERLOAD_TEXTS)),
)

_KEEPS_PODS = (
    "annotate it with towline.dev/force: enabled and towline.dev/deletion-propagation: orphan to have it made anew "
    "while its pods run on, or do so by `kubectl delete --cascade=orphan`"
)
_HINTS: Mapping[ErrorClass, str] = {
    ErrorClass.SCHEMA: "compare the field's name and type with the kind's schema: `kubectl explain`",
    ErrorClass.IMMUTABLE: "give the object a new name, or set onImmutable: recreate",
    ErrorClass.CONFLICT: "set conflicts: force to take the fields, or take them out of the manifest",
    ErrorClass.REPLACED: "the object was deleted or made anew by somebody; it is decided again in the next run",
    ErrorClass.FORBIDDEN: "a rule of this cluster that is not about permissions forbids the object: see the message",
    ErrorClass.IMPERSONATION_FORBIDDEN: "grant the agent the right to impersonate this service account",
    ErrorClass.UNAUTHENTICATED: "the agent's credential for this cluster is no longer accepted: renew it",
    ErrorClass.QUOTA: "raise the quota of the namespace, or ask for less",
    ErrorClass.NAMESPACE_MISSING: "deliver the namespace with the app, or leave createNamespace on",
    ErrorClass.NAMESPACE_TERMINATING: "the namespace is being deleted; the app is applied again when it is gone",
    ErrorClass.UNKNOWN_KIND: "deliver the kind's definition first, or use a version that this cluster serves",
    ErrorClass.WEBHOOK: "an admission policy of this cluster refuses the object: see its message",
    ErrorClass.WEBHOOK_DOWN: "the webhook's backend does not answer; it is tried again",
    ErrorClass.TOO_LARGE: "split the object: a cluster stores at most 1.5 MiB in one, with what others keep in it and "
    "whose each field is",
}


def _by_status(said: _Said) -> ErrorClass:
    """Return the class where no rule knows more: what a server cannot do now it may do later."""
    return ErrorClass.UNAVAILABLE if said.status >= 500 else ErrorClass.INVALID
