"""Read the plain block style in which nearly all manifests are written, line by line; leave all else to the full reader.

What a line means is known here only where there is no doubt: one key or dash, and a value that ends on its line, is a block
of text, or goes on as plain words. Everything else, every mistake included, is the full reader's to read and to explain.
Tests hold the two together.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from math import isfinite
from typing import Any

from shared.core.kubescalars import MAYBE_OTHER, as_json, resolved

DEPTH = 100
NODES_OF_A_LINE = 3
_CONTINUED = 1000
_SHORT = 40
_CLOSED = 1 << 60
_TEXT = bytes([9, 10, *range(32, 127)])
_UNUSUAL_CHARACTER = re.compile(
    "[^\t\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
_KEY = re.compile(r"(?:[A-Za-z0-9_/$]|\.[A-Za-z_])[A-Za-z0-9_./$@+-]{0,120}")
_QUOTED_KEY = re.compile(r"""(["'])([A-Za-z0-9_./$@+:-]{1,120})\1""")
_QUOTED = re.compile(r"""(?:"([^"\\\t]*)"|'((?:[^'\t]|'')*)'|("(?:[^"\\\t]|\\.)*"))(?: +#.*)?""")
_ANCHOR = re.compile(r"&([A-Za-z0-9_-]+) +([^ ].*)")
_ALIAS = re.compile(r"\*([A-Za-z0-9_-]+)(?: +#.*)?")
_ESCAPED = {'"': re.compile(r"\\."), "'": re.compile("''")}
_FLOW = re.compile(r"(?:\[[^&*!#\t]*\]|\{[^&*!#\t]*\})")
_PLAIN_START = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_/.$(<=~+^;\\-")


class UnusualError(Exception):
    """The full reader has to read the file."""


def quickly(
    data: bytes, nodes: int, part: Callable[[str], Any], *, documents: int = 10_000, depth: int = DEPTH
) -> list[tuple[int, Any]] | None:
    """Return each document's index and value, or None where the full reader has to look.

    Args:
        data: the file.
        nodes: how many nodes it may have.
        part: reads one value that stands on one line with the full reader.
        documents: how many documents it may have.
        depth: how deep it may be nested.
    """
    most = data.count(b"\n") * NODES_OF_A_LINE + sum(map(data.count, (b",", b"[", b"{")))
    if most > nodes or not data.endswith(b"\n"):
        return None
    try:
        text = data.decode()
        if data.translate(None, _TEXT) and (text.isascii() or _UNUSUAL_CHARACTER.search(text)):
            return None
        found = _Lines(text.split("\n")[:-1], part, depth).documents()
    except (UnicodeDecodeError, UnusualError):
        return None
    return found if len(found) <= documents else None


class _Lines:
    """A file while it is read."""

    __slots__ = (
        "_anchors", "_at", "_continued", "_depth", "_found", "_lines", "_open", "_open_at", "_part", "_pending",
        "_pending_at", "_root", "_stack",
    )  # fmt: skip

    def __init__(self, lines: list[str], part: Callable[[str], Any], depth: int) -> None:
        self._lines, self._part, self._depth = lines, part, depth
        self._at = 0
        self._found: list[tuple[int, Any]] = []
        self._root: Any = None
        self._stack: list[tuple[int, Any]] = []
        """The open collections with their columns."""
        self._pending: tuple[Any, Any] | None = None
        """Collection and place of a value that may come on the next lines."""
        self._pending_at = 0
        self._open: tuple[Any, Any, str] | None = None
        """Collection, place and text of plain words that go on where the next line is indented further."""
        self._open_at = _CLOSED
        self._continued = 0
        self._anchors: dict[str, Any] = {}
        """What aliases stand for: single values only."""

    def documents(self) -> list[tuple[int, Any]]:
        lines, total, begun, stack = self._lines, len(self._lines), False, self._stack
        while self._at < total:
            line = lines[self._at]
            self._at += 1
            content = line.lstrip(" ")
            if not content or content[0] == "#":
                self._open_at = _CLOSED
                continue
            indent = len(line) - len(content)
            if indent > self._open_at:
                self._go_on(content)
            elif content[0] == "-":
                if indent == 0 and content[:3] == "---":
                    self._marker(content, begun=begun)
                else:
                    self._dash(indent, content)
                begun = True
            elif self._pending is None and stack and stack[-1][0] == indent and stack[-1][1].__class__ is dict:
                self._entry(stack[-1][1], indent, content)
            else:
                self._entry(self._mapping_at(indent), indent, content)
                begun = True
        if begun:
            self._found.append((len(self._found), self._root))
        return self._found

    def _marker(self, content: str, *, begun: bool) -> None:
        if content.rstrip(" ") != "---":
            raise UnusualError
        if begun:
            self._found.append((len(self._found), self._root))
        self._root, self._pending, self._open_at = None, None, _CLOSED
        self._stack.clear()
        self._anchors = {}

    def _go_on(self, content: str) -> None:
        """Take one more line of plain words."""
        content = content.rstrip(" ")
        self._continued += 1
        if self._open is None or _ends_plain(content) or " #" in content or self._continued > _CONTINUED:
            raise UnusualError
        collection, place, text = self._open
        text = f"{text} {content}"
        self._open = (collection, place, text)
        collection[place] = text if text[0] not in MAYBE_OTHER else _resolved(text)

    def _pushed(self, indent: int, collection: Any) -> Any:
        self._stack.append((indent, collection))
        if len(self._stack) > self._depth:
            raise UnusualError
        return collection

    def _hung(self, indent: int, collection: Any) -> Any:
        """Put a collection where one is awaited."""
        if self._pending is not None:
            inside, place = self._pending
            inside[place] = collection
            self._pending = None
        elif self._root is None and not self._stack:
            self._root = collection
        else:
            raise UnusualError
        return self._pushed(indent, collection)

    def _mapping_at(self, indent: int) -> dict[str, Any]:
        """Return the mapping whose keys stand in this column."""
        stack = self._stack
        if self._pending is not None:
            if indent > self._pending_at:
                found: dict[str, Any] = self._hung(indent, {})
                return found
            self._pending = None
        while stack and stack[-1][0] > indent:
            stack.pop()
        if stack and stack[-1][0] == indent and stack[-1][1].__class__ is list:
            stack.pop()  # a list in the column of its key
        if not stack:
            return self._hung(indent, {})  # type: ignore[no-any-return]  # what was hung
        column, top = stack[-1]
        if column != indent or top.__class__ is not dict:
            raise UnusualError
        return top

    def _list_at(self, indent: int) -> list[Any]:
        """Return the list whose dashes stand in this column."""
        stack = self._stack
        if self._pending is not None:
            if indent > self._pending_at or (indent == self._pending_at and self._pending[0].__class__ is dict):
                found: list[Any] = self._hung(indent, [])
                return found
            self._pending = None
        while stack and stack[-1][0] > indent:
            stack.pop()
        if not stack:
            return self._hung(indent, [])  # type: ignore[no-any-return]  # what was hung
        column, top = stack[-1]
        if column != indent or top.__class__ is not list:
            raise UnusualError
        return top

    def _dash(self, indent: int, content: str) -> None:
        rest = content[1:].lstrip(" ")
        if content[1:2] not in {"", " "} or rest[:2] in {"-", "- "}:
            raise UnusualError
        items = self._list_at(indent)
        items.append(None)
        if not rest or rest[0] == "#":
            self._pending, self._pending_at, self._open_at = (items, len(items) - 1), indent, _CLOSED
        elif rest[0] in "\"'|[{" or not (": " in rest or rest.rstrip(" ")[-1] == ":"):
            self._value(items, len(items) - 1, rest.rstrip(" "), indent)
        else:
            inner = indent + len(content) - len(rest)
            items[-1] = self._pushed(inner, {})
            self._entry(items[-1], inner, rest)

    def _entry(self, mapping: dict[str, Any], indent: int, content: str) -> None:
        written, colon, rest = content.partition(": ")
        rest = rest.strip(" ")
        if not colon:
            written = written.rstrip(" ")
            if written[-1] != ":":
                raise UnusualError
            written = written[:-1]
        key = _key(written)
        if key in mapping:
            raise UnusualError
        if rest and rest[0] != "#":
            self._value(mapping, key, rest, indent)
        else:
            mapping[key] = None
            self._pending, self._pending_at, self._open_at = (mapping, key), indent, _CLOSED

    def _value(self, collection: Any, place: Any, text: str, indent: int) -> None:
        """Put a value that begins on this line, which has no spaces at its end, in its place."""
        self._open_at = _CLOSED
        first = text[0]
        if first in _PLAIN_START:
            if " #" in text:
                text = text.partition(" #")[0].rstrip(" ")
            else:
                self._open, self._open_at, self._continued = (collection, place, text), indent, 0
            if _ends_plain(text) or (first == "-" and text[1:2] in {"", " "}):
                raise UnusualError
            collection[place] = text if first not in MAYBE_OTHER else _resolved(text)
        elif first in "\"'":
            collection[place] = self._quoted(text, indent)
        elif first == "|":
            collection[place] = self._block(text, indent)
        else:
            self._rarer(collection, place, text)

    def _rarer(self, collection: Any, place: Any, text: str) -> None:
        if text in {"{}", "[]"}:
            collection[place] = {} if text == "{}" else []
        elif _FLOW.fullmatch(text) and len(self._stack) + text.count("[") + text.count("{") <= self._depth:
            collection[place] = self._part(text)
        elif anchor := _ANCHOR.fullmatch(text):
            self._anchored(collection, place, anchor[1], anchor[2])
        elif (alias := _ALIAS.fullmatch(text)) and alias[1] in self._anchors:
            collection[place] = self._anchors[alias[1]]
        else:
            raise UnusualError

    def _anchored(self, collection: Any, place: Any, name: str, text: str) -> None:
        if text[0] not in _PLAIN_START and text[0] not in "\"'":
            raise UnusualError
        self._value(collection, place, text, 0)
        self._open_at = _CLOSED
        self._anchors[name] = collection[place]

    def _quoted(self, text: str, parent: int) -> Any:
        match = _QUOTED.fullmatch(text)
        if match is None:
            return self._part(self._all_of(text, parent))
        double, single, escaped = match.groups()
        if escaped is not None:
            return self._part(escaped)
        return double if double is not None else single.replace("''", "'")

    def _all_of(self, text: str, parent: int) -> str:
        """Return quoted words that go on, to the line that ends with their quote."""
        mark, lines, at = text[0], [text], self._at
        left = _ESCAPED[mark].sub("", text[1:])
        while mark not in left:
            if at == len(self._lines) or at - self._at > _CONTINUED or text[-1] == "\\":
                raise UnusualError
            line = self._lines[at]
            at += 1
            if line.strip(" ") and len(line) - len(line.lstrip(" ")) <= parent:
                raise UnusualError
            lines.append(line)
            left = _ESCAPED[mark].sub("", line)
        if left.index(mark) != len(left.rstrip(" ")) - 1:
            raise UnusualError
        self._at = at
        return "\n".join(lines)

    def _block(self, header: str, parent: int) -> str:
        """Return a block of text and go behind it."""
        lines, total, begin = self._lines, len(self._lines), self._at
        if header not in {"|", "|-", "|+"}:
            raise UnusualError
        first = begin
        while first < total and not lines[first]:
            first += 1
        body = lines[first].lstrip(" ") if first < total else ""
        indent = len(lines[first]) - len(body) if body else 0
        if not body or indent <= parent or body[0] == "\t":
            raise UnusualError
        prefix, at, last = " " * indent, first, first
        while at < total:
            line = lines[at]
            if line.startswith(prefix):
                last = at
                if line[-1] == " " and not line.strip(" "):
                    raise UnusualError
            elif line.strip(" "):
                break
            at += 1
        if at < total and len(lines[at]) - len(lines[at].lstrip(" ")) > parent:
            raise UnusualError
        self._at = at
        text = "\n".join([line[indent:] for line in lines[begin : last + 1]])
        return text + {"|": "\n", "|-": "", "|+": "\n" * (at - last)}[header]


@lru_cache(maxsize=4096)
def _key(written: str) -> str:
    """Return the key that stands before a colon."""
    quoted = _QUOTED_KEY.fullmatch(written)
    key = quoted[2] if quoted else written
    if not quoted and (_KEY.fullmatch(key) is None or not isinstance(resolved(key), str)):
        raise UnusualError
    return key


def _resolved(text: str) -> Any:
    return _known(text) if len(text) <= _SHORT else _value_of(text)


def _value_of(text: str) -> Any:
    """Return what plain words mean that may be no text."""
    value = resolved(text)
    if value.__class__ is float:
        if not isfinite(value):
            raise UnusualError
        return as_json(value)
    return as_json(value) if value.__class__ is int else value


_known = lru_cache(maxsize=4096)(_value_of)


def _ends_plain(text: str) -> bool:
    """Tell whether plain words hold what ends them, or may."""
    return ": " in text or text[-1] == ":" or "\t" in text or text[0] == "#"
