"""Canonical JSON: equal values are equal bytes on every machine.

Sorted keys, no white space, UTF-8. The digest of something is the sha256 of its canonical bytes.
"""

from __future__ import annotations

import hashlib
from typing import Any

import orjson

from shared.errors import PermanentError


class NotJSONError(PermanentError):
    """Bytes are not JSON, or a value has no JSON form."""

    code = "json.invalid"


def encode(value: Any) -> bytes:
    """Return the canonical bytes of `value`.

    Raises:
        NotJSONError: it holds something that JSON has no form for, an integer beyond 64 bits included.
    """
    try:
        return compact(orjson.dumps(value, option=orjson.OPT_SORT_KEYS))
    except orjson.JSONEncodeError as error:
        raise NotJSONError(f"cannot be written as JSON: {error}") from error


def compact(data: bytes) -> bytes:
    """Return equal bytes without the room in which orjson let them grow: 4 KiB at least, for ever [orjson 3.13]."""
    return bytes(memoryview(data))


def decode(data: bytes) -> Any:
    """Return the value of JSON bytes.

    Raises:
        NotJSONError: they are not JSON.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise NotJSONError(f"is not JSON: {error}") from error


def digest(data: bytes) -> str:
    """Return the sha256 of `data` in hex."""
    return hashlib.sha256(data).hexdigest()
