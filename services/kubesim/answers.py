"""Word refusals as the real API server words them: Status bodies with reason, details and causes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    406: "NotAcceptable",
    409: "Conflict",
    410: "Expired",
    413: "RequestEntityTooLarge",
    415: "UnsupportedMediaType",
    422: "Invalid",
    429: "TooManyRequests",
    503: "ServiceUnavailable",
    504: "Timeout",
}


class Cause(NamedTuple):
    """One entry of `details.causes`."""

    reason: str
    message: str
    field: str

    def as_dict(self) -> dict[str, str]:
        """Return the cause as it stands in a Status; a rule without a reason leaves it out."""
        return {
            key: text for key, text in zip(("reason", "message", "field"), self, strict=True) if text or key == "field"
        }


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom a refusal talks about: group, plural resource or kind, and the object's name."""

    group: str
    kind: str
    name: str = ""

    def __str__(self) -> str:
        """Return `deployments.apps "web"`."""
        place = f"{self.kind}.{self.group}" if self.group else self.kind
        return f'{place} "{self.name}"'

    def details(self) -> dict[str, Any]:
        """Return the `details` of a Status."""
        named = {"name": self.name, "group": self.group, "kind": self.kind}
        return {key: text for key, text in named.items() if text}


class RefusedError(Exception):
    """The API server's answer to a request that it does not fulfil; not an error of Towline."""

    def __init__(
        self,
        code: int,
        message: str,
        *,
        reason: str | None = None,
        details: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        plain: bool = False,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.headers = dict(headers or {})
        self.plain = plain
        self.reason = REASONS.get(code, "") if reason is None else reason
        self.details = dict(details or {})

    def body(self) -> dict[str, Any]:
        """Return the Status object."""
        status: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            status["reason"] = self.reason
        if self.details:
            status["details"] = self.details
        elif self.reason in {"NotFound", "Invalid"}:
            status["details"] = {}
        status["code"] = self.code
        return status


def success(subject: Subject, uid: str) -> dict[str, Any]:
    """Return the Status that a DELETE answers when the object is gone."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": {**subject.details(), "uid": uid},
    }


def not_found(subject: Subject) -> RefusedError:
    """Return the refusal for an object that does not exist."""
    return RefusedError(404, f"{subject} not found", details=subject.details())


def not_served() -> RefusedError:
    """Return the refusal of a built-in group for a version or resource that it does not serve."""
    return RefusedError(404, "the server could not find the requested resource")


def unknown_path() -> RefusedError:
    """Return the plain-text refusal for groups nobody serves."""
    return RefusedError(404, "404 page not found", plain=True)


def bad_request(message: str) -> RefusedError:
    """Return a 400."""
    return RefusedError(400, message)


def invalid(subject: Subject, causes: Sequence[Cause]) -> RefusedError:
    """Return the 422 that lists every broken field; `subject.kind` is a Kind, not a resource."""
    texts = [f"{cause.field}: {cause.message}" for cause in causes]
    joined = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    details = {**subject.details(), "causes": [cause.as_dict() for cause in causes]}
    return RefusedError(422, f"{subject} is invalid: {joined}", details=details)


def schema_error(message: str) -> RefusedError:
    """Return the 500 without a reason that the typed conversion answers."""
    return RefusedError(500, message, reason="")


def conflict(subject: Subject, what: str) -> RefusedError:
    """Return the 409 of an optimistic lock or a precondition."""
    return RefusedError(409, f"Operation cannot be fulfilled on {subject}: {what}", details=subject.details())


def modified(subject: Subject) -> RefusedError:
    """Return the 409 for a stale `metadata.resourceVersion`."""
    text = "the object has been modified; please apply your changes to the latest version and try again"
    return conflict(subject, text)


def expired(message: str) -> RefusedError:
    """Return the 410 for versions whose history is gone."""
    return RefusedError(410, message)
