"""When changes may go out: what is written about it, and what that means on clocks that are put forward and back."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.core.windows import closed, span_of, understood, window_of

BERLIN = ZoneInfo("Europe/Berlin")


def window(allow=(), deny=(), *, zone="Europe/Berlin", name="w", **more):
    return window_of(name, {"allow": allow, "deny": deny, "timezone": zone, **more})


def at(text):
    return datetime.fromisoformat(text)


def told(windows, when):
    found = closed(windows, at(when))
    return str(found) if found else "open"


OFFICE = window(["Mon-Fri 09:00-16:00"], name="office")


@pytest.mark.parametrize(
    ("when", "says"),
    [
        ("2026-11-27T07:59:59Z", "frozen until 2026-11-27T08:00:00Z (office)"),
        ("2026-11-27T08:00:00Z", "open"),
        ("2026-11-27T14:59:59Z", "open"),
        ("2026-11-27T15:00:00Z", "frozen until 2026-11-30T08:00:00Z (office)"),
        ("2026-03-27T15:00:00Z", "frozen until 2026-03-30T07:00:00Z (office)"),
        ("2026-10-23T14:00:00Z", "frozen until 2026-10-26T08:00:00Z (office)"),
    ],
    ids=["before", "first-second", "last-second", "over-the-weekend", "to-summer-time", "to-winter-time"],
)
def test_office_hours_are_those_of_the_zone_q5(when, says):
    assert told([OFFICE], when) == says


@pytest.mark.parametrize(
    ("allow", "deny", "when", "says"),
    [
        (["22:00-06:00"], [], "2026-11-27T03:00:00Z", "open"),
        (["Fri 22:00-06:00"], [], "2026-11-27T03:00:00Z", "frozen until 2026-11-27T21:00:00Z (w)"),
        (["Fri 22:00-06:00"], [], "2026-11-28T03:00:00Z", "open"),
        (["Fri-Mon"], [], "2026-11-29T23:30:00Z", "open"),
        (["Sat,Sun"], [], "2026-11-27T12:00:00Z", "frozen until 2026-11-27T23:00:00Z (w)"),
        (["09:00-12:00", "11:00-17:00"], [], "2026-11-27T11:30:00Z", "open"),
        (["09:00-17:00"], ["12:00-13:00"], "2026-11-27T11:30:00Z", "frozen until 2026-11-27T12:00:00Z (w)"),
        ([], ["2026-12-20..2027-01-03"], "2026-12-24T12:00:00Z", "frozen until 2027-01-03T23:00:00Z (w)"),
        ([], ["2026-12-24 18:00-24:00"], "2026-12-24T18:00:00Z", "frozen until 2026-12-24T23:00:00Z (w)"),
        ([], ["2026-12-24"], "2026-12-23T12:00:00Z", "open"),
        (["2020-01-01"], [], "2026-11-27T12:00:00Z", "frozen (w)"),
        (["Mon"], ["Mon"], "2026-11-27T12:00:00Z", "frozen (w)"),
        ([], [], "2026-11-27T12:00:00Z", "open"),
        (["02:15-02:45"], [], "2026-03-29T00:30:00Z", "frozen until 2026-03-30T00:15:00Z (w)"),
        (["02:30-04:00"], [], "2026-03-29T00:30:00Z", "frozen until 2026-03-29T01:00:00Z (w)"),
        (["02:30-02:45"], [], "2026-10-25T00:50:00Z", "frozen until 2026-10-25T01:30:00Z (w)"),
    ],
    ids=[
        "night",
        "night-of-another-day",
        "night-of-the-day-before",
        "days-over-the-week's-end",
        "days",
        "overlap",
        "denied-inside",
        "dates",
        "date-and-times",
        "date-is-ahead",
        "never-again",
        "always-denied",
        "empty",
        "skipped-hour",
        "begins-in-the-skipped-hour",
        "second-of-the-doubled-hour",
    ],
)
def test_spans_mean_what_clocks_on_the_wall_say_q5(allow, deny, when, says):
    assert told([window(allow, deny)], when) == says


def test_several_windows_are_several_fences_q5():
    """Q5: all must be open, in whatever zones, and drift is corrected only where all that are closed allow it."""
    tokyo = window(["09:00-18:00"], zone="Asia/Tokyo", name="tokyo", heal=True)
    both = [window(["09:00-18:00"], name="berlin"), tokyo]

    assert told(both, "2026-11-27T12:00:00Z") == "frozen until 2026-11-28T08:00:00Z (tokyo)"
    assert told(both, "2026-11-27T08:30:00Z") == "open"
    assert closed(both, at("2026-11-27T12:00:00Z")).heals
    assert not closed(both, at("2026-11-27T20:00:00Z")).heals


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "names no times"),
        ("Mon-Fri 9-16", "names no times"),
        ("Mon-Fri 09:00-25:00", "names no span of a day"),
        ("09:00-09:00", "names no span of a day"),
        ("09:60-10:00", "names no span of a day"),
        ("Mo-Fr 09:00-16:00", "names no days"),
        ("Mon Tue 09:00-16:00", "names no times"),
        ("2026-12-24..2026-12-20", "ends before it begins"),
        ("2026-13-24", "month must be in"),
    ],
)
def test_what_is_no_span_is_refused_with_its_text(text, why):
    with pytest.raises(ValueError, match=why):
        span_of(text)


def test_a_window_that_is_not_understood_is_closed_q5():
    assert str(closed([understood("office", "office")], at("2026-11-27T12:00:00Z"))) == (
        "frozen: nobody says when the window 'office' is open"
    )
    wrong = [{"timezone": "Mars/Olympus"}, {"allow": ["Mon 9"]}, {"allow": 7}, {"timezone": "Europe"}]
    found = [closed([understood("w", each)], at("2026-11-27T12:00:00Z")) for each in wrong]

    assert all(each.problem and not each.heals for each in found)
    assert "no time zone 'Mars/Olympus' here" in found[0].problem


TIMES = st.tuples(st.integers(0, 23), st.sampled_from([0, 15, 30]), st.integers(0, 23), st.sampled_from([0, 15, 45]))
SPANS = TIMES.filter(lambda each: each[:2] != each[2:]).map(lambda each: "{:02}:{:02}-{:02}:{:02}".format(*each))
MOMENTS = st.integers(0, 3 * 96).map(lambda quarters: timedelta(minutes=15 * quarters))


@settings(max_examples=60, deadline=None)
@given(st.lists(SPANS, max_size=2), st.lists(SPANS, max_size=2), st.sampled_from(["2026-03-28", "2026-10-24"]), MOMENTS)
def test_the_next_opening_is_the_first_there_is(allow, deny, day, after):
    """Q5: found by looking at every quarter of an hour around days on which the clocks change."""
    one = window(allow, deny)
    now = datetime.fromisoformat(day).replace(tzinfo=UTC) + after
    quarters = (now + timedelta(minutes=15 * step) for step in range(1, 96 * 3))
    found = closed([one], now)

    assert one.is_open(now) if found is None else not one.is_open(now)
    assert found is None or found.until == next((each for each in quarters if one.is_open(each)), None)
