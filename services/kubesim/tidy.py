"""Bring an object into the form in which the server stores it: nulls and empties gone, defaults in, quantities short."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from services.kubesim.schema import NOTHING, Shape

BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
QUANTITY = re.compile(r"^([+-]?[0-9.]+)(Ki|Mi|Gi|Ti|Pi|Ei|n|u|m|k|M|G|T|P|E)?$")
EMPTY: dict[str, Any] = {"string": "", "bytes": "", "quantity": "0"}


def quantity(text: Any) -> str:
    """Return a quantity in the shortest form of its own unit family, as the server stores it."""
    match = QUANTITY.match(str(text))
    if match is None:
        return str(text)
    try:
        number = Decimal(match[1])
    except InvalidOperation:
        return str(text)
    unit = match[2] or ""
    if unit in BINARY:
        return _binary(number * 1024 ** BINARY[unit])
    return _decimal(number.scaleb(DECIMAL[unit]))


def _binary(value: Decimal) -> str:
    for unit in reversed(BINARY):
        size = 1024 ** BINARY[unit]
        if value and value % size == 0:
            return f"{int(value // size)}{unit}"
    return f"{int(value)}" if value == int(value) else f"{int(value * 1000)}m"


def _decimal(value: Decimal) -> str:
    for unit, power in reversed(DECIMAL.items()):
        scaled = value.scaleb(-power)
        if value and scaled == scaled.to_integral_value():
            return f"{int(scaled)}{unit}"
    return "0"


def tidied(shape: Shape, value: Any) -> Any:
    """Return `value` of a built-in kind as the server's types would write it again, without defaults."""
    if isinstance(value, Mapping) and shape.form in {"struct", "map", "any"}:
        return _tidied_mapping(shape, value)
    if isinstance(value, list):
        return [tidied(shape.element, item) for item in value]
    if value is None and shape.form == "leaf":
        return EMPTY.get(shape.leaf)
    return quantity(value) if shape.leaf == "quantity" else value


def _tidied_mapping(shape: Shape, value: Mapping[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name, inner in value.items():
        inner_shape = shape.child(name)
        if inner is None and shape.form != "map":
            continue
        tidy = tidied(inner_shape, inner)
        omitted = inner_shape.form in {"map", "list", "set", "keyed"} and not tidy
        if not omitted and tidy is not None:
            result[name] = tidy
    return result


def defaulted(shape: Shape, value: Any) -> Any:
    """Return `value` with the defaults of its shape, walking only along what is there."""
    if isinstance(value, Mapping) and shape.form in {"struct", "map"}:
        result = {name: defaulted(shape.child(name), inner) for name, inner in value.items()}
        for name, inner_shape in shape.fields.items():
            if inner_shape.default is not NOTHING and result.get(name) is None:
                result[name] = defaulted(inner_shape, inner_shape.default)
        return result
    if isinstance(value, list) and shape.item is not None:
        return [defaulted(shape.element, item) for item in value]
    return value


def pruned(shape: Shape, value: Any) -> Any:
    """Return `value` without fields that the schema does not know."""
    if isinstance(value, Mapping) and shape.form in {"struct", "map"}:
        return {name: pruned(shape.child(name), inner) for name, inner in value.items() if shape.knows(name)}
    if isinstance(value, list):
        return [pruned(shape.element, item) for item in value]
    return value
