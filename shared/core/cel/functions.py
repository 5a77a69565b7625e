"""The functions and methods that expressions may call; none does I/O, none knows the time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from string import ascii_lowercase, ascii_uppercase
from typing import Any

from shared.core.cel.errors import EvaluationError, TooCostlyError
from shared.core.cel.values import MAX_TEXT, Maybe, Scope, arithmetic, compared, equal, integer, is_number, type_name


@dataclass(frozen=True, slots=True)
class Function:
    """Something that can be called with so many arguments, a method's target among them."""

    run: Callable[..., Any]
    """Called with the scope, then the arguments."""
    least: int = 1
    most: int = 1


def _size(scope: Scope, value: Any) -> int:
    del scope
    if isinstance(value, str | list | tuple | Mapping):
        return len(value)
    raise EvaluationError(f"{type_name(value)} has no size")


def _int(scope: Scope, value: Any) -> int:
    del scope
    try:
        if is_number(value) or isinstance(value, str):
            return integer(int(value))
    except (ValueError, OverflowError) as error:
        raise EvaluationError(f"{value!r} is no whole number") from error
    raise EvaluationError(f"{type_name(value)} is no whole number")


def _double(scope: Scope, value: Any) -> float:
    del scope
    try:
        if is_number(value) or isinstance(value, str):
            return float(value)
    except (ValueError, OverflowError) as error:
        raise EvaluationError(f"{value!r} is no number") from error
    raise EvaluationError(f"{type_name(value)} is no number")


def _string(scope: Scope, value: Any) -> str:
    del scope
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int):
        return str(value)
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    raise EvaluationError(f"{type_name(value)} is no text")


def _bool(scope: Scope, value: Any) -> bool:
    del scope
    if isinstance(value, bool):
        return value
    if value in {"true", "True", "TRUE", "t", "1"}:
        return True
    if value in {"false", "False", "FALSE", "f", "0"}:
        return False
    raise EvaluationError(f"{value!r} is neither true nor false")


def _none(scope: Scope) -> Maybe:
    del scope
    return Maybe()


def _of(scope: Scope, value: Any) -> Maybe:
    del scope
    return Maybe(present=True, value=value)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise EvaluationError(f"a string is needed, not {type_name(value)}")


def _list(value: Any) -> list[Any] | tuple[Any, ...]:
    if isinstance(value, list | tuple):
        return value
    raise EvaluationError(f"a list is needed, not {type_name(value)}")


def _maybe(value: Any) -> Maybe:
    if isinstance(value, Maybe):
        return value
    raise EvaluationError(f"an optional is needed (`.?field`), not {type_name(value)}")


def _on_texts(run: Callable[..., Any], arguments: int = 0) -> Function:
    """Return a method of texts whose arguments are texts; it costs by the length of what it works on."""

    def call(scope: Scope, *texts: Any) -> Any:
        found = [_text(each) for each in texts]
        scope.spend(1 + len(found[0]) // 100)
        return run(*found)

    return Function(call, 1 + arguments, 1 + arguments)


def _split(scope: Scope, text: Any, separator: Any) -> list[str]:
    scope.spend(1 + len(_text(text)))
    return _text(text).split(_text(separator)) if separator else list(text)


def _join(scope: Scope, parts: Any, separator: Any = "") -> str:
    scope.spend(1 + len(_list(parts)))
    texts = [_text(each) for each in parts]
    if sum(map(len, texts)) + len(_text(separator)) * len(texts) > MAX_TEXT:
        raise TooCostlyError(f"it makes a text of more than {MAX_TEXT} characters")
    return _text(separator).join(texts)


def _sum(scope: Scope, items: Any) -> Any:
    scope.spend(1 + len(_list(items)))
    total: Any = 0
    for number, item in enumerate(items):
        total = item if number == 0 else arithmetic("+", total, item, scope)
    return total


def _extreme(sign: int) -> Function:
    def call(scope: Scope, items: Any) -> Any:
        scope.spend(1 + len(_list(items)))
        if not items:
            raise EvaluationError("an empty list has no least and no greatest item")
        found = items[0]
        for item in items[1:]:
            found = item if compared(item, found) == sign else found
        return found

    return Function(call)


def _index_of(scope: Scope, where: Any, what: Any) -> int:
    if isinstance(where, str):
        scope.spend(1 + len(where) // 100)
        return where.find(_text(what))
    return next((number for number, each in enumerate(_list(where)) if equal(each, what, scope)), -1)


def _or_value(scope: Scope, optional: Any, value: Any) -> Any:
    del scope
    return _maybe(optional).value if _maybe(optional).present else value


def _or(scope: Scope, optional: Any, other: Any) -> Maybe:
    del scope
    return _maybe(optional) if _maybe(optional).present else _maybe(other)


def _has_value(scope: Scope, optional: Any) -> bool:
    del scope
    return _maybe(optional).present


def _value(scope: Scope, optional: Any) -> Any:
    del scope
    if _maybe(optional).present:
        return optional.value
    raise EvaluationError("the optional has no value")


_LOWER, _UPPER = str.maketrans(ascii_uppercase, ascii_lowercase), str.maketrans(ascii_lowercase, ascii_uppercase)
FUNCTIONS: Mapping[str, Function] = {
    "size": Function(_size),
    "int": Function(_int),
    "uint": Function(_int),
    "double": Function(_double),
    "string": Function(_string),
    "bool": Function(_bool),
    "optional.of": Function(_of),
    "optional.none": Function(_none, 0, 0),
}
METHODS: Mapping[str, Function] = {
    "size": Function(_size),
    "startsWith": _on_texts(str.startswith, 1),
    "endsWith": _on_texts(str.endswith, 1),
    "contains": _on_texts(str.__contains__, 1),
    "lowerAscii": _on_texts(lambda text: text.translate(_LOWER)),
    "upperAscii": _on_texts(lambda text: text.translate(_UPPER)),
    "trim": _on_texts(str.strip),
    "split": Function(_split, 2, 2),
    "join": Function(_join, 1, 2),
    "indexOf": Function(_index_of, 2, 2),
    "sum": Function(_sum),
    "min": _extreme(-1),
    "max": _extreme(1),
    "orValue": Function(_or_value, 2, 2),
    "or": Function(_or, 2, 2),
    "hasValue": Function(_has_value),
    "value": Function(_value),
}
