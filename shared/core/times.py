"""Write moments as all messages have them."""

from __future__ import annotations

from datetime import UTC, datetime


def time_text(moment: datetime) -> str:
    """Return an aware `moment` as RFC 3339 in UTC with milliseconds and `Z`: such texts sort as their moments do."""
    moment = moment.astimezone(UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
