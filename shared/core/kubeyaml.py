"""Read YAML as kubectl does, within limits, and say where something stands.

The parser is libyaml's event stream with a builder of our own: libyaml's composer recurses and kills the process at
50,000 nested brackets, and PyYAML's resolver knows another dialect. Stricter than kubectl in one point: a key that
stands twice in a mapping is an error (kubectl silently takes the last). Positions are found by a second reading, only
when somebody asks, so that good files do not pay for them.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

from yaml import YAMLError
from yaml._yaml import CParser
from yaml.error import MarkedYAMLError
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from yaml.reader import ReaderError

from shared.core.kubelines import UnusualError, quickly
from shared.core.kubeplaces import Mark, Path, Places
from shared.core.kubescalars import MAYBE_OTHER, PREFIX, Scalar, as_json, key_text, resolved, tagged
from shared.errors import Finding, FindingsError

Event = Any  # the library's types do not say what an event of a class carries

_BOM = b"\xef\xbb\xbf"
_LATER_BOM = re.compile(rb"(?m)(^---[ \t]*\r?\n)\xef\xbb\xbf")
_SURROGATES = re.compile(rb"((?<!\\)(?:\\\\)*)\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")
_BINARY = f"{PREFIX}binary"
_MERGE = f"{PREFIX}merge"
_REPEATED = "yaml.duplicate-key"
_NO_KEY = {
    dict: "a mapping cannot be a key: a template that is not in quotes?",
    list: "a list cannot be a key",
    type(None): "an empty or null key",
}


@dataclass(frozen=True, slots=True)
class Limits:
    """How large what users write may be."""

    file_bytes: int = 10_000_000
    documents: int = 10_000
    depth: int = 100
    nodes: int = 1_000_000
    """Nodes of a file, with every alias counted as what it stands for."""


LIMITS = Limits()


@dataclass(frozen=True)
class Document:
    """One document of a file: its value as JSON types, and where its parts stand."""

    value: Any
    file: str
    index: int
    """Which document of the file, empty ones counted."""
    places: Places = field(repr=False, compare=False)

    def at(self, path: Path = ()) -> Mark:
        """Return line and column, from 1, of the value at `path`: its key, where it has one.

        A path that leads nowhere gives the place of the last step that is there.
        """
        return self.places.of(self.index, path)

    def finding(self, code: str, message: str, path: Path = (), *, hint: str = "") -> Finding:
        """Return a finding about what stands at `path`."""
        line, column = self.at(path)
        return Finding(code, message, self.file, line, column, hint)


def documents(data: bytes, file: str, *, limits: Limits = LIMITS, repeated_keys: bool = False) -> list[Document]:
    """Return the documents of a file that hold something; `file` is how findings name it.

    With `repeated_keys` the last of equal keys counts, as with kubectl: for files that kubectl is to read itself.

    Raises:
        FindingsError: it is no YAML, holds a key twice, or exceeds a limit.
    """
    if len(data) > limits.file_bytes:
        _refuse("yaml.too-large", f"the file has {len(data)} bytes, {limits.file_bytes} are allowed", file)
    if data.startswith(b"version https://git-lfs.github.com/spec/"):
        _refuse("yaml.lfs-pointer", "the file is a pointer to Git LFS, not YAML", file, hint="store it in git itself")
    data = _as_kubectl_splits(data)
    places = Places(data)
    quick = quickly(data, limits.nodes, _one_line, documents=limits.documents, depth=limits.depth)
    if quick is not None:
        return [Document(value, file, index, places) for index, value in quick if value is not None]
    builder = _Builder(data, file, limits)
    try:
        found = [Document(value, file, index, places) for index, value in builder.documents() if value is not None]
    except YAMLError as error:
        raise FindingsError([*builder.findings, _syntax(error, data, file)]) from error
    if builder.findings and not (repeated_keys and all(each.code == _REPEATED for each in builder.findings)):
        raise FindingsError(builder.findings)
    return found


def _one_line(text: str) -> Any:
    """Return the value of a part of a file that stands on one line.

    Raises:
        UnusualError: it is none.
    """
    builder = _Builder(text.encode(), "", LIMITS)
    try:
        found = [value for _, value in builder.documents()]
    except (YAMLError, FindingsError) as error:
        raise UnusualError from error
    if builder.findings or len(found) != 1:
        raise UnusualError
    return found[0]


class _Builder:
    """Makes values of events."""

    def __init__(self, data: bytes, file: str, limits: Limits) -> None:
        self.findings: list[Finding] = []
        self._next: Callable[[], Event] = CParser(data).get_event
        self._file = file
        self._limits = limits
        self._nodes = 0
        self._depth = 0
        self._anchors: dict[str, tuple[Any, int] | None] = {}
        self._plain: dict[str, Scalar] = {}

    def documents(self) -> Iterator[tuple[int, Any]]:
        """Yield each document's index and value."""
        index = 0
        while (event := self._next()) is not None:
            if event.__class__ is DocumentStartEvent:
                if index >= self._limits.documents:
                    self._stop(event, "yaml.too-many", f"more than {self._limits.documents} documents in one file")
                # kubectl reads each document by itself: anchors do not reach into the next.
                self._anchors = {}
                yield index, self._value(self._next())
                index += 1

    def _value(self, event: Event) -> Any:
        before = self._nodes
        self._nodes = before + 1
        kind = event.__class__
        if kind is AliasEvent:
            return self._alias(event)
        anchor = event.anchor
        if anchor is not None:
            self._anchors[anchor] = None
        if kind is ScalarEvent:
            value = self._scalar(event) if event.tag is not None or event.implicit[0] else event.value
            if value.__class__ is float:
                if value - value != 0:  # infinite or not a number
                    self._stop(event, "yaml.no-json", f"{event.value} has no JSON form", hint="put it in quotes")
                value = as_json(value)
            elif value.__class__ is int:
                value = as_json(value)
        else:
            value = self._collection(event)
        if anchor is not None:
            self._anchors[anchor] = (value, self._nodes - before)
        return value

    def _collection(self, event: Event) -> Any:
        self._depth += 1
        if self._depth > self._limits.depth:
            self._stop(event, "yaml.too-deep", f"nested more than {self._limits.depth} deep")
        value = self._mapping() if event.__class__ is MappingStartEvent else self._sequence()
        self._depth -= 1
        if self._nodes > self._limits.nodes:
            self._stop(event, "yaml.too-large", f"more than {self._limits.nodes} nodes in one file")
        return value

    def _sequence(self) -> list[Any]:
        items: list[Any] = []
        while (event := self._next()).__class__ is not SequenceEndEvent:
            items.append(self._value(event))
        return items

    def _mapping(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        merged: set[str] = set()
        folded: dict[str, list[tuple[type, str]]] = {}
        following, count = self._next, 0
        while (event := following()).__class__ is not MappingEndEvent:
            if event.__class__ is ScalarEvent and event.value == "<<" and _is_merge(event):
                addition = self._merge()
                merged |= addition.keys()
                found |= addition
                continue
            key = event.value if _is_plain_text(event) else None
            if key is None or key in found:
                key = self._key(event, found, folded, merged)
            event = following()
            found[key] = event.value if _is_plain_text(event) else self._value(event)
            count += 1
        self._nodes += count
        return found

    def _key(
        self, event: Event, found: dict[str, Any], folded: dict[str, list[tuple[type, str]]], merged: set[str]
    ) -> str:
        # A plain key keeps its type: as a value, 1e6 becomes an integer, as a key it is "1e+06".
        plain = event.__class__ is ScalarEvent and event.anchor is None
        value = (
            (self._scalar(event) if event.tag or event.implicit[0] else event.value) if plain else self._value(event)
        )
        key = value if value.__class__ is str else key_text(value)
        if key is None:
            self._stop(event, "yaml.bad-key", _NO_KEY.get(type(value), "this cannot be a key"), hint="put it in quotes")
        raw = (value.__class__, event.value if plain else key)
        if key in merged:
            merged.discard(key)
        elif key in found:
            # kubectl takes the last of `yes: 1, on: 2`, which are one boolean; of two equal texts one is a mistake.
            others = folded.get(key, [(str, key)])
            if raw in others or any(other[0] is not raw[0] for other in others):
                self._note(event, _REPEATED, f"the key {key!r} stands twice in one mapping")
        if raw != (str, key):
            folded.setdefault(key, [(str, key)] if key in found and key not in folded else []).append(raw)
        return key

    def _merge(self) -> dict[str, Any]:
        event = self._next()
        value = self._value(event)
        if isinstance(value, dict):
            return value
        if isinstance(value, list) and event.__class__ is SequenceStartEvent:
            maps = [part for part in reversed(value) if isinstance(part, dict)]
            if len(maps) == len(value):
                return {key: each for part in maps for key, each in part.items()}
        return self._stop(event, "yaml.bad-merge", "`<<` takes a mapping or a list of mappings")

    def _alias(self, event: Event) -> Any:
        name = event.anchor
        if name not in self._anchors:
            self._stop(event, "yaml.syntax", f"the alias *{name} names no anchor of this document")
        known = self._anchors[name]
        if known is None:
            self._stop(event, "yaml.cycle", f"the alias *{name} stands inside of what it names")
        value, nodes = known
        self._nodes += nodes
        if self._nodes > self._limits.nodes:
            self._stop(event, "yaml.too-large", f"aliases expand to more than {self._limits.nodes} nodes")
        return _copied(value)

    def _scalar(self, event: Event) -> Scalar:
        tag, text = event.tag, event.value
        if tag is None:
            try:
                return self._plain[text]
            except KeyError:
                value = self._plain[text] = resolved(text)
                return value
        try:
            return _binary(text) if tag == _BINARY else tagged(tag, text)
        except ValueError as error:
            self._stop(event, "yaml.bad-tag", str(error))

    def _note(self, event: Event, code: str, message: str, *, hint: str = "") -> None:
        mark = event.start_mark
        self.findings.append(Finding(code, message, self._file, mark.line + 1, mark.column + 1, hint))

    def _stop(self, event: Event, code: str, message: str, *, hint: str = "") -> NoReturn:
        self._note(event, code, message, hint=hint)
        raise FindingsError(self.findings)


def _as_kubectl_splits(data: bytes) -> bytes:
    """Return `data` without what kubectl reads and libyaml does not: byte order marks and JSON's surrogate pairs."""
    if _BOM in data:
        data = _LATER_BOM.sub(rb"\1", data.removeprefix(_BOM))
    if b"\\u" in data and data.lstrip()[:1] == b"{":
        data = _SURROGATES.sub(_joined, data)
    return data


def _joined(pair: re.Match[bytes]) -> bytes:
    high, low = int(pair[2], 16), int(pair[3], 16)
    return pair[1] + chr(0x10000 + ((high & 0x3FF) << 10) + (low & 0x3FF)).encode()


def _is_merge(event: ScalarEvent) -> bool:
    return event.tag == _MERGE or (event.tag is None and event.implicit[0])


def _is_plain_text(event: Event) -> bool:
    """Tell at once whether a node is a string as it stands, as most are."""
    return (
        event.__class__ is ScalarEvent
        and event.tag is None
        and event.anchor is None
        and (event.value[:1] not in MAYBE_OTHER or not event.implicit[0])
    )


def _copied(value: Any) -> Any:
    """Return a copy, so that a change behind one alias stays there."""
    if value.__class__ is dict:
        return {key: _copied(part) for key, part in value.items()}
    if value.__class__ is list:
        return [_copied(part) for part in value]
    return value


def _binary(text: str) -> str:
    """Return the text in base64 `text`.

    Raises:
        ValueError: it is no base64, or no text.
    """
    try:
        return base64.b64decode("".join(text.split()), validate=True).decode()
    except ValueError as error:
        raise ValueError("!!binary holds something else than text in base64") from error


def _refuse(code: str, message: str, file: str, *, hint: str = "") -> NoReturn:
    raise FindingsError([Finding(code, message, file, hint=hint)])


def _syntax(error: YAMLError, data: bytes, file: str) -> Finding:
    """Return the parser's complaint as a finding, with a hint for the mistakes that people make."""
    if isinstance(error, ReaderError):
        before = data[: error.position]
        line, column = before.count(b"\n") + 1, len(before) - before.rfind(b"\n")
        return Finding("yaml.syntax", f"{error.reason}", file, line, column, "save the file as UTF-8 text")
    if not isinstance(error, MarkedYAMLError):
        return Finding("yaml.syntax", str(error), file)
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
    message = ": ".join(part for part in (error.context, error.problem) if part)
    return Finding("yaml.syntax", message, file, line, column, _hint(data, line))


def _hint(data: bytes, line: int) -> str:
    lines = data.splitlines()
    near = b"\n".join(lines[max(0, line - 2) : line + 1])
    if any(marker in near for marker in (b"<<<<<<<", b"=======", b">>>>>>>")):
        return "resolve the merge conflict"
    if b"{{" in near:
        return "put the template expression in quotes; plain files are templates only with plain: {template: jinja}"
    if b"\t" in near:
        return "indent with spaces, not tabs"
    return ""
