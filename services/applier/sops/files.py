"""Read a file of SOPS as SOPS does: in its order, with the bytes that each of its values adds to the MAC.

SOPS reads YAML by somewhat other rules than kubectl (`yes` is a text to it, a date none), and its MAC turns on them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from yaml import YAMLError
from yaml._yaml import CParser
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from services.applier.sops.errors import SopsError
from shared.core.kubescalars import resolved

Path = tuple[str, ...]
"""The keys on the way to a value; places in lists do not count, as in SOPS."""
ENCRYPTED = re.compile(r"ENC\[AES256_GCM,data:(.+),iv:(.+),tag:(.+),type:(.+)\]")
DEPTH = 100
_TIME = re.compile(r"(\d{4})-(\d\d?)-(\d\d?)(?:[Tt ](\d\d?):(\d\d?):(\d\d?)(\.\d{1,9})?(Z|[-+]\d\d:\d\d)?)?")


@dataclass(frozen=True, slots=True)
class Scalar:
    """A value as it stands in the file."""

    text: str
    plain: bool
    """Without quotes and tag."""


@dataclass(frozen=True, slots=True)
class SopsFile:
    """A file that SOPS encrypted: its documents without SOPS' own entry, and that entry."""

    documents: tuple[Any, ...]
    """Mappings as lists of pairs, lists as tuples, values as `Scalar`."""
    metadata: dict[str, Any]

    def values(self) -> Iterator[tuple[Path, Scalar]]:
        """Yield the values in the order in which they count for the MAC."""
        for document in self.documents:
            yield from _values(document, ())


def read(text: str) -> SopsFile:
    """Return the YAML or JSON file `text`.

    Raises:
        SopsError: it is none of SOPS.
    """
    try:
        documents = list(_documents(CParser(text.encode()).get_event))
    except YAMLError as error:
        raise SopsError(f"its file is no YAML: {getattr(error, 'problem', None) or error}") from error
    found, metadata = [], None
    for document in documents:
        if not isinstance(document, list):
            raise SopsError("its file holds something else than mappings")
        metadata = metadata or next((value for key, value in document if key == "sops"), None)
        found.append([pair for pair in document if pair[0] != "sops"])
    if not isinstance(metadata, list):
        raise SopsError("its file has no entry of SOPS")
    return SopsFile(tuple(found), as_data(metadata))


def as_data(node: Any) -> Any:
    """Return a part of a file with texts for values."""
    if isinstance(node, list):
        return {key: as_data(value) for key, value in node}
    if isinstance(node, tuple):
        return [as_data(item) for item in node]
    return "" if node.plain and resolved(node.text) is None else node.text


def counted(scalar: Scalar) -> bytes:
    """Return what a value that is not encrypted adds to the MAC."""
    return (_rewritten(scalar.text) if scalar.plain else scalar.text).encode()


def _rewritten(text: str) -> str:
    """Return plain words as SOPS writes what they mean: it reads numbers like kubectl, and knows times."""
    value = resolved(text)
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value) if text.lower() in {"true", "false"} else text
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        # Without an exponent, in as many digits as it needs, as Go writes it.
        return format(Decimal(repr(value)), "f").removesuffix(".0")
    moment = _TIME.fullmatch(text)
    return _moment(moment) if moment else text


def _moment(match: re.Match[str]) -> str:
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    try:
        moment = datetime(int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0))  # noqa: DTZ001
    except ValueError:
        return match[0]
    digits = (fraction or "").rstrip("0").rstrip(".")
    return f"{moment.isoformat()}{digits}{'Z' if zone in {None, '+00:00', '-00:00'} else zone}"


def _values(node: Any, path: Path) -> Iterator[tuple[Path, Scalar]]:
    if isinstance(node, list):
        for key, value in node:
            yield from _values(value, (*path, key))
    elif isinstance(node, tuple):
        for item in node:
            yield from _values(item, path)
    else:
        yield path, node


def _documents(following: Callable[[], Any]) -> Iterator[Any]:
    while (event := following()) is not None:
        if isinstance(event, DocumentStartEvent):
            yield _node(following(), following, DEPTH)


def _node(event: Any, following: Callable[[], Any], depth: int) -> Any:
    if isinstance(event, AliasEvent) or event.anchor is not None or depth == 0:
        raise SopsError("its file has anchors, or is nested too deeply", "encrypt it anew: sops writes neither")
    if isinstance(event, ScalarEvent):
        return Scalar(str(event.value), bool(event.implicit[0]))
    if isinstance(event, SequenceStartEvent):
        items = []
        while not isinstance(item := following(), SequenceEndEvent):
            items.append(_node(item, following, depth - 1))
        return tuple(items)
    pairs = []
    while not isinstance(key := following(), MappingEndEvent):
        if not isinstance(key, ScalarEvent):
            raise SopsError("its file has a key that is no text")
        pairs.append((str(key.value), _node(following(), following, depth - 1)))
    return pairs
