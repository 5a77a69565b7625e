"""Windows of the fleet hold releases back at the hub: over a real database, without a bus."""

from services.releaser.tables import holds, rollouts
from shared.messages.renders import RolloutPlan, StagePlan, WindowPart
from tests.support.releaser import dg, fleet, rendered
from tests.support.releaser_fixtures import THREE

OFFICE = WindowPart(allow=("Mon-Fri 09:00-16:00",), timezone="Europe/Berlin")
TIMES = {"name": "office", **OFFICE.model_dump(mode="json")}
EVENING = {"hours": 6}
MORNING = {"hours": 14}


def windowed(number, bundle, *, windows=("office",), plan=None, declared=None, **how):
    """Return a render of one app, on three clusters, with these windows."""
    part = fleet(THREE, rollouts_={"slow": plan} if plan else None, default="slow" if plan else "")
    part = part.model_copy(update={"windows": {"office": OFFICE} if declared is None else declared})
    wanted = {(cluster, "web"): bundle for cluster in THREE}
    return rendered(number, wanted, part=part, options={"prune": True, "windows": list(windows)}, **how)


async def the_rollout(registry):
    (row,) = await registry.rows(rollouts)
    return row["state"], row["message"]


async def the_evening(registry, **how):
    """Run bundle a since noon; in the evening comes bundle b."""
    await registry.join(*THREE)
    await registry.take(windowed(1, "a", **how))
    for cluster in THREE:
        await registry.report(cluster, "web")
    await registry.pass_time(**EVENING)
    await registry.take(windowed(2, "b", **how))


async def test_a_closed_window_holds_releases_back_until_it_opens(registry):
    """Q5: the hub says until when, and nobody has to do anything then."""
    await the_evening(registry)

    assert set((await registry.running()).values()) == {"a"}
    assert await the_rollout(registry) == ("paused", "frozen until 2026-11-25T08:00:00Z (office)")

    await registry.pass_time(**MORNING)

    assert set((await registry.running()).values()) == {"b"}
    assert (await the_rollout(registry))[0] == "finished"
    assert await registry.rows(holds) == []
    assert (await registry.roster("c1"))["web"]["options"]["windows"] == [TIMES]


async def test_a_person_may_let_a_release_go_before_its_window(registry):
    """Q5: it is known who did, its agents are not held to the windows either, and the next release is."""
    await the_evening(registry)
    (hold,) = await registry.rows(holds)
    await registry.facts()
    answer = await registry.command("approve", hold=hold["hold"], approval=hold["digest"], app="web")
    (approved,) = await registry.facts("approved")

    assert answer.data["ok"]
    assert approved.data["actor"] == "ada"
    assert set((await registry.running()).values()) == {"b"}
    assert (await registry.roster("c1"))["web"]["options"]["windows"] == []

    await registry.take(windowed(3, "c"))

    assert set((await registry.running()).values()) == {"b"}


async def test_a_stage_waits_for_its_window(registry):
    """Q5: the stages before it go on."""
    prod = StagePlan(name="prod", match={"env": "prod"}, gates={"windows": ["office"]})
    plan = RolloutPlan(stages=(StagePlan(name="dev", match={"env": "dev"}), prod))
    await the_evening(registry, windows=(), plan=plan)
    await registry.report("c1", "web")

    assert await registry.running() == {("c1", "web"): "b", ("c2", "web"): "a", ("c3", "web"): "a"}
    assert await the_rollout(registry) == ("paused", "stage 'prod': frozen until 2026-11-25T08:00:00Z (office)")

    await registry.pass_time(**MORNING)

    assert set((await registry.running()).values()) == {"b"}


async def test_windows_are_the_fleets_and_one_that_nobody_declares_stops_its_app(registry):
    """Q5: apps of other sources keep to them, too, and are signed anew when they change."""
    await registry.join(*THREE)
    await registry.take(rendered(1, {}, part=windowed(1, "a").listing.fleet))
    other = {"source": "team", "options": {"windows": ["office"]}}
    await registry.take(rendered(1, {("c1", "api"): "a"}, **other))
    before = await registry.asked_poller()
    await registry.take(
        rendered(2, {}, part=windowed(1, "a", declared={"office": OFFICE, "late": OFFICE}).listing.fleet)
    )
    asked = await registry.asked_poller()
    await registry.take(rendered(2, {("c1", "api"): "b"}, **{**other, "options": {"windows": ["never"]}}))
    (refused,) = await registry.facts("app-refused")
    release = (await registry.roster("c1"))["api"]

    assert (release["options"]["windows"], release["bundle"]["digest"]) == ([TIMES], dg("a"))
    assert (refused.app, refused.data["code"]) == ("api", "fleet.unknown-window")
    assert {"source": "team"} in [each.arguments for each in asked[len(before) :]]
