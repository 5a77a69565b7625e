"""Write moments as all messages have them."""

from __future__ import annotations

from datetime import datetime


def time_text(moment: datetime) -> str:
    """Return RFC 3339 in UTC with milliseconds and `Z`; `moment` must be in UTC."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
