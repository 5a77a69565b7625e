"""Know how far this machine's clock is from the API server's: every answer says what time it is there (N6).

What has an end in wall-clock time is judged by the server's; everything else here counts monotonic seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

NOTICED_S = 30.0
YOUNG_S = 60.0
"""What is younger by our reckoning may be new: the clocks may differ by so much unnoticed (N6)."""


@dataclass(slots=True)
class ServerClock:
    """The API server's time, as far as it is known."""

    offset_s: float = 0.0
    """So much the server is ahead of this machine; 0 while the difference may come from answers that took long."""
    _heard: str = ""

    def hear(self, date: str, now: datetime) -> None:
        """Take the `Date` of an answer that came `now`; it has whole seconds."""
        if date == self._heard:
            return
        self._heard = date
        try:
            offset_s = (parsedate_to_datetime(date) - now).total_seconds()
        except (ValueError, TypeError):
            return
        self.offset_s = offset_s if abs(offset_s) > NOTICED_S else 0.0

    def now(self) -> datetime:
        """Return the present time by the server's clock."""
        return datetime.now(UTC) + timedelta(seconds=self.offset_s)

    def age_s(self, stamp: str) -> float:
        """Return how long ago something was, by the server's own stamp of it; 0 for what may be new."""
        try:
            age_s = (self.now() - datetime.fromisoformat(stamp)).total_seconds()
        except ValueError:
            return 0.0
        return age_s if age_s > YOUNG_S else 0.0

    def warning(self) -> str:
        """Return what to tell people about the difference, empty when there is none worth it."""
        if not self.offset_s:
            return ""
        minutes, way = abs(self.offset_s) / 60, "behind" if self.offset_s > 0 else "ahead of"
        return f"this machine's clock is {minutes:.0f} minutes {way} the API server's: set one of them right"
