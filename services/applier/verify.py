"""Decide whether what the bus delivered may be believed: signature, age, completeness, in the order of `trust.md`.

Fails closed; each refusal has its own code. The bus is transport only, so nothing here asks where bytes came from.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from services.applier.documents import (
    DesiredDocument,
    InstructionDocument,
    KeySetDocument,
    ReleaseDocument,
    RosterDocument,
)
from services.applier.state import Header
from shared.errors import PermanentError

DESIRED_LIMIT_BYTES = 64 << 10
ROSTER_LIMIT_BYTES = 16 << 20
BUNDLE_LIMIT_BYTES = 64 << 20


class Refusal(StrEnum):
    """Why something was not believed; closed, and stands in reports."""

    TOO_LARGE = "desired.too-large"
    MALFORMED = "desired.malformed"
    TYPE = "desired.type"
    UNSUPPORTED = "desired.unsupported"
    """It needs a reader that knows more than this version."""
    UNKNOWN_KEY = "desired.unknown-key"
    REVOKED_KEY = "desired.revoked-key"
    SIGNATURE = "desired.signature"
    HUB = "desired.hub"
    CLUSTER = "desired.cluster"
    POLICY = "desired.policy"
    OLDER = "desired.older"
    EQUIVOCATION = "desired.equivocation"
    """Two documents with one number: frozen until a higher one comes."""
    ROSTER_DIGEST = "roster.digest"
    ROSTER_MALFORMED = "roster.malformed"
    RELEASE_OLDER = "release.older"
    RELEASE_EQUIVOCATION = "release.equivocation"
    BUNDLE_DIGEST = "bundle.digest"
    BUNDLE_INCOMPLETE = "bundle.incomplete"
    BUNDLE_TOO_LARGE = "bundle.too-large"
    INSTRUCTION_EXPIRED = "instruction.expired"


class RefusedError(PermanentError):
    """What the bus delivered is not believed; nothing was changed."""

    def __init__(self, refusal: Refusal, message: str, *, hint: str = "") -> None:
        super().__init__(message, code=refusal.value, hint=hint)
        self.refusal = refusal


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom this agent believes."""

    hub: str
    cluster: str
    keys: KeySetDocument


@dataclass(frozen=True, slots=True)
class Accepted:
    """The highest desired document accepted; kept in the cluster, written before the first mutation."""

    epoch: int = 0
    generation: int = 0
    digest: str = ""
    """sha256 of the envelope's body."""
    key: str = ""
    """Id of the key that signed it: without trust in that key the pair does not count."""
    policy: int = 0


@dataclass(frozen=True, slots=True)
class Verified:
    """A desired document that may be obeyed; `accepted` is what to remember with the first write."""

    document: DesiredDocument
    accepted: Accepted
    unchanged: bool
    """It is the very document that was accepted before."""


def trusted_keys(envelope: bytes, hub: str, root: bytes, known: KeySetDocument | None = None) -> KeySetDocument:
    """Return the key set that the root key (its public key) signed, if it is not older than the one `known`.

    Raises:
        RefusedError: not signed by the root key, of another hub, or older.
    """
    raise NotImplementedError


def verified(envelope: bytes, trust: Trust, accepted: Accepted) -> Verified:
    """Return the document in `envelope` once everything about it holds.

    Raises:
        RefusedError: the first check that failed, in the order of `trust.md`.
    """
    raise NotImplementedError


def roster(content: bytes, document: DesiredDocument) -> RosterDocument:
    """Return the roster in `content` (decompressed; the blob's own digest is checked by whoever fetched it)."""
    raise NotImplementedError


def check_release(release: ReleaseDocument, header: Header | None, keys: KeySetDocument) -> None:
    """Refuse a release that is older than what this app accepted under a key that is still trusted."""
    raise NotImplementedError


def bundle_objects(pieces: Iterable[bytes], release: ReleaseDocument) -> Iterator[dict[str, Any]]:
    """Yield the objects of a bundle from its canonical bytes, piece by piece; the last check comes at the end.

    Nothing may be done with an object before the iteration ended without an error: only then the digest is known
    to fit.
    """
    raise NotImplementedError


def verified_instruction(envelope: bytes, trust: Trust, now: Any) -> InstructionDocument:
    """Return the instruction in `envelope` if it is for this agent and has not expired."""
    raise NotImplementedError
