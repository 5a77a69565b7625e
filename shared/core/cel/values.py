"""Values as CEL sees them: JSON's types, apart from one another, and what may be absent.

Python takes `True` for 1; CEL does not, so every comparison goes through here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from shared.core.cel.errors import EvaluationError, TooCostlyError

MAX_TEXT = 65_536
_MIN, _MAX = -(1 << 63), (1 << 63) - 1
_NAMES: Mapping[type, str] = {
    bool: "a bool",
    int: "an int",
    float: "a double",
    str: "a string",
    list: "a list",
    tuple: "a list",
    dict: "a map",
    type(None): "null",
}


@dataclass(frozen=True, slots=True)
class Maybe:
    """An optional value: `x.?y`."""

    present: bool = False
    value: Any = None


@dataclass(slots=True)
class Scope:
    """What one evaluation knows, and how many steps it has left."""

    names: dict[str, Any]
    left: int

    def spend(self, steps: int = 1) -> None:
        """Count steps.

        Raises:
            TooCostlyError: there are none left.
        """
        self.left -= steps
        if self.left < 0:
            raise TooCostlyError("it takes too many steps")


def type_name(value: Any) -> str:
    """Return what CEL calls the type of a value, with its article."""
    return "an optional" if isinstance(value, Maybe) else _NAMES.get(type(value), type(value).__name__)


def is_number(value: Any) -> bool:
    """Tell whether a value is a number; a bool is none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def truth(value: Any) -> bool:
    """Return a value that must be a bool.

    Raises:
        EvaluationError: it is something else.
    """
    if isinstance(value, bool):
        return value
    raise EvaluationError(f"a bool is needed, not {type_name(value)}")


def equal(one: Any, other: Any, scope: Scope) -> bool:
    """Tell whether two values are equal; values of different types never are, but numbers."""
    scope.spend()
    if isinstance(one, Maybe) and isinstance(other, Maybe):
        return one.present == other.present and (not one.present or equal(one.value, other.value, scope))
    if is_number(one) and is_number(other):
        return bool(one == other)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(equal(a, b, scope) for a, b in zip(one, other, strict=True))
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(equal(value, other[key], scope) for key, value in one.items())
    return type(one) is type(other) and bool(one == other)


def contained(item: Any, container: Any, scope: Scope) -> bool:
    """Tell whether an item is in a list, or a key in a map.

    Raises:
        EvaluationError: the container is something else.
    """
    if isinstance(container, Mapping):
        return isinstance(item, str) and item in container
    if isinstance(container, list | tuple):
        return any(equal(item, each, scope) for each in container)
    raise EvaluationError(f"`in` needs a list or a map, not {type_name(container)}")


def compared(one: Any, other: Any) -> int:
    """Return -1, 0 or 1.

    Raises:
        EvaluationError: the two have no order.
    """
    orders = is_number(one) and is_number(other) and not (math.isnan(one) or math.isnan(other))
    if orders or (type(one) is type(other) and isinstance(one, str | bool)):
        return int(one > other) - int(one < other)
    raise EvaluationError(f"{type_name(one)} and {type_name(other)} cannot be compared")


def arithmetic(sign: str, one: Any, other: Any, scope: Scope) -> Any:
    """Return `one sign other`; numbers of different types are not mixed, as in CEL.

    Raises:
        EvaluationError: the types do not fit, the result is too large, or the divisor is 0.
    """
    if is_number(one) and type(one) is type(other):
        return _INT[sign](one, other) if isinstance(one, int) else _DOUBLE[sign](one, other)
    if sign == "+" and isinstance(one, str) and isinstance(other, str):
        return short(one + other)
    if sign == "+" and isinstance(one, list | tuple) and isinstance(other, list | tuple):
        scope.spend(len(one) + len(other))
        return [*one, *other]
    raise EvaluationError(f"{sign!r} does not take {type_name(one)} and {type_name(other)}")


def integer(value: int) -> int:
    """Return a number that must fit into 64 bits.

    Raises:
        EvaluationError: it does not.
    """
    if _MIN <= value <= _MAX:
        return value
    raise EvaluationError("a number does not fit into 64 bits")


def short(text: str) -> str:
    """Return a text that was made, if it is not too long.

    Raises:
        TooCostlyError: it is.
    """
    if len(text) > MAX_TEXT:
        raise TooCostlyError(f"it makes a text of more than {MAX_TEXT} characters")
    return text


def _quotient(one: int, other: int) -> int:
    if other == 0:
        raise EvaluationError("division by zero")
    return integer(abs(one) // abs(other) * (1 if (one < 0) == (other < 0) else -1))


def _remainder(one: int, other: int) -> int:
    if other == 0:
        raise EvaluationError("division by zero")
    return one - other * _quotient(one, other)


def _divided(one: float, other: float) -> float:
    if other:
        return one / other
    return math.nan if not one or math.isnan(one) else math.copysign(math.inf, one) * math.copysign(1.0, other)


def _no_remainder(one: float, other: float) -> float:
    raise EvaluationError(f"'%' does not take doubles ({one}, {other})")


_INT: Mapping[str, Callable[[int, int], int]] = {
    "+": lambda a, b: integer(a + b),
    "-": lambda a, b: integer(a - b),
    "*": lambda a, b: integer(a * b),
    "/": _quotient,
    "%": _remainder,
}
_DOUBLE: Mapping[str, Callable[[float, float], float]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": _divided,
    "%": _no_remainder,
}
