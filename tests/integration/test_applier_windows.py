"""Windows on the running agent: what waits, what is healed meanwhile, and whose clock tells when they open."""

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import formatdate

import pytest

from tests.integration.test_applier_course import data_of
from tests.support.agents import OPTIONS, QUICK_AGENT, config_map, eventually, running

AHEAD = timedelta(hours=2)
OPENS = (datetime.now(UTC) + AHEAD).replace(second=0, microsecond=0) - timedelta(minutes=30)
SOON = {"name": "soon", "allow": [f"{OPENS:%H:%M}-{OPENS + timedelta(hours=1):%H:%M}"]}
NOW = {"name": "now", "deny": SOON["allow"]}
UNTIL = f"frozen until {OPENS:%Y-%m-%dT%H:%M}:00Z (soon)"


def within(window, **more):
    return {**OPTIONS, "windows": [{**window, **more}]}


class ServerTime:
    """The API server's clock, as its answers tell it."""

    ahead_s = 0

    def __call__(self):
        return formatdate(time.time() + self.ahead_s, usegmt=True)

    def go_on(self):
        self.ahead_s = AHEAD.total_seconds()

    def go_back(self):
        self.ahead_s = 0


@pytest.fixture
def clock(monkeypatch):
    made = ServerTime()
    monkeypatch.setattr("aiohttp.web_response.rfc822_formatted_time", made)
    monkeypatch.setattr("services.applier.waiting.LOOK_S", 0.1)
    return made


@pytest.fixture
async def watchful(pen, sim, clock):
    """An agent that often hears what time it is."""
    async with running(pen.settings(sim, pace=replace(QUICK_AGENT, renew_lease_s=0.2))):
        yield pen


async def test_a_release_waits_for_its_window_by_the_servers_clock(watchful, sim, clock):
    """Q5, N6: until then what runs is healed where the window says so; then nobody has to do anything."""
    await watchful.release("web", [config_map("one")])
    await watchful.reported(generation=1, result="succeeded")
    await watchful.release("web", [config_map("one", a="2"), config_map("new")], options=within(SOON, heal=True))
    await watchful.stands("web", sync="Applying", reason="Frozen", message=UNTIL, generation=2)
    sim.store.patch(config_map("one"), {"data": {"a": "9"}})
    await eventually(lambda: data_of(sim, "one") == {"a": "1"})

    assert data_of(sim, "new") is None

    clock.go_on()
    await watchful.reported(generation=2, result="succeeded")
    await watchful.stands("web", sync="Synced", reason="")

    assert data_of(sim, "one") == {"a": "2"}


async def test_drift_in_a_closed_window_is_told_and_left(watchful, sim, clock):
    """Q5: unless the window says otherwise; and it is put back when it opens."""
    clock.go_on()
    await watchful.release("web", [config_map("one")], options=within(SOON))
    await watchful.reported(generation=1, result="succeeded")
    await watchful.release("other", [config_map("two")], options=within(NOW))
    await watchful.stands("other", reason="Frozen")
    clock.go_back()
    await watchful.reported("other", result="succeeded")
    await watchful.release("late", [config_map("three")], options=within(SOON))
    sim.store.patch(config_map("one"), {"data": {"a": "9"}})
    await watchful.stands("web", sync="OutOfSync", reason="Frozen", message=UNTIL)

    assert data_of(sim, "one") == {"a": "9"}

    clock.go_on()
    await watchful.reported("late", result="succeeded")
    sim.store.patch(config_map("one"), {"data": {"a": "8"}})
    await watchful.stands("web", sync="Synced", reason="")

    assert data_of(sim, "one") == {"a": "1"}


async def test_a_removal_waits_for_the_window_too(watchful, sim, clock):
    """Q5: a tombstone is signed with the windows of what it removes."""
    await watchful.release("web", [config_map("one")])
    await watchful.reported(generation=1, result="succeeded")
    await watchful.release("web", removed=True, options=within(SOON))
    await watchful.stands("web", reason="Frozen", message=UNTIL, generation=2)

    assert data_of(sim, "one")

    clock.go_on()
    await watchful.reported(generation=2, settled=True)

    assert data_of(sim, "one") is None


async def test_a_person_lets_a_removal_go_before_its_window(watchful, sim):
    """Q5, F12: it is told as something that waits for approval, and what is approved waits no more."""
    await watchful.release("web", [config_map("one")])
    await watchful.reported(generation=1, result="succeeded")
    await watchful.release("web", removed=True, options=within(SOON))
    held = await watchful.reported(generation=2, result="held")
    await watchful.stands("web", sync="Held", reason="Frozen")
    await watchful.release("web", removed=True, options=within(SOON), approval=held.hold.approval)
    await watchful.reported(generation=3, settled=True)

    assert (held.hold.reason, held.hold.keys, held.message) == ("Frozen", ("/ConfigMap:web/one",), UNTIL)
    assert data_of(sim, "one") is None


async def test_after_a_restart_in_a_closed_window_drift_is_seen_and_left(pen, sim, clock):
    """Q5: the watches begin without any write."""
    clock.go_on()
    async with running(pen.settings(sim)):
        await pen.release("web", [config_map("one")], options=within(SOON))
        await pen.reported(generation=1, result="succeeded")
    clock.go_back()
    async with running(pen.settings(sim)):
        await pen.reported(generation=1, trigger="release", result="succeeded")
        sim.store.patch(config_map("one"), {"data": {"a": "9"}})
        await pen.stands("web", sync="OutOfSync", reason="Frozen")

        assert data_of(sim, "one") == {"a": "9"}
