"""What the agent does when answers of the API server do not arrive, or arrive in part."""

import time
from datetime import UTC, datetime, timedelta
from email.utils import formatdate

import pytest

from services.applier.kube import session as sessions
from services.applier.kube.credentials import FixedCredentials
from services.applier.kube.session import JSON, ClusterUnreachableError, Request, Session
from tests.support.agents import access_to, config_map, running


def data_of(sim, name):
    found = sim.store.get("v1", "ConfigMap", "web", name)
    return found and found["data"]


def asked(sim, verb, name):
    return [each for each in sim.requests if each.method == verb and each.path.endswith(f"/{name}")]


@pytest.mark.parametrize(
    ("verb", "name"),
    [("PATCH", "one"), ("PATCH", "new"), ("PATCH", "towline-inventory-web-0"), ("DELETE", "two")],
    ids=["a change", "a creation", "the inventory", "a deletion"],
)
async def test_what_was_cut_off_in_the_middle_of_its_answer_is_repeated_safely(agent, sim, verb, name):
    """N7: applies are no POST, and a deletion names its UID each time, so twice is like once."""
    await agent.release("web", [config_map("one"), config_map("two")])
    await agent.reported(generation=1, result="succeeded")
    uid = sim.store.get("v1", "ConfigMap", "web", "two")["metadata"]["uid"]
    before = len(asked(sim, verb, name))
    sim.faults.cut_next(match=lambda each: each.method == verb and each.path.endswith(f"/{name}"))
    await agent.release("web", [config_map("one", a="2"), config_map("new")])
    report = await agent.reported(generation=2)

    assert (report.result, report.settled, report.failures) == ("succeeded", True, ())
    assert (data_of(sim, "one"), data_of(sim, "new"), data_of(sim, "two")) == ({"a": "2"}, {"a": "1"}, None)
    assert len(asked(sim, verb, name)) > before + 1
    assert {each.deletion["preconditions"]["uid"] for each in asked(sim, "DELETE", "two")} == {uid}
    assert not [each for each in sim.requests if each.method == "POST" and "leases" not in each.path]


async def test_no_answer_is_waited_for_for_ever(sim, monkeypatch):
    """N4: a server that takes connections and says nothing; requests have a total time, watches an idle limit."""
    monkeypatch.setattr(sessions, "IDLE_WATCH_S", 0.1)
    sim.faults.freeze()
    async with Session.connect(FixedCredentials(access_to(sim)), agent="test", in_flight=1) as session:
        with pytest.raises(ClusterUnreachableError, match="TimeoutError"):
            await session.send(Request("GET", "/version", timeout_s=0.1), retries=0)
        with pytest.raises(ClusterUnreachableError):
            async with session.stream("/api/v1/configmaps", {"watch": "true"}, accept=JSON):
                pass

    assert Request("GET", "/").timeout_s == sessions.READ_TIMEOUT_S


@pytest.mark.parametrize("skew_s", [86400, -86400], ids=["a day behind", "a day ahead"])
async def test_a_clock_that_is_a_day_off_changes_no_action(pen, sim, monkeypatch, skew_s):
    """N6, A35: it is told; ends of suspensions are judged by the API server's clock, all else by none."""
    monkeypatch.setattr(
        "aiohttp.web_response.rfc822_formatted_time", lambda: formatdate(time.time() + skew_s, usegmt=True)
    )
    soon = (datetime.now(UTC) + timedelta(seconds=skew_s / 2)).isoformat()
    async with running(pen.settings(sim)):
        await pen.release("web", [config_map("one"), config_map("two")])
        report = await pen.reported(generation=1, result="succeeded")
        await pen.release("other", [config_map("free")], suspend={"reason": "x", "by": "ada", "until": soon})
        await pen.stands("other", sync="Synced" if skew_s > 0 else "Suspended")
        sim.store.patch(config_map("one"), {"data": {"a": "9"}})
        await pen.reported(trigger="drift")
        await pen.release("web", [config_map("one")])
        await pen.reported(generation=2, settled=True)

    assert f"1440 minutes {'behind' if skew_s > 0 else 'ahead of'}" in report.warnings[0]
    assert (data_of(sim, "one"), data_of(sim, "two")) == ({"a": "1"}, None)
