"""Repositories are looked at in time, and hosts are left alone when they fail."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.poller.schedule import AUTH_S, LONGEST_S, Host, Watch, after, due, due_at, host_after, jitter

QUIET = Host()


def watch(name: str = "a", **changes) -> Watch:
    return replace(Watch(name, "https://h", 60.0), **changes)


@given(st.floats(0.2, 86_400), st.text())
def test_jitter_stays_within_a_tenth_and_is_stable(interval_s, name):
    assert 0.9 * interval_s <= jitter(interval_s, name) <= 1.1 * interval_s
    assert jitter(interval_s, name) == jitter(interval_s, name)


def test_what_was_never_looked_at_is_due():
    assert due([watch()], {}, 0.0) == [watch()]


def test_what_was_looked_at_waits_for_its_interval():
    looked = after(watch(), 1000.0, "")

    assert due([looked], {}, 1000.0 + 0.9 * 60 - 1) == []
    assert due([looked], {}, 1000.0 + 1.1 * 60) == [looked]


def test_the_one_that_waited_longest_comes_first():
    early, late = watch("early", checked_at=1.0), watch("late", checked_at=2.0)

    assert due([late, early], {}, 1000.0) == [early, late]


@given(st.integers(1, 100))
def test_failures_make_the_wait_longer_up_to_a_bound(failures):
    failing = watch(checked_at=0.0, failures=failures, code="source.not-found")

    assert 0.9 * 60 <= due_at(failing, QUIET) <= 1.1 * LONGEST_S
    assert due_at(failing, QUIET) <= due_at(replace(failing, failures=failures + 1), QUIET)


def test_a_repository_that_answers_again_is_looked_at_as_before():
    assert after(watch(failures=9, code="source.timeout"), 5.0, "").failures == 0


def test_a_refused_credential_is_tried_once_a_minute_for_the_whole_host():
    watches = [watch(name, interval_s=0.2, checked_at=0.0, failures=1, code="source.auth") for name in "abc"]
    host = host_after(QUIET, 0.0, "source.auth")

    assert due(watches, {"https://h": host}, AUTH_S - 1) == []
    assert len(due(watches, {"https://h": host}, AUTH_S)) == 1


def test_a_refused_credential_does_not_delay_the_other_repositories_of_its_host():
    healthy = watch("healthy", checked_at=0.0)
    refused = watch("refused", checked_at=0.0, failures=1, code="source.auth")
    host = host_after(QUIET, 66.0, "source.auth")

    assert due([refused, healthy], {"https://h": host}, 67.0) == [healthy]


def test_a_host_that_cannot_be_reached_rests_as_a_whole():
    host = QUIET
    for second in range(8):
        host = host_after(host, float(second), "source.unreachable")

    assert due([watch(checked_at=0.0, interval_s=0.2)], {"https://h": host}, 8.0) == []
    assert due([watch(checked_at=0.0, interval_s=0.2)], {"https://h": host_after(host, 8.0, "")}, 8.0)


@pytest.mark.parametrize("code", ["source.timeout", "source.not-found", "source.ref-missing", "source.too-large"])
def test_what_is_wrong_with_one_repository_does_not_touch_its_host(code):
    assert host_after(QUIET, 1.0, code) == QUIET


def test_what_somebody_asks_for_is_due_at_once():
    asked = watch(checked_at=5.0, failures=5, code="source.auth", urgent=True)

    assert due([asked], {"https://h": Host(9, 1e9, 5.0)}, 5.1) == [asked]


def test_a_tip_in_doubt_is_looked_at_soon():
    assert due_at(watch(checked_at=0.0, interval_s=3600.0, doubtful=True), QUIET) < 12


def test_a_webhook_ends_the_wait():
    looked = after(watch(), 1000.0, "")

    assert due([replace(looked, hinted="github")], {}, 1000.0) == [replace(looked, hinted="github")]


def test_a_webhook_ends_the_wait_of_a_repository_that_failed():
    failing = watch(checked_at=0.0, failures=9, code="source.not-found", hinted="github")

    assert due_at(failing, QUIET) == 0.0


def test_a_webhook_wakes_no_host_that_rests_and_knocks_no_sooner_with_a_refused_credential():
    """S12: who may post deliveries cannot have a host locked out."""
    resting = Host(failures=9, rests_until=500.0)
    refused = watch(checked_at=0.0, failures=1, code="source.auth", hinted="github")

    assert due_at(watch(checked_at=0.0, hinted="github"), resting) == 500.0
    assert due_at(refused, QUIET) == AUTH_S


def test_a_refused_credential_is_tried_seldom_all_the_day():
    """A34: at most 70 times an hour for a host, whatever the interval and however many repositories it is for."""
    watches = {name: watch(name, interval_s=0.05) for name in "abcde"}
    host, tries, now = QUIET, [], 0.0
    while now < 24 * 3600:
        for each in due(watches.values(), {"https://h": host}, now):
            tries.append(now)
            watches[each.name] = after(each, now, "source.auth")
            host = host_after(host, now, "source.auth")
        now = max(now, min(due_at(each, host) for each in watches.values()))

    for start in range(0, 24 * 3600, 600):
        assert len([at for at in tries if start <= at < start + 3600]) <= 70
    assert len(tries) > 24 * 50
