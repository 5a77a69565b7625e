"""Read durations as people write them."""

from __future__ import annotations

import re
from typing import Any

_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_NUMBER = r"[0-9]+(?:\.[0-9]+)?"
_DURATION = re.compile("".join(rf"(?:(?P<{unit}>{_NUMBER}){unit})?" for unit in _UNITS))


def seconds(value: Any) -> float:
    """Return the seconds of a duration like `90s`, `5m`, `1h30m`, or of a number.

    Raises:
        ValueError: it has another form.
    """
    if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0:
        return float(value)
    match = _DURATION.fullmatch(str(value))
    if not match or not match.group(0):
        raise ValueError(value)
    parts = match.groupdict()
    return sum(float(parts[unit] or 0) * scale for unit, scale in _UNITS.items())
