"""Read the releaser's documents without pydantic, from the same bytes as `shared.messages.releases`.

An agent's memory is the reason: importing pydantic costs more than all its objects. A contract test holds both equal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from shared.core.canonical import NotJSONError, decode
from shared.errors import PermanentError

SCHEMA = 1


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
class Rollback:
    """Why a release is of older content than git says."""

    to: str = ""
    commit: str = ""
    """The commit that is set aside."""
    reason: str = ""
    actor: str = ""
    automatic: bool = False


@dataclass(frozen=True, slots=True)
class ReleaseDocument:
    """The permission for one app to run one bundle here."""

    app: str
    epoch: int
    generation: int
    removed: bool = False
    """A tombstone: take this app off."""
    bundle: Bundle | None = None
    last: Bundle | None = None
    """Of a tombstone: what ran before, and holds the hooks for the removal."""
    previous: str = ""
    provenance: tuple[Origin, ...] = ()
    deletes: frozenset[str] = frozenset()
    """Keys of objects that may be deleted, as text."""
    deletes_known: bool = True
    options: Mapping[str, Any] = field(default_factory=dict)
    suspend: Mapping[str, str] | None = None
    approval: str = ""
    rollback: Rollback | None = None


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
    root: bytes = b""
    """The root key's public half; the hub's id is its fingerprint."""
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


# Names that each document may call critical: the fields this version knows.
KNOWN: Mapping[str, frozenset[str]] = {
    "desired": frozenset(
        [
            "schema",
            "crit",
            "hub",
            "cluster",
            "epoch",
            "generation",
            "previous",
            "roster",
            "suspend",
            "policy",
            "created",
            "key",
        ],
    ),
    "roster": frozenset(["schema", "crit", "cluster", "releases"]),
    "key set": frozenset(["schema", "crit", "hub", "root", "version", "keys", "revoked"]),
    "instruction": frozenset(["schema", "crit", "id", "hub", "cluster", "verb", "arguments", "expires"]),
}


def desired_of(body: bytes) -> DesiredDocument:
    """Return the document in `body`.

    Raises:
        DocumentError: it is malformed, or needs a reader that knows more.
    """
    read = _document(body, "desired")
    return DesiredDocument(
        hub=read.text("hub"),
        cluster=read.text("cluster"),
        epoch=read.number("epoch"),
        generation=read.number("generation"),
        roster=_blob(read.part("roster")),
        previous=read.number("previous", 0),
        suspend=read.texts_or_none("suspend"),
        policy=read.number("policy", 0),
        created=read.text("created"),
        key=read.text("key"),
    )


def roster_of(body: bytes) -> RosterDocument:
    """Return the roster in `body`; raises like `desired_of`."""
    read = _document(body, "roster")
    return RosterDocument(
        cluster=read.text("cluster"),
        releases={name: _release(read.within("releases", name)) for name in read.mapping("releases")},
    )


def key_set_of(body: bytes) -> KeySetDocument:
    """Return the key set in `body`; raises like `desired_of`."""
    read = _document(body, "key set")
    try:
        keys = {name: bytes.fromhex(public) for name, public in read.texts("keys").items()}
        root = bytes.fromhex(read.text("root", ""))
    except ValueError as error:
        raise DocumentError("key set: keys: not hexadecimal") from error
    return KeySetDocument(
        hub=read.text("hub"),
        version=read.number("version"),
        keys=keys,
        root=root,
        revoked=frozenset(read.words("revoked")),
    )


def instruction_of(body: bytes) -> InstructionDocument:
    """Return the instruction in `body`; raises like `desired_of`."""
    read = _document(body, "instruction")
    return InstructionDocument(
        id=read.text("id"),
        hub=read.text("hub"),
        cluster=read.text("cluster"),
        verb=read.text("verb"),
        arguments=read.mapping("arguments"),
        expires=read.moment("expires"),
    )


def unknown_critical(document: Any, name: str) -> tuple[str, ...]:
    """Return the critical fields of a decoded document that this version does not know."""
    crit = document.get("crit") if isinstance(document, Mapping) else None
    if not isinstance(crit, list):
        return ()
    return tuple(sorted({str(field_name) for field_name in crit} - KNOWN[name]))


def suspended(suspend: Mapping[str, str] | None, now: datetime) -> bool:
    """Tell whether a suspension counts at `now`: it has no end, or its end is still to come.

    An end that cannot be read is no end: doing nothing is the safe side.
    """
    if suspend is None:
        return False
    try:
        return now < datetime.fromisoformat(suspend.get("until") or "")
    except (ValueError, TypeError):
        return True


_ABSENT: Any = object()


@dataclass(frozen=True, slots=True)
class _Part:
    """A mapping of a document, and where it stands."""

    where: str
    data: Mapping[str, Any]

    def _get(self, name: str, fits: Callable[[Any], bool], kind: str, default: Any = _ABSENT) -> Any:
        value = self.data.get(name, default)
        if value is _ABSENT:
            raise DocumentError(f"{self.where}: {name}: is missing")
        if value is not default and not fits(value):
            raise DocumentError(f"{self.where}: {name}: is not {kind}")
        return value

    def text(self, name: str, default: Any = _ABSENT) -> str:
        return str(self._get(name, _is_text, "a text", default))

    def number(self, name: str, default: Any = _ABSENT) -> int:
        return int(self._get(name, _is_number, "an integer", default))

    def truth(self, name: str, default: Any = _ABSENT) -> bool:
        return bool(self._get(name, lambda value: isinstance(value, bool), "true or false", default))

    def mapping(self, name: str) -> dict[str, Any]:
        return dict(self._get(name, lambda value: isinstance(value, dict), "a mapping", {}))

    def texts(self, name: str) -> dict[str, str]:
        return dict(self._get(name, _is_texts, "a mapping of texts", {}))

    def texts_or_none(self, name: str) -> dict[str, str] | None:
        found = self._get(name, lambda value: value is None or _is_texts(value), "a mapping of texts", None)
        return None if found is None else dict(found)

    def words(self, name: str) -> tuple[str, ...]:
        return tuple(self._get(name, _is_words, "a list of texts", ()))

    def moment(self, name: str) -> datetime:
        try:
            moment = datetime.fromisoformat(self.text(name))
        except ValueError as error:
            raise DocumentError(f"{self.where}: {name}: is not a time") from error
        if moment.tzinfo is None:
            raise DocumentError(f"{self.where}: {name}: is a time without zone")
        return moment

    def part(self, name: str) -> _Part:
        return _Part(f"{self.where}: {name}", self._get(name, lambda value: isinstance(value, dict), "a mapping"))

    def part_or_none(self, name: str) -> _Part | None:
        return None if self.data.get(name) is None else self.part(name)

    def within(self, name: str, key: str) -> _Part:
        return _Part(f"{self.where}: {name}", self.data[name]).part(key)

    def parts(self, name: str) -> list[_Part]:
        found = self._get(name, lambda value: isinstance(value, list), "a list", ())
        return [_Part(f"{self.where}: {name}", {"item": item}).part("item") for item in found]


def _document(body: bytes, name: str) -> _Part:
    try:
        data = decode(body)
    except NotJSONError as error:
        raise DocumentError(f"{name} {error.message}") from error
    if not isinstance(data, dict):
        raise DocumentError(f"{name}: is not a mapping")
    read = _Part(name, data)
    if (schema := read.number("schema", SCHEMA)) != SCHEMA:
        raise DocumentError(f"{name} has schema {schema}, this version reads {SCHEMA}", code="message.unsupported")
    read.words("crit")
    if unknown := unknown_critical(data, name):
        raise DocumentError(f"{name} needs a reader that knows {', '.join(unknown)}", code="message.unsupported")
    return read


def _release(read: _Part) -> ReleaseDocument:
    state = read.text("state", "present")
    if state not in {"present", "removed"}:
        raise DocumentError(f"{read.where}: state: is neither present nor removed")
    bundle, last = read.part_or_none("bundle"), read.part_or_none("last")
    if (state == "present") != (bundle is not None):
        raise DocumentError(f"{read.where}: a present release has a bundle, a removed one has none")
    return ReleaseDocument(
        app=read.text("app"),
        epoch=read.number("epoch"),
        generation=read.number("generation"),
        removed=state == "removed",
        bundle=_bundle(bundle) if bundle else None,
        last=_bundle(last) if last else None,
        previous=read.text("previous", ""),
        provenance=tuple(_origin(part) for part in read.parts("provenance")),
        deletes=frozenset(read.words("deletes")),
        deletes_known=read.truth("deletes_known", default=True),
        options=read.mapping("options"),
        suspend=read.texts_or_none("suspend"),
        approval=read.text("approval", ""),
        rollback=_rollback(back) if (back := read.part_or_none("rollback")) else None,
    )


def _rollback(read: _Part) -> Rollback:
    words = {name: read.text(name, "") for name in ("to", "commit", "reason", "actor")}
    return Rollback(**words, automatic=read.truth("automatic", default=False))


def _bundle(read: _Part) -> Bundle:
    return Bundle(read.text("digest"), read.number("size"), read.number("objects"), _blob(read.part("blob")))


def _blob(read: _Part) -> Blob:
    return Blob(read.text("digest"), read.number("bytes"), read.text("key", ""))


def _origin(read: _Part) -> Origin:
    return Origin(
        source=read.text("source"),
        repository=read.text("repository"),
        ref=read.text("ref"),
        commit=read.text("commit"),
        tree=read.text("tree", ""),
    )


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_texts(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())


def _is_words(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(word, str) for word in value)
