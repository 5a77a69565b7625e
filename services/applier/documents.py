"""Read the releaser's documents without pydantic, from the same bytes as `shared.messages.releases`.

An agent's memory is the reason: importing pydantic costs more than all its objects. A contract test holds both equal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from shared.errors import PermanentError


class DocumentError(PermanentError):
    """Bytes are not the document they should be."""

    code = "message.invalid"


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes stored under their digest; `key` is hex, empty when they are compressed only."""

    digest: str
    bytes: int
    key: str = ""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle: its digest, canonical size, object count, and where its sealed bytes are."""

    digest: str
    size: int
    objects: int
    blob: Blob


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a part of the content came from."""

    source: str
    repository: str
    ref: str
    commit: str
    tree: str = ""


@dataclass(frozen=True, slots=True)
class ReleaseDocument:
    """The permission for one app to run one bundle here."""

    app: str
    epoch: int
    generation: int
    removed: bool = False
    """A tombstone: take this app off."""
    bundle: Bundle | None = None
    previous: str = ""
    provenance: tuple[Origin, ...] = ()
    deletes: frozenset[str] = frozenset()
    """Keys of objects that may be deleted, as text."""
    deletes_known: bool = True
    options: Mapping[str, Any] = field(default_factory=dict)
    suspend: Mapping[str, str] | None = None
    approval: str = ""


@dataclass(frozen=True, slots=True)
class RosterDocument:
    """All releases of this cluster."""

    cluster: str
    releases: Mapping[str, ReleaseDocument] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DesiredDocument:
    """The signed document of one cluster."""

    hub: str
    cluster: str
    epoch: int
    generation: int
    roster: Blob
    previous: int = 0
    suspend: Mapping[str, str] | None = None
    policy: int = 0
    created: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class KeySetDocument:
    """Which release keys are good."""

    hub: str
    version: int
    keys: Mapping[str, bytes]
    """Id → public key, the revoked ones included."""
    revoked: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class InstructionDocument:
    """A signed request to this agent."""

    id: str
    hub: str
    cluster: str
    verb: str
    arguments: Mapping[str, Any]
    expires: datetime


def desired_of(body: bytes) -> DesiredDocument:
    """Return the document in `body`.

    Raises:
        DocumentError: it is malformed, or needs a reader that knows more.
    """
    raise NotImplementedError


def roster_of(body: bytes) -> RosterDocument:
    """Return the roster in `body`; raises like `desired_of`."""
    raise NotImplementedError


def key_set_of(body: bytes) -> KeySetDocument:
    """Return the key set in `body`; raises like `desired_of`."""
    raise NotImplementedError


def instruction_of(body: bytes) -> InstructionDocument:
    """Return the instruction in `body`; raises like `desired_of`."""
    raise NotImplementedError


def suspended(suspend: Mapping[str, str] | None, now: datetime) -> bool:
    """Tell whether a suspension counts at `now`: it has no end, or its end is still to come."""
    raise NotImplementedError
