"""Read files as Kustomize reads them, or not at all.

Kustomize reads objects as YAML 1.2 and writes them as JSON; kubectl and this project read YAML 1.1 as Kubernetes does. Where
the two could differ (`yes`, dates, `1_000`), and where text is more than its value (anchors, tags), a file is not read here.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from services.renderer.kustomize.outside import OutsideError, need, outside
from shared.core.kubeyaml import documents
from shared.errors import FindingsError

Value = TypeVar("Value")

KEPT_BYTES = 8 << 20
_WORDS = rb"[yY]|yes|Yes|YES|[nN]|no|No|NO|on|On|ON|off|Off|OFF"
_NUMBERS = (
    rb"[-+]?0[xXoObB][0-9a-fA-F_]+|[-+]?[0-9]+_[0-9_.]*|[-+]?[0-9]*\.?[0-9]+[eE][-+]?[0-9]+|\+[0-9.]+|[-+]?[0-9]+\."
    rb"|[-+]?\.(?:[0-9]+|inf|Inf|INF|nan|NaN|NAN)|[0-9]+(?::[0-9]+)+(?:\.[0-9]*)?|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}[^,\]}#\n]*"
    rb"|[-+]?[0-9]{16,}|[-+]?[0-9]+\.[0-9]{10,}|0[0-9]*[89][0-9]*"
)
_NO_TEXT = rb"(?:[-+]?[0-9][0-9._]*|true|false|null|~|True|False|TRUE|FALSE)[ \t]*:(?=[ \t\n])"
_VALUE = rb"(?:(?:" + _WORDS + rb"|" + _NUMBERS + rb")(?=[ \t]*(?:$|[,\]}#:]))|[&*!][^ \t\n])"
_UNSURE = re.compile(
    # Words and numbers that readers take for different things; anchors, aliases, tags.
    rb"(?m)(?:[:,\[{?-][ \t]+|[\[{,])(?=[-+.0-9yYnNoO&*!])"
    + _VALUE
    # The same at the beginning of a line; merges; keys that are no strings.
    + rb"|^[ \t]*(?:- +)*(?:"
    + _VALUE
    + rb"|<<[ \t]*:|"
    + _NO_TEXT
    + rb")"
    + rb"|[{,][ \t]*(?=[-+0-9tfnTF~])"
    + _NO_TEXT
    # Directives, documents that begin behind their marker, ends of documents, keys of many lines.
    + rb"|^(?:%|---[ \t]*[^ \t\n#]|\.\.\.|\?)"
)
# Characters that YAML, JSON or both write in other ways.
_CONTROLS = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")
_UNUSUAL = re.compile(rb"\xc2[\x80-\x9f]|\xe2\x80[\xa8\xa9]|\xef\xbb\xbf|\xef\xbf[\xbe\xbf]")


def values(content: bytes) -> list[Any]:
    """Return the documents of a file.

    Raises:
        OutsideError: it is none, or others could read it in another way.
    """
    unusual = _CONTROLS.search(content) or (not content.isascii() and _UNUSUAL.search(content))
    need(not unusual and _UNSURE.search(content) is None, "YAML that is not read equally everywhere")
    try:
        return [each.value for each in documents(content, "")]
    except FindingsError:
        outside("no YAML")


class Kept(Generic[Value]):
    """What was made of contents, as long as these take no more than `KEPT_BYTES`; what was used last stays longest."""

    def __init__(self, make: Callable[[bytes], Value]) -> None:
        self._make = make
        self._kept: OrderedDict[bytes, tuple[Value] | str] = OrderedDict()
        self._bytes = 0

    def of(self, content: bytes) -> Value:
        """Return what `content` makes.

        Raises:
            OutsideError: nothing; this is kept too.
        """
        if content in self._kept:
            self._kept.move_to_end(content)
        else:
            self._kept[content] = self._made(content)
            self._bytes += len(content)
        value = self._kept[content]
        while self._bytes > KEPT_BYTES:
            self._bytes -= len(self._kept.popitem(last=False)[0])
        if isinstance(value, str):
            outside(value)
        return value[0]

    def _made(self, content: bytes) -> tuple[Value] | str:
        """Return what `content` makes, or why it makes nothing."""
        try:
            return (self._make(content),)
        except OutsideError as error:
            return str(error)
