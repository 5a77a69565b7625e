"""Rollouts move by reports, people steer by commands: over a real database, without a bus."""

from services.releaser.tables import clusters, rollouts, targets
from shared.core.status import Health, Result, Sync
from shared.messages.renders import RolloutPlan, StagePlan
from shared.messages.reports import AppStatus, Hold
from tests.support.releaser import fleet, rendered
from tests.support.releaser_fixtures import ALL, APPS, THREE

STAGED = RolloutPlan(
    stages=(
        StagePlan(name="dev", match={"env": "dev"}),
        StagePlan(name="prod", match={"env": "prod"}, batch="1", max_failures=0),
    )
)


async def test_a_rollout_goes_stage_after_stage_and_a_newer_revision_begins_again(registry):
    part = fleet(THREE, rollouts_={"standard": STAGED}, default="standard")
    web = {(cluster, "web"): "a" for cluster in THREE}
    await registry.take(rendered(1, web, part=part))
    await registry.join(*THREE)
    for cluster in THREE:
        await registry.report(cluster, "web")
    await registry.take(rendered(2, dict.fromkeys(web, "b"), part=part))

    assert await registry.running() == {("c1", "web"): "b", ("c2", "web"): "a", ("c3", "web"): "a"}

    await registry.report("c1", "web")
    assert await registry.running() == {("c1", "web"): "b", ("c2", "web"): "b", ("c3", "web"): "a"}

    await registry.take(rendered(3, dict.fromkeys(web, "c"), part=part))
    assert await registry.running() == {("c1", "web"): "c", ("c2", "web"): "b", ("c3", "web"): "a"}

    for cluster in THREE:
        await registry.report(cluster, "web")
    assert set((await registry.running()).values()) == {"c"}
    await registry.report("c3", "web")
    (row,) = await registry.rows(rollouts)
    assert (row["rollout"], row["state"]) == ("web-3", "finished")


async def test_a_failed_stage_pauses_and_goes_on_once_approved(registry):
    part = fleet(THREE, rollouts_={"standard": STAGED}, default="standard")
    web = {(cluster, "web"): "a" for cluster in THREE}
    await registry.join("c1", "c2", "c3")
    await registry.take(rendered(1, web, part=part))
    await registry.report("c1", "web", result=Result.FAILED, health=Health.FAILED, settled=False)

    paused, held = await registry.facts("rollout-paused", "held")
    assert await registry.running() == {("c1", "web"): "a"}
    assert "1 of 1 clusters failed" in paused.message
    assert held.data["id"] == "rollout/web"

    answer = await registry.command("approve", hold="rollout/web", approval=held.data["approval"])
    assert answer.data["ok"]
    assert await registry.running() == {("c1", "web"): "a", ("c2", "web"): "a"}


async def test_an_offline_cluster_does_not_block_a_stage(registry):
    part = fleet(THREE, rollouts_={"standard": STAGED}, default="standard")
    await registry.join("c1", "c2", "c3")
    await registry.take(rendered(1, {(cluster, "web"): "a" for cluster in THREE}, part=part))
    await registry.pass_time(minutes=1)
    assert len(await registry.running()) == 1

    await registry.pass_time(minutes=10)

    assert await registry.running() == {("c1", "web"): "a", ("c2", "web"): "a"}


async def test_health_that_changes_without_a_run_moves_a_rollout(registry):
    part = fleet(THREE, rollouts_={"standard": STAGED}, default="standard")
    await registry.join("c1", "c2", "c3")
    await registry.take(rendered(1, {(cluster, "web"): "a" for cluster in THREE}, part=part))
    await registry.report("c1", "web", health=Health.IN_PROGRESS)
    assert len(await registry.running()) == 1

    app = AppStatus(epoch=1, generation=1, sync=Sync.SYNCED, health=Health.CURRENT)
    await registry.status("c1", (1, 2), {"web": app})

    assert set(await registry.running()) == {("c1", "web"), ("c2", "web")}


async def test_suspend_and_resume_sign_anew_and_a_time_out_resumes_by_itself(three):
    await three.command("suspend", app="web", cluster="c1", reason="debugging", until="2026-11-24T13:00:00Z")
    assert (await three.roster("c1"))["web"]["suspend"]["reason"] == "debugging"
    assert (await three.roster("c1"))["web"]["generation"] == 2

    await three.pass_time(hours=2)
    assert (await three.roster("c1"))["web"]["suspend"] is None
    assert [fact.type for fact in await three.facts("suspended", "resumed")] == ["suspended", "resumed"]


async def test_an_approval_of_held_deletions_is_a_new_generation_that_names_them(three):
    held = Hold(reason="PruneGuard", count=30, approval="5" * 64)
    await three.report("c1", "web", result=Result.HELD, sync=Sync.HELD, hold=held, settled=False)

    stale = await three.command("approve", hold="c1/web", cluster="c1", app="web", approval="4" * 64)
    assert stale.data["code"] == "approval.changed"

    await three.command("approve", "once", hold="c1/web", cluster="c1", app="web", approval="5" * 64)
    again = await three.command("approve", "once", hold="c1/web", cluster="c1", app="web", approval="5" * 64)
    release = (await three.roster("c1"))["web"]
    assert (release["approval"], release["generation"]) == ("5" * 64, 2)
    assert again.data["ok"]

    await three.take(rendered(2, {**ALL, ("c1", "web"): "b"}, part=fleet(THREE)))
    assert (await three.roster("c1"))["web"]["approval"] == ""


async def test_a_cluster_that_is_removed_with_what_runs_there_gets_tombstones_first(three):
    await three.command("cluster-remove", cluster="c1", prune=True)
    assert {place: name for place, name in (await three.running()).items() if place[0] == "c1"} == {
        ("c1", app): "" for app in APPS
    }

    for app in APPS:
        await three.report("c1", app)
    assert {row["membership"] for row in await three.rows(clusters, clusters.c.cluster == "c1")} == {"expected"}


async def test_a_cluster_that_is_removed_and_kept_gets_nothing_more(three):
    await three.command("cluster-remove", cluster="c1", prune=False)
    await three.take(rendered(2, dict.fromkeys(ALL, "b"), part=fleet(THREE)))

    assert {name for place, name in (await three.running()).items() if place[0] == "c1"} == {"a"}


async def test_a_restored_database_waits_for_adopt_and_then_signs_above_everything(three):
    """F31: a higher pair at an agent stops publication; adopt begins a new epoch."""
    await three.status("c1", (1, 99))
    assert three.parts.restored.pair == (1, 99)
    assert [fact.type for fact in await three.facts("database-restored")] == ["database-restored"]

    answer = await three.command("adopt")
    assert answer.data["result"] == {"epoch": 2}
    release = (await three.roster("c1"))["web"]
    assert (release["epoch"], release["deletes_known"]) == (2, False)
    assert all(pair[0] == 2 for pair in (await three.counters()).values())


async def test_a_restored_database_releases_nothing_before_adopt_and_everything_once_after_it(three):
    """F31: the ledger is told of no release that nobody publishes; what came meanwhile is released by adopt."""
    await three.status("c1", (1, 99))
    before = await three.counters()
    await three.facts()

    await three.take(rendered(2, {**ALL, ("c1", "web"): "b", ("c2", "web"): "b"}, part=fleet(THREE)))
    await three.join("c4")
    await three.report("c1", "web")
    await three.pass_time(minutes=5)
    refused = await three.command("suspend", app="db")
    assert await three.facts("released", "removed") == []
    assert await three.counters() == before
    assert (refused.data["code"], "towline hub adopt" in refused.message) == ("releaser.restored", True)

    await three.command("adopt")
    told = [each for fact in await three.facts("released") for each in fact.data["releases"]]
    assert sorted((each["cluster"], each["app"]) for each in told) == sorted(ALL)
    assert {place for place, name in (await three.running()).items() if name == "b"} == {("c1", "web"), ("c2", "web")}
    assert set((await three.counters()).values()) == {(2, 2)}
    assert await three.roster("c4") == {}


async def test_adopt_rolls_out_stage_after_stage_what_came_meanwhile(registry):
    part = fleet(THREE, rollouts_={"standard": STAGED}, default="standard")
    web = {(cluster, "web"): "a" for cluster in THREE}
    await registry.take(rendered(1, web, part=part))
    await registry.join(*THREE)
    for cluster in THREE:
        await registry.report(cluster, "web")
    await registry.status("c1", (1, 99))
    await registry.take(rendered(2, dict.fromkeys(web, "b"), part=part))

    await registry.command("adopt")

    assert await registry.running() == {("c1", "web"): "b", ("c2", "web"): "a", ("c3", "web"): "a"}
    assert {pair[0] for pair in (await registry.counters()).values()} == {2}


async def test_commands_that_cannot_be_carried_out_say_why_and_leave_nothing(three):
    for verb, arguments, code in [
        ("suspend", {"app": "nothing"}, "app.unknown"),
        ("suspend", {"cluster": "nowhere"}, "cluster.unknown"),
        ("suspend", {"app": "web", "until": "yesterday"}, "command.argument"),
        ("approve", {"hold": "tombstones/fleet", "approval": ""}, "approval.unknown"),
        ("sync", {"cluster": "c9"}, "cluster.unknown"),
        ("adopt", {}, "releaser.not-restored"),
        ("dance", {}, "releaser.refused"),
    ]:
        answer = await three.command(verb, **arguments)
        assert (answer.data["ok"], answer.data["code"]) == (False, code)
    assert {row["generation"] for row in await three.rows(targets)} == {1}
