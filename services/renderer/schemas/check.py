"""Check objects against the schemas of their kinds: what an API server would refuse, before it is asked.

The rules that go beyond schemas stay the server's own. Nothing is said about kinds that nobody here knows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

import jsonschema_rs

from services.renderer.schemas.custom import Custom, customs
from services.renderer.schemas.kubernetes import BASE64, DIALECT, Kinds, kinds_of
from shared.core.canonical import decode, encode
from shared.core.objects import Manifest, group_of

COMPILED_KEPT = 200
MOST = 20
"""Of one object; who has more made the same mistake many times."""
Path = tuple[str | int, ...]
_METADATA = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
_TYPES = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "a whole number",
    "null": "null",
    "number": "a number",
    "object": "a mapping",
    "string": "a text",
}
# What objects themselves say about it: the first allows unknown fields, the second brings a part of what others make.
_LENIENCE: Mapping[str, Sequence[tuple[str, str]]] = {
    "schema.unknown-field": (("towline.dev/validate", "false"), ("argocd.argoproj.io/sync-options", "Validate=false")),
    "schema.missing-field": (("towline.dev/ssa", "merge"), ("kustomize.toolkit.fluxcd.io/ssa", "Merge")),
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing for which a server refuses an object."""

    code: str
    path: Path
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class _Rules:
    schema: Mapping[str, Any]
    validator: jsonschema_rs.Draft202012Validator


class Checker:
    """Checks objects for one version of Kubernetes, and for the kinds that some definitions make."""

    def __init__(self, version: str = "", definitions: Iterable[Manifest] = ()) -> None:
        self._kinds = kinds_of(version)
        self._customs = customs(definitions)

    def knows(self, manifest: Manifest) -> bool:
        """Tell whether anything is known of an object's kind."""
        name = (manifest["apiVersion"], manifest["kind"])
        own = (group_of(name[0]), name[1]) in self._customs or "." not in group_of(name[0])
        return own or bool(self._kinds.has(*name) or self._kinds.removed(*name) or self._kinds.since(*name))

    def problems(self, manifest: Manifest) -> list[Problem]:
        """Return what is wrong with an object in its bundle's form."""
        if "sops" in manifest:
            # What is encrypted has other values when it is applied.
            return []
        unserved = self._unserved(manifest["apiVersion"], manifest["kind"])
        if unserved is not None:
            return [unserved]
        rules = self._rules(manifest["apiVersion"], manifest["kind"])
        if rules is None:
            return []
        hidden = manifest["kind"] == "Secret"
        errors = rules.validator.iter_errors(manifest)
        found = (problem for error in errors for problem in _problems(error, rules.schema, hidden=hidden))
        allowed = [code for code, notes in _LENIENCE.items() if _is_noted(manifest, notes)]
        return sorted((each for each in found if each.code not in allowed), key=lambda each: str(each.path))[:MOST]

    def _unserved(self, api_version: str, kind: str) -> Problem | None:
        group, _, version = api_version.rpartition("/")
        custom = self._customs.get((group, kind))
        if custom is not None:
            return None if version in custom.served else _not_defined(custom, group, version, kind)
        kinds = self._kinds
        if kinds.has(api_version, kind):
            return None
        if removed := kinds.removed(api_version, kind):
            hint = f"write it as {removed.instead}" if removed.instead else "nothing replaces it: take it out"
            text = f"Kubernetes {removed.since} removed {kind} of {api_version}"
            return Problem("schema.removed-version", ("apiVersion",), text, hint)
        if since := kinds.since(api_version, kind):
            text = f"Kubernetes {kinds.version} has no {kind} of {api_version}, it comes with {since}"
            return Problem("schema.not-served", ("apiVersion",), text, "leave it out of this cluster, or update that")
        if (elsewhere := kinds.elsewhere(api_version, kind)) is not None:
            text = f"Kubernetes {kinds.version} has no {kind} of {api_version}"
            return Problem("schema.not-served", ("apiVersion",), text, f"it is in {elsewhere}" if elsewhere else "")
        return None

    def _rules(self, api_version: str, kind: str) -> _Rules | None:
        group, _, version = api_version.rpartition("/")
        custom = self._customs.get((group, kind))
        if custom is None:
            return _of_kubernetes(self._kinds, api_version, kind)
        own = custom.schema(version)
        return None if own is None else _of_definition(self._kinds, encode(own))


# Compiling takes a hundred times as long as checking an object, and the apps of a fleet have the same kinds.
@lru_cache(maxsize=COMPILED_KEPT)
def _of_kubernetes(kinds: Kinds, api_version: str, kind: str) -> _Rules | None:
    """Return the rules for one of Kubernetes' own kinds."""
    schema = kinds.schema(api_version, kind)
    return None if schema is None else _compiled(schema)


@lru_cache(maxsize=COMPILED_KEPT)
def _of_definition(kinds: Kinds, content: bytes) -> _Rules | None:
    """Return the rules of a version of a definition, whose schema is given as JSON."""
    own, whole = decode(content), kinds.defined(_METADATA)
    properties = {**own.get("properties", {}), "metadata": {"$ref": whole["$ref"]}}
    return _compiled({**own, "properties": properties, "$schema": DIALECT, "$defs": whole["$defs"]})


def _compiled(schema: dict[str, Any]) -> _Rules | None:
    # Patterns of definitions are other people's: this engine takes time in proportion to the text, whatever they say.
    options = jsonschema_rs.RegexOptions()
    for each in (schema, _without_patterns(schema)):
        try:
            return _Rules(each, jsonschema_rs.Draft202012Validator(each, pattern_options=options))
        except (ValueError, jsonschema_rs.ReferencingError):
            continue
    return None


def _without_patterns(schema: Any) -> Any:
    """Return a schema without the patterns of texts, for one that the engine cannot read."""
    if isinstance(schema, list):
        return [_without_patterns(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    kept = ((name, value) for name, value in schema.items() if not (name == "pattern" and isinstance(value, str)))
    return {name: _without_patterns(value) for name, value in kept}


def _not_defined(custom: Custom, group: str, version: str, kind: str) -> Problem:
    served = ", ".join(f"{group}/{each}" for each in sorted(custom.served)) or "none"
    text = f"the definition of {kind} does not serve {group}/{version}"
    return Problem("schema.not-served", ("apiVersion",), text, f"it serves {served}")


def _problems(error: jsonschema_rs.ValidationError, schema: Mapping[str, Any], *, hidden: bool) -> Iterator[Problem]:
    """Yield what an error says; not the value where that is a secret."""
    path = tuple(error.instance_path)
    kinds, kind = jsonschema_rs.ValidationErrorKind, error.kind
    match kind:
        case kinds.AdditionalProperties():
            for name in kind.unexpected:
                near = get_close_matches(name, _fields_beside(schema, error.schema_path), n=1, cutoff=0.7)
                hint = f"did you mean {near[0]!r}?" if near else ""
                yield _at((*path, name), "schema.unknown-field", "is not known", hint)
        case kinds.Required():
            yield _at((*path, kind.property), "schema.missing-field", "is missing")
        case kinds.Type():
            wanted = " or ".join(_TYPES[each] for each in kind.types if each != "null")
            hint = "put it in quotes" if kind.types[0] == "string" and _type_of(error.instance) in _SCALARS else ""
            text = f"must be {wanted}, not {_TYPES[_type_of(error.instance)]}"
            yield _at(path, "schema.bad-value", text, hint)
        case kinds.Enum():
            yield _at(path, "schema.bad-value", f"must be one of {', '.join(map(str, kind.options))}")
        case kinds.Pattern() if str(kind.pattern) == BASE64:
            yield _at(path, "schema.bad-value", "must be base64", "write it in `stringData` as it is")
        case _:
            text = "has a value that is not allowed" if hidden else error.message[:200]
            yield _at(path, "schema.bad-value", text)


def _at(path: Path, code: str, message: str, hint: str = "") -> Problem:
    place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")
    return Problem(code, path, f"{place or 'the object'} {message}", hint)


_SCALARS = frozenset({"boolean", "integer", "number"})


def _fields_beside(schema: Mapping[str, Any], path: Sequence[str | int]) -> list[str]:
    """Return the names of the fields that an object may have that has one too many."""
    place: Any = schema
    for step in path[:-1]:
        place = place[step]
    return list(place.get("properties", ()))


def _type_of(value: Any) -> str:
    names = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", type(None): "null"}
    return names.get(type(value), "object")


def _is_noted(manifest: Manifest, notes: Sequence[tuple[str, str]]) -> bool:
    """Tell whether an object carries one of these annotations; several values stand with commas between them."""
    found = manifest["metadata"].get("annotations") or {}
    return any(value in str(found.get(name, "")).replace(" ", "").split(",") for name, value in notes)
