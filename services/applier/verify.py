"""Decide whether what the bus delivered may be believed: signature, age, completeness, in the order of `trust.md`.

Fails closed; each refusal has its own code. The bus is transport only, so nothing here asks where bytes came from.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any, TypeVar

from services.applier.documents import (
    Bundle,
    DesiredDocument,
    DocumentError,
    InstructionDocument,
    KeySetDocument,
    ReleaseDocument,
    RosterDocument,
    desired_of,
    instruction_of,
    key_set_of,
    roster_of,
    unknown_critical,
)
from services.applier.state import Header
from shared.core import dsse
from shared.core.bundles import BadBundleError, objects_of
from shared.core.canonical import NotJSONError, decode, digest
from shared.core.seal import SealError, decompressed
from shared.errors import PermanentError

T = TypeVar("T")

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


def trusted_keys(envelope: bytes, hub: str, known: KeySetDocument | None = None) -> KeySetDocument:
    """Return the key set that the root key of `hub` signed, if it is not older than the one `known`.

    The key set carries the root key itself; the hub's id, which the agent has from its join token, is that key's
    fingerprint.

    Raises:
        RefusedError: not signed by the root key of this hub, or older.
    """
    root = _stated_root(envelope)
    if sha256(root).hexdigest() != hub:
        raise RefusedError(Refusal.HUB, f"the key set's root key is not the one of hub {hub[:16]}")
    keys = _read(key_set_of, _opened(dsse.KEY_SET, envelope, KeySetDocument(hub, 0, {dsse.key_id_of(root): root})).body)
    if keys.hub != hub:
        raise RefusedError(Refusal.HUB, f"the key set is of hub {keys.hub[:16]}, this agent belongs to {hub[:16]}")
    if known is not None and keys.version < known.version:
        raise RefusedError(Refusal.OLDER, f"the key set has version {keys.version}, this agent knows {known.version}")
    return keys


def verified(envelope: bytes, trust: Trust, accepted: Accepted) -> Verified:
    """Return the document in `envelope` once everything about it holds.

    Raises:
        RefusedError: the first check that failed, in the order of `trust.md`.
    """
    if len(envelope) > DESIRED_LIMIT_BYTES:
        raise RefusedError(Refusal.TOO_LARGE, f"the desired document has {len(envelope)} bytes")
    _check_critical(dsse.DESIRED, envelope)
    opened = _opened(dsse.DESIRED, envelope, trust.keys)
    document = _read(desired_of, opened.body)
    _check_addressee(document.hub, document.cluster, trust)
    floor = accepted if is_trusted(accepted.key, trust.keys) else Accepted()
    if document.policy < floor.policy:
        raise RefusedError(
            Refusal.POLICY, f"the document knows policy {document.policy}, this agent already obeys {floor.policy}"
        )
    content = digest(opened.body)
    unchanged = _check_order(document, content, floor)
    taken = Accepted(document.epoch, document.generation, content, opened.key_id, max(document.policy, floor.policy))
    return Verified(document, taken, unchanged)


def roster(stored: bytes, document: DesiredDocument) -> RosterDocument:
    """Return the roster that `document` names, from the blob's stored (compressed) bytes.

    Raises:
        RefusedError: the bytes are others, or are no roster of this cluster.
    """
    if digest(stored) != document.roster.digest:
        raise RefusedError(Refusal.ROSTER_DIGEST, "the roster's bytes do not fit the digest that was signed")
    try:
        content = b"".join(decompressed(stored, ROSTER_LIMIT_BYTES))
        found = roster_of(content)
    except (SealError, DocumentError) as error:
        raise RefusedError(Refusal.ROSTER_MALFORMED, f"the roster cannot be read: {error.message}") from error
    if found.cluster != document.cluster or any(app != release.app for app, release in found.releases.items()):
        raise RefusedError(Refusal.ROSTER_MALFORMED, f"the roster names cluster {found.cluster!r} or apps wrongly")
    return found


def check_release(release: ReleaseDocument, header: Header | None, keys: KeySetDocument) -> None:
    """Refuse a release that is older than what this app accepted under a key that is still trusted (A3).

    Raises:
        RefusedError: it is older, or has the number of an accepted one and other content.
    """
    if header is None or not is_trusted(header.key, keys):
        return
    number, highest = (release.epoch, release.generation), (header.epoch, header.generation)
    if number < highest:
        raise RefusedError(
            Refusal.RELEASE_OLDER,
            f"{release.app}@{_dotted(number)} is older than {_dotted(highest)}, which was accepted",
        )
    if number == highest and bundle_of(release) != header.bundle:
        raise RefusedError(
            Refusal.RELEASE_EQUIVOCATION,
            f"{release.app}@{_dotted(number)} was accepted with another bundle",
            hint="two hubs may be signing, or the hub's database was restored: compare `towline get releases`",
        )


def bundle_of(release: ReleaseDocument) -> str:
    """Return the digest of the release's bundle, empty for a tombstone."""
    return release.bundle.digest if release.bundle else ""


def bundle_objects(pieces: Iterable[bytes], bundle: Bundle) -> Iterator[dict[str, Any]]:
    """Yield the objects of a bundle from the pieces of its canonical bytes; the last check comes at the end.

    Nothing may be done with an object before the iteration ended without an error: only then the digest is known
    to fit (A1, A2).

    Raises:
        RefusedError: too large, other bytes than were signed, or not as many objects as promised.
    """
    content = _Content(pieces)
    count = 0
    try:
        for manifest in objects_of(content.lines()):
            count += 1
            yield _mapping(manifest)
        trouble = "" if count == bundle.objects else f"it holds {count} objects, {bundle.objects} were signed"
    except (BadBundleError, NotJSONError) as error:
        trouble = error.message
    if content.digest() != bundle.digest:
        raise RefusedError(Refusal.BUNDLE_DIGEST, f"the bundle is not the one that was signed ({bundle.digest[:12]})")
    if trouble:
        raise RefusedError(Refusal.BUNDLE_INCOMPLETE, f"the bundle is not whole: {trouble}")


def verified_instruction(envelope: bytes, trust: Trust, now: datetime) -> InstructionDocument:
    """Return the instruction in `envelope` if it is for this agent and has not expired at `now` (aware).

    Raises:
        RefusedError: the first check that failed.
    """
    if len(envelope) > DESIRED_LIMIT_BYTES:
        raise RefusedError(Refusal.TOO_LARGE, f"the instruction has {len(envelope)} bytes")
    instruction = _read(instruction_of, _opened(dsse.INSTRUCTION, envelope, trust.keys).body)
    _check_addressee(instruction.hub, instruction.cluster, trust)
    if instruction.expires <= now:
        raise RefusedError(Refusal.INSTRUCTION_EXPIRED, f"instruction {instruction.id} has expired")
    return instruction


def is_trusted(key: str, keys: KeySetDocument) -> bool:
    """Tell whether the key with this id is in the key set and not revoked."""
    return key in keys.keys and key not in keys.revoked


def _mapping(line: Any) -> dict[str, Any]:
    if not isinstance(line, dict):
        raise BadBundleError("a line is not an object")
    return line


class _Content:
    """Bytes that arrive in pieces: cut into lines, counted and digested on the way."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._hash = sha256()
        self._size = 0

    def lines(self) -> Iterator[bytes]:
        rest = b""
        for piece in self._taken():
            *whole, rest = (rest + piece).split(b"\n")
            yield from whole
        yield rest

    def digest(self) -> str:
        """Return the digest of everything, what was not cut into lines included."""
        for _ in self._taken():
            pass
        return self._hash.hexdigest()

    def _taken(self) -> Iterator[bytes]:
        for piece in self._pieces:
            self._size += len(piece)
            if self._size > BUNDLE_LIMIT_BYTES:
                raise RefusedError(Refusal.BUNDLE_TOO_LARGE, f"the bundle has more than {BUNDLE_LIMIT_BYTES} bytes")
            self._hash.update(piece)
            yield piece


def _check_critical(kind: str, envelope: bytes) -> None:
    """Refuse a document that says it needs a newer reader; what is malformed is left to the checks that follow."""
    try:
        document = decode(envelope)
        if document["payloadType"] != kind:
            return
        unknown = unknown_critical(decode(b64decode(document["payload"], validate=True)), "desired")
    except (NotJSONError, KeyError, TypeError, ValueError):
        return
    if unknown:
        raise RefusedError(
            Refusal.UNSUPPORTED,
            f"the desired document needs a reader that knows {', '.join(unknown)}",
            hint="upgrade the agent",
        )


def _opened(kind: str, envelope: bytes, keys: KeySetDocument) -> dsse.Opened:
    good = {key: public for key, public in keys.keys.items() if key not in keys.revoked}
    try:
        return dsse.opened(kind, envelope, good)
    except dsse.EnvelopeError as error:
        refusal = _ENVELOPE[error.code]
        if refusal is Refusal.UNKNOWN_KEY and _signer(envelope) in keys.revoked:
            refusal = Refusal.REVOKED_KEY
        raise RefusedError(refusal, error.message) from error


def _stated_root(envelope: bytes) -> bytes:
    """Return the root key that an unverified key set carries."""
    try:
        return bytes.fromhex(decode(b64decode(decode(envelope)["payload"], validate=True))["root"])
    except (NotJSONError, KeyError, TypeError, ValueError) as error:
        raise RefusedError(Refusal.MALFORMED, "the key set is not an envelope with a root key") from error


def _signer(envelope: bytes) -> str:
    """Return the id of the key that a well-formed envelope names."""
    return str(decode(envelope)["signatures"][0]["keyid"])


_ENVELOPE = {
    "envelope.malformed": Refusal.MALFORMED,
    "envelope.type": Refusal.TYPE,
    "envelope.key": Refusal.UNKNOWN_KEY,
    "envelope.signature": Refusal.SIGNATURE,
}


def _read(reader: Callable[[bytes], T], body: bytes) -> T:
    """Return what `reader` makes of a verified body."""
    try:
        return reader(body)
    except DocumentError as error:
        refusal = Refusal.UNSUPPORTED if error.code == "message.unsupported" else Refusal.MALFORMED
        raise RefusedError(refusal, error.message) from error


def _check_addressee(hub: str, cluster: str, trust: Trust) -> None:
    if hub != trust.hub:
        raise RefusedError(
            Refusal.HUB, f"the document is of hub {hub[:16]!r}, this agent belongs to {trust.hub[:16]!r}"
        )
    if cluster != trust.cluster:
        raise RefusedError(Refusal.CLUSTER, f"the document is for cluster {cluster!r}, this is {trust.cluster!r}")


def _check_order(document: DesiredDocument, content: str, floor: Accepted) -> bool:
    """Tell whether the document is the accepted one; refuse an older one, and another one with the same number (A10)."""
    number, highest = (document.epoch, document.generation), (floor.epoch, floor.generation)
    if number < highest:
        raise RefusedError(
            Refusal.OLDER,
            f"the document is number {_dotted(number)}, this agent accepted {_dotted(highest)}",
        )
    if number == highest and floor.digest and content != floor.digest:
        raise RefusedError(
            Refusal.EQUIVOCATION,
            f"two different documents have number {_dotted(number)}",
            hint="nothing is taken until a higher number comes: find out who signs with the release key",
        )
    return number == highest and content == floor.digest


def _dotted(number: tuple[int, int]) -> str:
    return f"{number[0]}.{number[1]}"
