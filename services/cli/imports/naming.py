"""Make names for apps and clusters of what other tools allow as names."""

from __future__ import annotations

import re

from shared.core.names import name_problem

_LONGEST = 63


def usable(name: str) -> str:
    """Return a name as apps, clusters and projects may have it."""
    found = re.sub(r"[^a-z0-9-]+", "-", name.lower()).strip("-")[:_LONGEST].strip("-") or "app"
    return f"app-{found}"[:_LONGEST] if name_problem(found) else found
