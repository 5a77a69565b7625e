"""Fill in the parameters of an ApplicationSet, in both of its dialects, as far as they only name what to put there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_EXPRESSION = re.compile(r"\{\{-?\s*(.*?)\s*-?\}\}", re.DOTALL)
_STEP = re.compile(r'"([^"]*)"|\[(\d+)\]|([A-Za-z0-9_/-]+)')
_PATH = re.compile(r"\.?[A-Za-z_][\w./-]*(\[\d+\][\w.]*)*")
_INDEX = re.compile(r'index\s+(\.[\w.]*)((\s+("[^"]*"|\d+))+)')


class NotFilledError(ValueError):
    """A template says more than the name of a parameter, or names one that is not there."""


def filled(value: Any, parameters: Mapping[str, Any]) -> Any:
    """Return a template with its parameters put in.

    Raises:
        NotFilledError: it calls functions, branches, or names what is not there.
    """
    if isinstance(value, str):
        return _EXPRESSION.sub(lambda found: _text(_value(found[1], parameters)), value)
    if isinstance(value, Mapping):
        return {filled(key, parameters): filled(each, parameters) for key, each in value.items()}
    return [filled(each, parameters) for each in value] if isinstance(value, list) else value


def _value(expression: str, parameters: Mapping[str, Any]) -> Any:
    if expression in parameters:
        return parameters[expression]
    steps = _steps(expression)
    found: Any = parameters
    for index, step in enumerate(steps):
        rest = ".".join(steps[index:])
        if isinstance(found, Mapping) and rest in found:
            return found[rest]
        try:
            found = found[int(step)] if isinstance(found, list) else found[step]
        except (LookupError, TypeError, ValueError) as error:
            raise NotFilledError(f"{{{{{expression}}}}} names no parameter that is known") from error
    return found


def _steps(expression: str) -> list[str]:
    """Return the path that an expression is: `.path.basename`, `path[1]`, `index .metadata.labels "env"`."""
    if index := _INDEX.fullmatch(expression):
        keys = [a or b for a, b in re.findall(r'"([^"]*)"|(\d+)', index[2])]
        return [*(each for each in index[1].split(".") if each), *keys]
    if not _PATH.fullmatch(expression):
        raise NotFilledError(f"{{{{{expression}}}}} is more than the name of a parameter")
    return [a or b or c for a, b, c in _STEP.findall(expression.replace(".", " "))]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping) and "path" in value:
        # What is a mapping in the new dialect is a text in the old one.
        return str(value["path"])
    if isinstance(value, Mapping | list) or value is None:
        raise NotFilledError("a parameter that is no text stands inside of one")
    return str(value)
