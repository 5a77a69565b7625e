"""Say what no cluster would store: too large as a whole, in its data or in its annotations (A10), or still encrypted (P5).

Found before anything is written; an API server would say so in the middle of a run, or store what nobody can read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.applier.lists import is_builtin
from shared.core.objects import Manifest, ObjectKey

OBJECT_LIMIT_BYTES = 1_400_000
"""etcd takes 1.5 MiB, with what the server adds."""
DATA_LIMIT_BYTES = 1 << 20
ANNOTATIONS_LIMIT_BYTES = 256 << 10
LEAF_BYTES = 8
"""What managedFields need for a field besides its name: `"f:":{},` and the like."""
SMALL_BYTES = 64 << 10
"""What is sent in fewer bytes stays below every limit: escaped six times as long, and managedFields are no longer than that."""
_WITH_DATA = frozenset({("", "ConfigMap"), ("", "Secret")})
# Custom resources are stored as JSON in which each of these takes six bytes.
_ESCAPED = (b"<", b">", b"&")


def size_trouble(key: ObjectKey, manifest: Manifest, body: bytes) -> str:
    """Return why an object is too large to be stored, or empty; `body` is what would be sent of it."""
    if len(body) <= SMALL_BYTES:
        return ""
    stored = len(body) + _ownership_bytes(manifest)
    if not is_builtin(str(manifest.get("apiVersion") or "")):
        stored += 5 * sum(body.count(each) for each in _ESCAPED)
    notes = _text_bytes((manifest.get("metadata") or {}).get("annotations"))
    data = 0
    if (key.group, key.kind) in _WITH_DATA:
        data = _value_bytes(manifest.get("data"), encoded=key.kind == "Secret")
        data += _value_bytes(manifest.get("binaryData"), encoded=True)
    for what, size, limit in (
        ("bytes as it is stored", stored, OBJECT_LIMIT_BYTES),
        ("bytes of data", data, DATA_LIMIT_BYTES),
        ("bytes of annotations", notes, ANNOTATIONS_LIMIT_BYTES),
    ):
        if size > limit:
            return f"has {size} {what}, the limit is {limit}"
    return ""


def is_encrypted(key: ObjectKey, manifest: Manifest) -> bool:
    """Tell whether SOPS encrypted an object: its own entry is in it, or the file in place of that (P5)."""
    sops = manifest.get("sops")
    if not isinstance(sops, Mapping):
        return False
    # Custom resources of other groups may hold such an entry for an operator in the cluster.
    return "text" in sops or ((key.group, key.kind) in _WITH_DATA and "mac" in sops)


def _ownership_bytes(value: Any) -> int:
    """Return about how many bytes managedFields take for what we would own of `value`."""
    if isinstance(value, Mapping):
        return sum(len(str(name)) + LEAF_BYTES + _ownership_bytes(member) for name, member in value.items())
    if isinstance(value, list):
        return sum(LEAF_BYTES + _ownership_bytes(item) for item in value if isinstance(item, Mapping))
    return 0


def _text_bytes(texts: Any) -> int:
    if not isinstance(texts, Mapping):
        return 0
    return sum(len(str(name).encode()) + len(str(text).encode()) for name, text in texts.items())


def _value_bytes(values: Any, *, encoded: bool) -> int:
    """Return the bytes of values, which base64 makes a third longer; their names do not count."""
    if not isinstance(values, Mapping):
        return 0
    return sum(len(str(text)) * 3 // 4 if encoded else len(str(text).encode()) for text in values.values())
