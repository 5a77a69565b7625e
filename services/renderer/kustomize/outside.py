"""Where this builder's part of Kustomize ends."""

from __future__ import annotations

import re
from typing import Any, NoReturn

# Texts that stay strings when they are written as plain YAML, under every rule by which YAML is read.
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9._/-]*(?::[A-Za-z0-9._/-]+)*")
_RESERVED = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})


class OutsideError(Exception):
    """The kustomization needs something that only kubectl does, or is wrong."""


def outside(reason: str) -> NoReturn:
    """Leave it to kubectl."""
    raise OutsideError(reason)


def need(condition: object, reason: str) -> None:
    """Leave it to kubectl unless `condition` holds."""
    if not condition:
        raise OutsideError(reason)


def plain(value: Any) -> str:
    """Return `value` if it is a name that no reader of YAML takes for anything but a string."""
    if not isinstance(value, str) or not _PLAIN.fullmatch(value) or value.lower() in _RESERVED:
        raise OutsideError(f"{value!r} is no plain name")
    return value


def texts(value: Any) -> dict[str, str]:
    """Return `value` if it is a mapping of plain names to strings."""
    need(isinstance(value, dict), "not a mapping")
    for key, text in value.items():
        plain(key)
        need(isinstance(text, str), f"{key} is no string")
    return dict(value)
