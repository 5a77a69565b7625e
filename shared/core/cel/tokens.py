"""Split an expression into tokens that know where they stand."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from shared.core.cel.errors import ExpressionError

MAX_CHARS = 16_384


class Sort(StrEnum):
    """What a token is."""

    NAME = "name"
    VALUE = "value"
    """A literal; `Token.value` is what it stands for."""
    SIGN = "sign"
    END = "end"


@dataclass(frozen=True, slots=True)
class Token:
    """One word of an expression."""

    sort: Sort
    text: str
    at: int
    """Offset of its first character."""
    value: Any = None


_TOKEN = re.compile(
    r"""
    (?P<space>[ \t\r\n\f]+|//[^\n]*)
  | (?P<float>[0-9]+(?:\.[0-9]+(?:[eE][+-]?[0-9]+)?|[eE][+-]?[0-9]+))
  | (?P<hex>0[xX][0-9a-fA-F]+)[uU]?
  | (?P<int>[0-9]+)[uU]?
  | (?P<raw>[rR])?(?P<quote>\"\"\"|\'\'\'|["'])
  | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
  | (?P<sign>&&|\|\||==|!=|<=|>=|\.\?|\[\?|[-+*/%!<>?:.,()\[\]{}])
    """,
    re.VERBOSE,
)
_CONSTANTS = {"true": True, "false": False, "null": None}
_ESCAPES = {
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
    "\\": "\\",
    "'": "'",
    '"': '"',
    "`": "`",
    "?": "?",
}
_ESCAPE = re.compile(
    r"\\(?:[xX]([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-3][0-7]{2})|([abfnrtv\\'\"`?]))"
)


def tokens(text: str) -> list[Token]:
    """Return the tokens of an expression, the last one being its end.

    Raises:
        ExpressionError: it is too long, or a character has no business in it.
    """
    if len(text) > MAX_CHARS:
        raise ExpressionError(f"longer than {MAX_CHARS} characters", text, 0)
    found: list[Token] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise ExpressionError(f"unexpected {text[at]!r}", text, at)
        end = match.end()
        if match["quote"]:
            value, end = _string(text, match)
            found.append(Token(Sort.VALUE, text[at:end], at, value))
        elif not match["space"]:
            found.append(_plain(match, at))
        at = end
    return [*found, Token(Sort.END, "", len(text))]


def _plain(match: re.Match[str], at: int) -> Token:
    text = match.group()
    if match["sign"]:
        return Token(Sort.SIGN, text, at)
    if match["float"]:
        return Token(Sort.VALUE, text, at, float(text))
    if match["hex"] or match["int"]:
        value = int(match["hex"], 16) if match["hex"] else int(match["int"])
        if value >= 1 << 64:
            raise ExpressionError(f"{text} does not fit into 64 bits", match.string, at)
        return Token(Sort.VALUE, text, at, value)
    if text in _CONSTANTS:
        return Token(Sort.VALUE, text, at, _CONSTANTS[text])
    return Token(Sort.SIGN if text == "in" else Sort.NAME, text, at)


def _string(text: str, start: re.Match[str]) -> tuple[str, int]:
    """Return the value of the string that begins with `start`, and where it ends."""
    quote, raw = start["quote"], bool(start["raw"])
    at, parts = start.end(), list[str]()
    while not text.startswith(quote, at):
        if at >= len(text) or (text[at] == "\n" and len(quote) == 1):
            raise ExpressionError("this string is not closed", text, start.start())
        if text[at] == "\\" and not raw:
            escape = _ESCAPE.match(text, at)
            if escape is None:
                raise ExpressionError(f"unknown escape {text[at : at + 2]!r}", text, at)
            parts.append(_unescaped(escape, text, at))
            at = escape.end()
        else:
            parts.append(text[at])
            at += 1
    return "".join(parts), at + len(quote)


def _unescaped(escape: re.Match[str], text: str, at: int) -> str:
    two, four, eight, octal, short = escape.groups()
    if short:
        return _ESCAPES[short]
    number = int(octal, 8) if octal else int(two or four or eight, 16)
    if number > 0x10FFFF or 0xD800 <= number <= 0xDFFF:
        raise ExpressionError("this escape is no character", text, at)
    return chr(number)
