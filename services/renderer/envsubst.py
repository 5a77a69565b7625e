"""Fill in `${name}` as Flux does, with all operators of its dialect and all of its peculiarities.

Flux's dialect looks like bash and is not: lengths and offsets count bytes, `:+` and `:?` are defaults like `:=`, `-`
without a colon does not exist. The rules were read off Flux's own implementation, with which this one is compared.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from services.renderer.globs import Glob

_NAMED = re.compile(r"\$\{#?(\w+)")
_DEFAULTS = frozenset(["=", ":=", ":-", ":?", ":+"])
_OPERATOR = re.compile(r":[=\-?+]|=|[,^]{1,2}|/[/#%]?|##?|%%?|:")
_NUMBER = re.compile(r"[+-]?[0-9]+")
_END = "\0"


class SubstitutionError(ValueError):
    """A text holds a `${...}` that cannot be filled in."""

    def __init__(self, message: str, expression: str = "") -> None:
        super().__init__(message)
        self.expression = expression
        """How it begins in the text."""


def names_in(text: str) -> set[str]:
    """Return the variables that `text` names, and perhaps more."""
    return set(_NAMED.findall(text)) if "${" in text else set()


def expanded(text: str, variables: Mapping[str, str], *, strict: bool = False) -> str:
    """Return `text` with everything filled in, and `$` for `$$`.

    Raises:
        SubstitutionError: an expression is none of the dialect, or, when `strict`, a variable is not set.
    """
    return _Text(text, variables, strict=strict).all()


@dataclass(slots=True)
class _Text:
    """A text while it is read, from left to right."""

    text: str
    variables: Mapping[str, str]
    strict: bool = field(kw_only=True)
    at: int = 0

    def all(self) -> str:
        found: list[str] = []
        while (dollar := self.text.find("$", self.at)) >= 0:
            found.append(self.text[self.at : dollar])
            following = self.text[dollar + 1 : dollar + 2]
            self.at = dollar + 2
            if following == "{":
                found.append(self._expression(dollar))
            else:
                found.append("$" if following == "$" else self.text[dollar : self.at])
        return "".join([*found, self.text[self.at :]])

    def _expression(self, start: int) -> str:
        """Return what an expression stands for whose `${` has been read."""
        if self._peek() == "#":
            self.at += 1
            name = self._name(start)
            value = str(len(self._value(name).encode()))
        else:
            name = self._name(start)
            operator = _OPERATOR.match(self.text, self.at)
            if operator is None:
                value = self._value(name)
            else:
                self.at = operator.end()
                value = self._applied(name, operator[0], start)
        if self._peek() != "}":
            raise self._wrong(start)
        self.at += 1
        return value

    def _applied(self, name: str, operator: str, start: int) -> str:
        """Return the variable `name` changed by an operator, whose arguments come next."""
        if operator in _DEFAULTS:
            arguments = []
            while self._peek() != "}":
                arguments.append(self._argument(start, "}"))
            return self.variables.get(name, "") or "".join(arguments)
        if operator[0] == ":":
            return self._part(name, start)
        if operator[0] in ",^":
            return _CASES.get(operator, str)(self._value(name))
        if operator[0] == "/":
            return self._replaced(name, operator, start)
        pattern = self._argument(start, "}")
        return _TRIMMED[operator](self._value(name), pattern)

    def _part(self, name: str, start: int) -> str:
        if self._peek() > "\x7f":
            raise self._wrong(start)
        first = self._argument(start, ":}")
        length = None
        if self._peek() == ":":
            while self._peek() == ":":
                self.at += 1
            length = self._argument(start, "}")
        return _slice(self._value(name), first, length)

    def _replaced(self, name: str, operator: str, start: int) -> str:
        pattern = self._argument(start, "/", escapes=True)
        if self._peek() != "/":
            raise self._wrong(start)
        while self._peek() == "/":
            self.at += 1
        new = None if self._peek() == "}" else self._argument(start, "}", escapes=True)
        return _replaced(self._value(name), operator, pattern, new)

    def _argument(self, start: int, ends: str, *, escapes: bool = False) -> str:
        """Return the next argument: one expression, or text up to one or to a character of `ends`; never nothing."""
        if self.text.startswith("${", self.at):
            inner = self.at
            self.at += 2
            return self._expression(inner)
        found: list[str] = []
        while (character := self._peek()) not in ends and not self.text.startswith("${", self.at):
            if character == _END:
                break
            if escapes and self.text[self.at : self.at + 2] in {"$$", "\\/", "\\\\"}:
                self.at += 1
                character = self._peek()
            found.append(character)
            self.at += 1
        if not found:
            raise self._wrong(start)
        return "".join(found)

    def _name(self, start: int) -> str:
        begin = self.at
        while (character := self._peek()) == "_" or character.isalpha() or character.isdecimal():
            self.at += 1
        if self.at == begin:
            raise self._wrong(start)
        return self.text[begin : self.at]

    def _value(self, name: str) -> str:
        if self.strict and name not in self.variables:
            raise SubstitutionError(f"the variable {name} is not set", f"${{{name}")
        return self.variables.get(name, "")

    def _peek(self) -> str:
        return self.text[self.at] if self.at < len(self.text) else _END

    def _wrong(self, start: int) -> SubstitutionError:
        shown = self.text[start : start + 40].partition("\n")[0]
        return SubstitutionError(f"{shown!r} is no expression that can be filled in", shown)


def _slice(value: str, first: str, length: str | None) -> str:
    """Return a part of `value`; numbers count bytes, and what is no number changes nothing."""
    whole = value.encode()
    if not all(_NUMBER.fullmatch(each) for each in (first, length) if each is not None):
        return value
    begin = int(first) if int(first) >= 0 else max(0, len(whole) + int(first))
    end = len(whole)
    if length is not None:
        end = begin + int(length) if int(length) >= 0 else end + int(length)
    try:
        return whole[begin : max(begin, end)].decode()
    except UnicodeDecodeError as error:
        raise SubstitutionError(f"a part of {value!r} from byte {begin} cuts a character") from error


def _replaced(value: str, operator: str, pattern: str, new: str | None) -> str:
    if operator in {"/", "//"}:
        return value.replace(pattern, new or "", 1 if operator == "/" else -1)
    if new is None:
        return value
    if operator == "/#":
        return new + value[len(pattern) :] if value.startswith(pattern) else value
    return value.removesuffix(pattern) + new if value.endswith(pattern) else value


def _upper(text: str) -> str:
    return "".join(map(_upper_one, text))


def _upper_one(character: str) -> str:
    """Return a character's capital, where that is one character: `ß` has none."""
    return next((each for each in (character.upper(), character.title()) if len(each) == 1), character)


def _lower(text: str) -> str:
    return "".join(character.lower()[:1] for character in text)


_CASES: Mapping[str, Callable[[str], str]] = {
    "^": lambda text: _upper(text[:1]) + text[1:],
    "^^": _upper,
    ",": lambda text: _lower(text[:1]) + text[1:],
    ",,": _lower,
}


def _cut(text: str, pattern: str, *, longest: bool) -> str:
    lengths = [each for each in Glob(pattern).beginnings(text) if each]
    return text[max(lengths) if longest else min(lengths) :] if lengths else text


def _cut_end(text: str, pattern: str, *, longest: bool) -> str:
    return _cut(text[::-1], pattern[::-1], longest=longest)[::-1]


_TRIMMED: Mapping[str, Callable[[str, str], str]] = {
    "#": lambda text, pattern: _cut(text, pattern, longest=False),
    "##": lambda text, pattern: _cut(text, pattern, longest=True),
    "%": lambda text, pattern: _cut_end(text, pattern, longest=False),
    "%%": lambda text, pattern: _cut_end(text, pattern, longest=True),
}
