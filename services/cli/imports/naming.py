"""Make names for apps and clusters of what other tools allow as names."""

from __future__ import annotations

import re
from collections.abc import Container

from shared.core.names import name_problem

_LONGEST = 63


def usable(name: str) -> str:
    """Return a name as apps, clusters and projects may have it."""
    found = re.sub(r"[^a-z0-9-]+", "-", name.lower()).strip("-")[:_LONGEST].strip("-") or "app"
    return f"app-{found}"[:_LONGEST] if name_problem(found) else found


def free(name: str, taken: Container[str]) -> str:
    """Return a name as `usable` does, with a number behind it where it is taken already."""
    found = own = usable(name)
    count = 2
    while found in taken:
        ending = f"-{count}"
        found, count = usable(own[: _LONGEST - len(ending)] + ending), count + 1
    return found
