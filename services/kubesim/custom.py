"""Check custom resources against the schema of their definition, and word the refusals as the server does."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import orjson

from services.kubesim.answers import Cause

Schema = Mapping[str, Any]
TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
}
NAMES = {dict: "object", list: "array", str: "string", bool: "boolean", int: "integer", float: "number"}


# After these the server does not try a definition's own rules.
BLOCKING = frozenset(
    {"FieldValueRequired", "FieldValueTypeInvalid", "FieldValueNotSupported", "FieldValueTooLong", "FieldValueTooMany"}
)
UNCHECKED = Cause(
    "FieldValueInvalid",
    "Invalid value: null: some validation rules were not checked because the object was invalid; "
    "correct the existing errors to complete validation",
    "<nil>",
)


def causes_of(schema: Schema, value: Any) -> list[Cause]:
    """Return everything in `value` that the schema does not allow, and that its rules were not tried for it."""
    found = list(schema_causes(schema, value))
    unchecked = any(cause.reason in BLOCKING for cause in found) and b'"x-kubernetes-validations"' in orjson.dumps(
        schema
    )
    return [*found, UNCHECKED] if unchecked else found


def schema_causes(schema: Schema, value: Any, at: str = "") -> Iterator[Cause]:
    """Yield everything in `value` that the schema of a definition does not allow."""
    if schema.get("x-kubernetes-int-or-string"):
        return
    wanted = schema.get("type")
    if wanted in TYPES and not _is(value, wanted):
        if not (value is None and schema.get("nullable")):
            found = "null" if value is None else NAMES[type(value)]
            text = f'Invalid value: "{found}": {at} in body must be of type {wanted}: "{found}"'
            yield Cause("FieldValueTypeInvalid", text, at)
        return
    for keyword, (reason, broken) in RULES.items():
        if keyword in schema and broken(value, schema[keyword]):
            yield Cause(reason, _text(keyword, value, schema[keyword], at), at)
    if isinstance(value, dict):
        yield from _inside_object(schema, value, at)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from schema_causes(schema.get("items") or {}, item, f"{at}[{number}]")


def _is(value: Any, wanted: str) -> bool:
    if isinstance(value, bool):
        return wanted == "boolean"
    return isinstance(value, TYPES[wanted])


def _inside_object(schema: Schema, value: Mapping[str, Any], at: str) -> Iterator[Cause]:
    prefix = f"{at}." if at else ""
    for name in schema.get("required") or ():
        if name not in value:
            yield Cause("FieldValueRequired", "Required value", f"{prefix}{name}")
    properties = schema.get("properties") or {}
    extra = schema.get("additionalProperties")
    for name, inner in value.items():
        part = properties.get(name, extra if isinstance(extra, Mapping) else None)
        if part is not None and not (at == "" and name == "metadata"):
            yield from schema_causes(part, inner, f"{prefix}{name}")


def _text(keyword: str, value: Any, limit: Any, at: str) -> str:
    shown = orjson.dumps(value).decode()
    match keyword:
        case "enum":
            allowed = ", ".join(orjson.dumps(one).decode() for one in limit)
            return f"Unsupported value: {shown}: supported values: {allowed}"
        case "pattern":
            return f"Invalid value: {shown}: {at} in body should match '{limit}'"
        case "minimum":
            return f"Invalid value: {shown}: {at} in body should be greater than or equal to {limit}"
        case "maximum":
            return f"Invalid value: {shown}: {at} in body should be less than or equal to {limit}"
        case "minLength" | "minItems":
            return f"Invalid value: {shown}: {at} in body should be at least {limit} long"
        case _:
            return f"Too long: may not be more than {limit} long"


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


RULES: dict[str, tuple[str, Callable[[Any, Any], bool]]] = {
    "enum": ("FieldValueNotSupported", lambda value, allowed: value not in allowed),
    "pattern": ("FieldValueInvalid", lambda value, text: isinstance(value, str) and not re.search(text, value)),
    "minimum": ("FieldValueInvalid", lambda value, limit: _is_number(value) and value < limit),
    "maximum": ("FieldValueInvalid", lambda value, limit: _is_number(value) and value > limit),
    "minLength": ("FieldValueInvalid", lambda value, limit: isinstance(value, str) and len(value) < limit),
    "maxLength": ("FieldValueTooLong", lambda value, limit: isinstance(value, str) and len(value) > limit),
    "minItems": ("FieldValueInvalid", lambda value, limit: isinstance(value, list) and len(value) < limit),
    "maxItems": ("FieldValueTooMany", lambda value, limit: isinstance(value, list) and len(value) > limit),
}
