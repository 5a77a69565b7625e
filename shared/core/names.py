"""Names of clusters, apps and sources: one token of a subject, one label value, one file name."""

from __future__ import annotations

import re

PATTERN = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
# Each is a place of its own on the bus or in the command's output.
RESERVED = frozenset({"hub", "shared", "local", "towline"})

_NAME = re.compile(PATTERN)


def name_problem(name: str) -> str:
    """Return why `name` cannot be used, or an empty string."""
    if name in RESERVED:
        return f"the name {name!r} is reserved"
    if not _NAME.fullmatch(name):
        return f"the name {name!r} must match {PATTERN}: small letters, digits and inner dashes, 63 at most"
    return ""
