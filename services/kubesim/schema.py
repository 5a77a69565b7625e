"""Read the compact notation of `schemas` (and CRD schemas) into shapes that merging walks along.

A shape knows what server-side apply must: which lists merge by key, which are sets, what is replaced as a whole,
which fields exist at all, and what the server fills in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import orjson

Form = Literal["any", "leaf", "struct", "map", "list", "set", "keyed"]
NOTHING: Any = object()


@dataclass(slots=True)
class Shape:
    """The type of one value; built once and shared, never changed afterwards."""

    form: Form
    leaf: str = ""
    fields: dict[str, Shape] = field(default_factory=dict)
    item: Shape | None = None
    keys: tuple[str, ...] = ()
    atomic: bool = False
    open: bool = False
    default: Any = NOTHING
    nullable: bool = False

    def child(self, name: str) -> Shape:
        """Return the shape of a mapping's value under `name`; unknown names are `ANY`."""
        if self.form == "map":
            return self.item or ANY
        return self.fields.get(name, ANY)

    def knows(self, name: str) -> bool:
        """Tell whether a mapping may have the field `name`."""
        return self.form in {"map", "any"} or self.open or name in self.fields

    @property
    def element(self) -> Shape:
        """Return the shape of a list's items."""
        return self.item or ANY

    def key_defaults(self) -> dict[str, Any]:
        """Return the values that missing keys of a keyed list's items stand for."""
        pairs = ((key, self.element.child(key).default) for key in self.keys)
        return {key: value for key, value in pairs if value is not NOTHING}


ANY = Shape("any")
LEAVES = {"s": "string", "i": "integer", "b": "boolean", "n": "number", "q": "quantity", "x": "either", "y": "bytes"}


BRACKETS: dict[str, Form] = {"{": "map", "<": "set", "[": "list"}


class Types:
    """Named shapes of one notation text: `Name: field:type field:type=default ...`, a type a line.

    Types are `s i b n q x y` (string, integer, boolean, number, quantity, int-or-string, base64), `any`, a name,
    `{T}` map, `[T]` atomic list, `<T>` set, `[a,b|T]` list keyed by a and b; `!` before a type makes it atomic,
    a name before the colon ending in `...` leaves the type open for unknown fields.
    """

    def __init__(self, text: str) -> None:
        self._lines: dict[str, tuple[str, bool]] = {}
        self._made: dict[str, Shape] = {}
        for line in text.strip().splitlines():
            name, _, rest = line.partition(": ")
            self._lines[name.removesuffix("...")] = (rest, name.endswith("..."))

    def __contains__(self, name: object) -> bool:
        return name in self._lines

    def shape(self, name: str) -> Shape:
        """Return the struct called `name`; types may contain themselves."""
        if name not in self._made:
            rest, is_open = self._lines[name]
            shape = self._made[name] = Shape("struct", open=is_open)
            for part in rest.split():
                title, _, notation = part.partition(":")
                notation, has_default, default = notation.partition("=")
                shape.fields[title] = self._parse(notation, orjson.loads(default) if has_default else NOTHING)
        return self._made[name]

    def _parse(self, notation: str, default: Any = NOTHING) -> Shape:
        if notation.startswith("!"):
            return replace(self._parse(notation[1:]), atomic=True, default=default)
        if notation in LEAVES:
            return Shape("leaf", LEAVES[notation], default=default)
        if notation == "any":
            return ANY
        if notation[0] in BRACKETS:
            keys, bar, item = notation[1:-1].rpartition("|")
            form: Form = "keyed" if bar else BRACKETS[notation[0]]
            return Shape(form, item=self._parse(item), keys=tuple(keys.split(",")) if bar else ())
        # The copy shares the fields, which a recursive type may still be filling.
        return self.shape(notation) if default is NOTHING else replace(self.shape(notation), default=default)


def from_openapi(schema: Mapping[str, Any]) -> Shape:
    """Return the shape of a CRD's `openAPIV3Schema` (structural)."""
    preserved = bool(schema.get("x-kubernetes-preserve-unknown-fields"))
    default = schema.get("default", NOTHING)
    nullable = bool(schema.get("nullable"))
    if schema.get("x-kubernetes-int-or-string"):
        return Shape("leaf", "either", default=default, nullable=nullable)
    match schema.get("type"):
        case "object":
            return _object_shape(schema, preserved=preserved, default=default)
        case "array":
            return _list_shape(schema, default=default)
        case "string" | "integer" | "boolean" | "number" as leaf:
            return Shape("leaf", str(leaf), default=default, nullable=nullable)
        case _:
            return ANY


def _object_shape(schema: Mapping[str, Any], *, preserved: bool, default: Any) -> Shape:
    atomic = schema.get("x-kubernetes-map-type") == "atomic"
    extra = schema.get("additionalProperties")
    properties = schema.get("properties") or {}
    if isinstance(extra, Mapping) and not properties:
        return Shape("map", item=from_openapi(extra), atomic=atomic, default=default)
    fields = {name: from_openapi(inner) for name, inner in properties.items()}
    embedded = bool(schema.get("x-kubernetes-embedded-resource"))
    loose = preserved or extra is True or embedded
    return Shape("struct", fields=fields, atomic=atomic, open=loose, default=default)


def _list_shape(schema: Mapping[str, Any], *, default: Any) -> Shape:
    item = from_openapi(schema.get("items") or {})
    match schema.get("x-kubernetes-list-type"):
        case "map":
            keys = tuple(schema.get("x-kubernetes-list-map-keys") or ())
            return Shape("keyed", item=item, keys=keys, default=default)
        case "set":
            return Shape("set", item=item, default=default)
        case _:
            return Shape("list", item=item, default=default)
