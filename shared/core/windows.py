"""Tell whether changes may go out now, and when they may next: windows in the local time of a zone.

An instant is judged by what the clocks on the wall say: an hour that is skipped opens nothing, one that comes twice
counts twice. Several windows are several fences: all of them must be open.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

HORIZON_DAYS = 400
"""So far ahead the next opening is looked for where dates are named."""
WEEKS_DAYS = 15
"""And where not: what does not open in two weeks never does."""
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WHOLE_DAY = (0, 24 * 60)
_TIMES = re.compile(r"(\d{1,2}):(\d{2})-(\d{1,2}):(\d{2})")
_DATES = re.compile(r"(\d{4}-\d{2}-\d{2})(?:\.\.(\d{4}-\d{2}-\d{2}))?")
_FORM = 'it looks like "Mon-Fri 09:00-16:00", "Sat,Sun", "22:00-06:00" or "2026-12-20..2027-01-03"'


@dataclass(frozen=True, slots=True)
class Span:
    """Minutes of some days; one that ends before it starts goes on into the next day."""

    days: frozenset[int]
    start: int
    end: int
    dates: tuple[date, date] | None = None

    def holds(self, local: datetime) -> bool:
        """Tell whether a local time is inside."""
        minute, day = local.hour * 60 + local.minute, local.date()
        if self.start < self.end:
            return self.start <= minute < self.end and self._begins_on(day)
        if minute >= self.start:
            return self._begins_on(day)
        return minute < self.end and self._begins_on(day - timedelta(days=1))

    def _begins_on(self, day: date) -> bool:
        return day.weekday() in self.days and (self.dates is None or self.dates[0] <= day <= self.dates[1])


@dataclass(frozen=True, slots=True)
class Window:
    """When changes may go out: at the allowed times, all where none are named, except the denied ones."""

    name: str
    allow: tuple[Span, ...] = ()
    deny: tuple[Span, ...] = ()
    zone: ZoneInfo | None = None
    heal: bool = False
    """Drift is corrected while it is closed, too."""
    problem: str = ""
    """Why it cannot be understood: then it is closed."""

    def is_open(self, at: datetime) -> bool:
        """Tell whether changes may go out at an instant."""
        if self.problem:
            return False
        local = at.astimezone(self.zone)
        allowed = not self.allow or any(span.holds(local) for span in self.allow)
        return allowed and not any(span.holds(local) for span in self.deny)


@dataclass(frozen=True, slots=True)
class Closed:
    """Why nothing may go out, and until when."""

    names: tuple[str, ...]
    until: datetime | None
    """None: never, as far as one looks ahead."""
    heals: bool
    problem: str = ""

    def __str__(self) -> str:
        """Return it for people: `frozen until 2026-11-30T08:00:00Z (office)`."""
        if self.problem:
            return f"frozen: {self.problem}"
        end = f" until {self.until.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" if self.until else ""
        return f"frozen{end} ({', '.join(self.names)})"


def closed(windows: Iterable[Window], at: datetime) -> Closed | None:
    """Return what keeps changes back at an instant, None where nothing does."""
    fences = tuple(windows)
    shut = [each for each in fences if not each.is_open(at)]
    if not shut:
        return None
    problem = next((each.problem for each in shut if each.problem), "")
    until = None if problem else _next_open(fences, at.replace(second=0, microsecond=0))
    return Closed(tuple(each.name for each in shut), until, all(each.heal for each in shut), problem)


def window_of(name: str, written: Mapping[str, Any]) -> Window:
    """Return a window from its form on the bus or in a file.

    Raises:
        ValueError: it says something that is not understood.
    """
    allow, deny = (tuple(span_of(text) for text in written.get(key) or ()) for key in ("allow", "deny"))
    return Window(name, allow, deny, zone_of(written.get("timezone") or "UTC"), heal=written.get("heal") is True)


def understood(name: str, written: Any) -> Window:
    """Return a window as far as it is understood; one that is not is closed, for nobody knows when it is open."""
    if not isinstance(written, Mapping):
        return Window(name, problem=f"nobody says when the window {name!r} is open")
    try:
        return window_of(name, written)
    except (ValueError, TypeError, AttributeError) as error:
        return Window(name, problem=f"the window {name!r} is not understood: {error}")


def listed(written: Iterable[Any]) -> tuple[Window, ...]:
    """Return windows as they stand in what is signed and rolled out: each with its name, or a name that nobody declared."""
    named = ((each.get("name", ""), each) if isinstance(each, Mapping) else (each, each) for each in written)
    return tuple(understood(str(name), each) for name, each in named)


def span_of(text: str) -> Span:
    """Return the times that a text means.

    Raises:
        ValueError: it means none.
    """
    words = text.split()
    start, end = _times(words.pop(), text) if words and ":" in words[-1] else _WHOLE_DAY
    if len(words) > 1 or not (words or (start, end) != _WHOLE_DAY):
        raise ValueError(f"{text!r} names no times: {_FORM}")
    if words and (found := _DATES.fullmatch(words[0])):
        first, last = date.fromisoformat(found[1]), date.fromisoformat(found[2] or found[1])
        if last < first:
            raise ValueError(f"{text!r} ends before it begins")
        return Span(frozenset(range(7)), start, end, (first, last))
    return Span(_weekdays(words[0], text) if words else frozenset(range(7)), start, end)


@lru_cache(maxsize=64)
def zone_of(name: str) -> ZoneInfo:
    """Return the time zone of a name.

    Raises:
        ValueError: this machine does not know it.
    """
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"there is no time zone {name!r} here; they are named like Europe/Berlin") from error


def _times(word: str, text: str) -> tuple[int, int]:
    found = _TIMES.fullmatch(word)
    if not found:
        raise ValueError(f"{text!r} names no times: {_FORM}")
    hours, minutes = (int(found[1]), int(found[3])), (int(found[2]), int(found[4]))
    start, end = (hour * 60 + minute for hour, minute in zip(hours, minutes, strict=True))
    if max(minutes) > 59 or start >= 24 * 60 or end > 24 * 60 or start == end:
        raise ValueError(f"{text!r} names no span of a day: {_FORM}")
    return start, end


def _weekdays(word: str, text: str) -> frozenset[int]:
    days: set[int] = set()
    for part in word.lower().split(","):
        first, _, last = part.partition("-")
        if first not in _DAYS or (last or first) not in _DAYS:
            raise ValueError(f"{text!r} names no days: {_FORM}")
        begin, length = _DAYS.index(first), (_DAYS.index(last or first) - _DAYS.index(first)) % 7
        days.update((begin + step) % 7 for step in range(length + 1))
    return frozenset(days)


@lru_cache(maxsize=256)
def _next_open(windows: tuple[Window, ...], at: datetime) -> datetime | None:
    """Return the first instant after `at`, a full minute, at which all windows are open."""
    today = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    dated = any(span.dates for each in windows for span in (*each.allow, *each.deny))
    for days in range(HORIZON_DAYS if dated else WEEKS_DAYS):
        begin = today + timedelta(days=days)
        changes = {change for each in windows for change in _changes(each, begin)}
        for change in sorted(changes):
            if change > at and all(each.is_open(change) for each in windows):
                return change
    return None


def _changes(window: Window, begin: datetime) -> Iterator[datetime]:
    """Yield the instants of a day in UTC at which a window may open or close."""
    end = begin + timedelta(days=1)
    zone = window.zone or ZoneInfo("UTC")
    minutes = {0, *(minute for span in (*window.allow, *window.deny) for minute in (span.start, span.end))}
    for days in (-1, 0, 1):
        midnight = datetime.combine(begin.date() + timedelta(days=days), time())
        for minute in minutes:
            for fold in (0, 1):
                wall = (midnight + timedelta(minutes=minute)).replace(tzinfo=zone, fold=fold)
                if begin <= (instant := wall.astimezone(UTC)) < end:
                    yield instant
    if begin.astimezone(zone).utcoffset() != end.astimezone(zone).utcoffset():
        yield _shift(zone, begin, end)


def _shift(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """Return the second at which a zone's clocks are put forward or back."""
    old = before.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = (before + (after - before) / 2).replace(microsecond=0)
        before, after = (middle, after) if middle.astimezone(zone).utcoffset() == old else (before, middle)
    return after
