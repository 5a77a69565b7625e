"""Bundles: all objects of one target, as bytes that depend on nothing else.

A bundle is lines of canonical JSON: a header `{"objects": <count>, "schema": 1}`, then one object a line, sorted by
(group, kind, namespace, name). A reader can take one object at a time and never hold the whole, and a bundle cut
short is noticed by its count.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from shared.core.canonical import decode, encode
from shared.core.objects import Manifest, key_of
from shared.errors import PermanentError

SCHEMA = 1


class BadBundleError(PermanentError):
    """Bytes are not a whole bundle of a known schema."""

    code = "bundle.invalid"


def bundle_bytes(objects: Iterable[Manifest]) -> bytes:
    """Return the canonical bytes of a bundle, in bundle order."""
    lines = [encode(manifest) for manifest in sorted(objects, key=key_of)]
    return b"\n".join([encode({"objects": len(lines), "schema": SCHEMA}), *lines, b""])


def objects_of(lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """Yield the objects of a bundle's lines, one at a time.

    Raises:
        BadBundleError: another schema, or fewer or more objects than the header says.
    """
    rest = iter(lines)
    header = decode(next(rest, b"null"))
    if not isinstance(header, dict) or header.get("schema") != SCHEMA:
        raise BadBundleError(f"bundle has schema {header!r}, this version reads {SCHEMA}")
    count = 0
    for line in rest:
        if line:
            count += 1
            yield decode(line)
    if count != header.get("objects"):
        raise BadBundleError(f"bundle holds {count} objects, its header promises {header.get('objects')}")
