"""Make a JSON Schema of what a CustomResourceDefinition says about a version of its kind.

It says about fields what the API server does with them: a field that the definition does not know is dropped there, and
refused in a strict request, unless the definition keeps unknown fields. https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.core.objects import Manifest

Schema = dict[str, Any]

_VALUES = ("enum", "maximum", "minimum", "maxLength", "minLength", "pattern", "maxItems", "minItems", "maxProperties")
_KEPT = (*_VALUES, "minProperties", "multipleOf", "uniqueItems")
_JUNCTORS = ("allOf", "anyOf", "oneOf")
_NUMBERS = {"int32": (-(2**31), 2**31 - 1), "int64": (-(2**63), 2**63 - 1)}
_OBJECT = ("apiVersion", "kind", "metadata")


@dataclass(frozen=True, slots=True)
class Custom:
    """A kind that a definition makes."""

    versions: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """As they are written, by name."""

    @property
    def served(self) -> frozenset[str]:
        """Return the versions that the API server serves."""
        return frozenset(name for name, written in self.versions.items() if written.get("served"))

    def schema(self, version: str) -> Schema | None:
        """Return the schema of a version; None: the definition says nothing about its fields."""
        written = self.versions.get(version, {}).get("schema")
        root = written.get("openAPIV3Schema") if isinstance(written, dict) else None
        if not isinstance(root, dict):
            return None
        found = _fields(root)
        # Status never is in a bundle, and what every object has is checked by the rules for all objects.
        found["properties"] = {**found.get("properties", {}), **{name: {} for name in (*_OBJECT, "status")}}
        if "required" in found:
            found["required"] = [name for name in found["required"] if name not in {*_OBJECT, "status"}]
        return found


def customs(manifests: Iterable[Manifest]) -> dict[tuple[str, str], Custom]:
    """Return the kinds that the definitions among `manifests` make, by group and kind."""
    found: dict[tuple[str, str], Custom] = {}
    for each in manifests:
        spec = each.get("spec")
        if each.get("kind") != "CustomResourceDefinition" or not isinstance(spec, dict):
            continue
        names = spec.get("names")
        kind = names.get("kind") if isinstance(names, dict) else None
        if isinstance(kind, str) and isinstance(spec.get("group"), str):
            versions = (one for one in _list(spec.get("versions")) if isinstance(one, dict))
            found[spec["group"], kind] = Custom({str(one.get("name")): one for one in versions})
    return found


def _fields(written: Any) -> Schema:
    """Return the schema of a field, and of all within it."""
    if not isinstance(written, dict):
        return {}
    found = _limits(written)
    kind = written.get("type")
    if written.get("x-kubernetes-int-or-string"):
        found["type"] = ["integer", "string"]
    elif isinstance(kind, str):
        found["type"] = [kind, "null"] if written.get("nullable") else kind
    if isinstance(properties := written.get("properties"), dict):
        found["properties"] = {name: _fields(member) for name, member in properties.items()}
    if "items" in written:
        found["items"] = _fields(written["items"])
    if required := _required(written):
        found["required"] = required
    if kind == "object":
        _close(found, written)
    return found


def _close(found: Schema, written: Mapping[str, Any]) -> None:
    """Say which further fields an object may have."""
    others = written.get("additionalProperties")
    if isinstance(others, dict):
        found["additionalProperties"] = _fields(others)
    elif others is not True and not written.get("x-kubernetes-preserve-unknown-fields"):
        found["additionalProperties"] = False
    if written.get("x-kubernetes-embedded-resource"):
        found["properties"] = {**{name: {} for name in _OBJECT}, **found.get("properties", {})}


def _required(written: Mapping[str, Any]) -> list[str]:
    """Return the names of fields that must be there; those with a default get it before anything is checked."""
    properties = written.get("properties")
    known = properties if isinstance(properties, dict) else {}
    names = (name for name in _list(written.get("required")) if isinstance(name, str))
    return [name for name in names if not (isinstance(known.get(name), dict) and "default" in known[name])]


def _limits(written: Mapping[str, Any]) -> Schema:
    """Return what is said about a value, in the form of JSON Schema's present dialect."""
    found: Schema = {name: written[name] for name in _KEPT if name in written}
    low, high = _NUMBERS.get(str(written.get("format")), (None, None))
    if low is not None and written.get("type") == "integer":
        found = {"minimum": low, "maximum": high, **found}
    for name, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if written.get(name) is True and bound in found:
            found[name] = found.pop(bound)
    for name in _JUNCTORS:
        if isinstance(members := written.get(name), list):
            found[name] = [_junctor(each) for each in members]
    if isinstance(written.get("not"), dict):
        found["not"] = _junctor(written["not"])
    return found


def _junctor(written: Any) -> Schema:
    """Return a schema that only narrows what others allow: it knows no unknown fields."""
    if not isinstance(written, dict):
        return {}
    found = _limits(written)
    if isinstance(kind := written.get("type"), str):
        found["type"] = kind
    if isinstance(properties := written.get("properties"), dict):
        found["properties"] = {name: _junctor(member) for name, member in properties.items()}
    for name in ("items", "additionalProperties"):
        if isinstance(written.get(name), dict):
            found[name] = _junctor(written[name])
    if isinstance(required := written.get("required"), list):
        found["required"] = required
    return found


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
