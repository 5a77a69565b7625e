"""Make ConfigMaps and Secrets of literals and files, and put a hash of their content behind their names."""

from __future__ import annotations

import hashlib
import posixpath
import re
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from services.renderer.kustomize.kustomization import Generator
from services.renderer.kustomize.outside import need, outside, plain
from services.renderer.kustomize.resources import Resource, the_one
from shared.core.canonical import encode

Read = Callable[[str], bytes]
"""Returns the content of a file that a kustomization names."""

_KEY = re.compile(r"[A-Za-z][-._a-zA-Z0-9]{0,250}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Other text may come back changed from the YAML into which Kustomize puts it before it takes the hash.
_SAFE = re.compile(
    r"(?:[^\s\x00-\x1f\x7f-\xa0\u2028\u2029\ufeff\ufffe\uffff][^\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]*)?"
)
_LINE = 70
_LETTERS = str.maketrans("013ae", "ghkmt")
_ESCAPES = {b"<": b"\\u003c", b">": b"\\u003e", b"&": b"\\u0026"}


def absorbed(resources: Sequence[Resource], generator: Generator, read: Read) -> list[Resource]:
    """Return the resources with what `generator` makes: added, or in the place of what was there."""
    made = _made(generator, read)
    if not any(each.api_version == "v1" and each.was(made.id) for each in resources):
        need(generator.behavior == "create", "nothing to merge with")
        return [*resources, made]
    need(generator.behavior != "create", "an object of that name is there")
    found = list(resources)
    index = the_one(found, "v1", made.id)
    found[index] = _in_place_of(found[index], made, merge=generator.behavior == "merge")
    return found


def _made(generator: Generator, read: Read) -> Resource:
    listed = list(_pairs(generator, read))
    pairs = dict(listed)
    need(len(listed) == len(pairs), "a key that stands twice")
    need(all(_KEY.fullmatch(plain(key)) for key in pairs), "such a key")
    options = generator.options
    metadata: dict[str, Any] = {"name": generator.name}
    if generator.namespace:
        metadata["namespace"] = generator.namespace
    metadata |= {"labels": dict(options.labels)} if options.labels else {}
    metadata |= {"annotations": dict(options.annotations)} if options.annotations else {}
    value: dict[str, Any] = {"apiVersion": "v1", "kind": generator.kind, "metadata": metadata}
    if generator.kind == "Secret":
        value |= {"type": plain(generator.type), "data": {key: _encoded(content) for key, content in pairs.items()}}
    elif pairs:
        value["data"] = {key: _text(content) for key, content in pairs.items()}
    if options.immutable:
        value["immutable"] = True
    return Resource(value, generated=True, hashed=not options.plain_name)


def _pairs(generator: Generator, read: Read) -> Iterator[tuple[str, bytes]]:
    """Yield keys and contents; what stands twice is an error."""
    for path in generator.envs:
        yield from _of_lines(read(path))
    for literal in generator.literals:
        key, equals, text = literal.partition("=")
        need(equals, "such a literal")
        quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "\"'"
        yield key, (text[1:-1] if quoted else text).encode()
    for source in generator.files:
        key, equals, path = source.partition("=")
        need("=" not in path, "such a file")
        key, path = (key, path) if equals else (posixpath.basename(source), source)
        need(path, "such a file")
        yield key, read(path)


def _of_lines(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield what stands in a file of variables."""
    for line in _text(content.lstrip()).split("\n"):
        need(len(line) < 60_000, "a long line")
        stripped = line.lstrip()
        if stripped and not stripped.startswith("#"):
            key, _, text = stripped.partition("=")
            need(_VARIABLE.fullmatch(key), "such a variable")
            yield key, text.encode()


def _text(content: bytes) -> str:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        outside("binary data")
    need(_SAFE.fullmatch(text), "text that YAML may change")
    return text


def _encoded(content: bytes) -> str:
    """Return base64 as Kustomize writes it: in lines, where it does not fit into one."""
    text = b64encode(content).decode()
    if len(text) < _LINE:
        return text
    return "".join(f"{text[start : start + _LINE]}\n" for start in range(0, len(text), _LINE))


def _in_place_of(old: Resource, made: Resource, *, merge: bool) -> Resource:
    """Return what was made under the name of what was there, with its metadata, and with its data too where they merge."""
    metadata = dict(made.metadata) | {"name": old.name}
    if old.namespace:
        metadata["namespace"] = old.namespace
    else:
        metadata.pop("namespace", None)
    for field in ("labels", "annotations"):
        both = {**old.metadata.get(field, {}), **made.metadata.get(field, {})}
        if both:
            metadata[field] = both
    value = {**made.value, "metadata": metadata}
    if merge:
        need("binaryData" not in old.value, "binary data")
        value = _with_data(value, {**_data(old.value), **_data(made.value)})
    return old._replace(value=value, hashed=old.hashed and made.hashed)


def _with_data(value: Mapping[str, Any], data: Mapping[str, str]) -> dict[str, Any]:
    rest = {name: member for name, member in value.items() if name != "data"}
    return {**rest, "data": dict(data)} if data else rest


def _data(value: Mapping[str, Any]) -> Mapping[str, str]:
    data = value.get("data", {})
    need(isinstance(data, dict), "data that are no mapping")
    for key, text in data.items():
        plain(key)
        need(isinstance(text, str), "data that are no text")
    found: Mapping[str, str] = data
    return found


def hashed(resource: Resource) -> Resource:
    """Return a resource whose name has the hash of its content, if it wants one."""
    if not resource.hashed:
        return resource
    value = resource.value
    # Kustomize leaves the name empty: it looks for it in the wrong place.
    seen: dict[str, Any] = {
        "kind": resource.kind,
        "name": "",
        "data": _data(value) or value.get("data", ""),
    }
    if resource.kind == "Secret":
        seen["type"] = plain(value.get("type"))
        need("stringData" not in value, "stringData of a generated Secret")
    need("binaryData" not in value, "binary data")
    content = encode(seen)
    for character, escape in _ESCAPES.items():
        content = content.replace(character, escape)
    end = hashlib.sha256(content).hexdigest()[:10].translate(_LETTERS)
    return resource.renamed(name=f"{resource.name}-{end}")
