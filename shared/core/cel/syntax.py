"""The parts of an expression that was read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Literal:
    """A value that stands in the text."""

    value: Any
    at: int


@dataclass(frozen=True, slots=True)
class Name:
    """A variable."""

    name: str
    at: int


@dataclass(frozen=True, slots=True)
class Select:
    """`of.name`, or `of.?name` when it may be absent."""

    of: Node
    name: str
    at: int
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Index:
    """`of[index]`, or `of[?index]` when it may be absent."""

    of: Node
    index: Node
    at: int
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """A function, a method of `target`, or an operator under its sign."""

    function: str
    target: Node | None
    arguments: tuple[Node, ...]
    at: int


@dataclass(frozen=True, slots=True)
class Logic:
    """`a && b && c` or `a || b || c`."""

    sign: str
    terms: tuple[Node, ...]
    at: int


@dataclass(frozen=True, slots=True)
class Choice:
    """`condition ? then : otherwise`."""

    condition: Node
    then: Node
    otherwise: Node
    at: int


@dataclass(frozen=True, slots=True)
class Macro:
    """`over.all(variable, body)` and its sisters; `body` has one or two expressions."""

    name: str
    over: Node
    variable: str
    body: tuple[Node, ...]
    at: int


@dataclass(frozen=True, slots=True)
class ListOf:
    """`[a, b]`."""

    items: tuple[Node, ...]
    at: int


@dataclass(frozen=True, slots=True)
class MapOf:
    """`{a: b}`."""

    pairs: tuple[tuple[Node, Node], ...]
    at: int


Node = Literal | Name | Select | Index | Call | Logic | Choice | Macro | ListOf | MapOf
