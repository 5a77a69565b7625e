"""Going back: by itself where a rollout asks for it, or because a person does; over a real database, without a bus."""

from functools import partial

import pytest

from services.releaser import garbage
from services.releaser.tables import bundles, releases
from services.releaser.tables import rollouts as rollout_rows
from shared.core.status import ROLLED_BACK, Health, Result, Sync
from shared.messages.renders import RolloutPlan, StagePlan
from shared.messages.reports import AppStatus
from tests.support.releaser import dg, fleet, rendered

WEB = [("c1", "web"), ("c2", "web")]
LABELS = {"c1": {"env": "dev"}, "c2": {"env": "prod"}}
PLAN = RolloutPlan(
    on_failure="rollback",
    stages=(StagePlan(name="dev", match={"env": "dev"}), StagePlan(name="prod", match={"env": "prod"})),
)
BROKEN = {"result": Result.SUCCEEDED, "sync": Sync.SYNCED, "health": Health.FAILED}
HALF = {"result": Result.PARTIAL, "sync": Sync.OUT_OF_SYNC, "health": Health.CURRENT, "settled": False}
BACK = {"sync": Sync.OUT_OF_SYNC, "reason": ROLLED_BACK}
TO_A, TO_B, TO_C = "01" * 20, "02" * 20, "03" * 20


def commit(number, name, plan=PLAN, **more):
    part = fleet(LABELS, rollouts_={"standard": plan}, default="standard")
    return rendered(number, dict.fromkeys(WEB, name), part=part, **more)


@pytest.fixture
async def staged(registry):
    """Two clusters in two stages, which run `a` well."""
    await registry.join("c1", "c2")
    await registry.take(commit(1, "a"))
    for cluster in LABELS:
        await registry.report(cluster, "web")
    await registry.facts()
    return registry


async def rollout(line):
    (row,) = await line.rows(rollout_rows)
    return row


async def statement(line, cluster):
    return (await line.roster(cluster))["web"]["rollback"]


async def test_what_fails_in_its_time_goes_back_by_itself_and_is_not_tried_again(staged):
    """L2: a target that failed goes back to what last did well there; the revision waits there until git changes."""
    await staged.take(commit(2, "b"))
    before = await staged.counters()
    await staged.report("c1", "web", **BROKEN)

    assert await staged.running() == {("c1", "web"): "a", ("c2", "web"): "a"}
    assert (await staged.counters())["c1", "web"] == (1, before["c1", "web"][1] + 1)
    assert await statement(staged, "c1") == {
        "from": "1.2",
        "to": "1.1",
        "commit": TO_B,
        "reason": "it failed, and its rollout says onFailure: rollback",
        "actor": "releaser",
        "automatic": True,
    }
    assert (await staged.roster("c1"))["web"]["provenance"][0]["commit"] == TO_A
    assert (await rollout(staged))["state"] == "paused"
    assert "c1 went back to what ran before" in (await rollout(staged))["message"]
    (fact,) = await staged.facts("rolled-back")
    assert [(each["cluster"], each["to"], each["commits"]) for each in fact.data["rollbacks"]] == [
        ("c1", "1.1", [TO_A])
    ]

    running = await staged.counters()
    await staged.report("c1", "web", **BACK)
    await staged.take(commit(3, "b"))
    await staged.pass_time(hours=3)

    assert await staged.counters() == running

    await staged.take(commit(4, "c"))

    assert (await staged.running())["c1", "web"] == "c"
    assert await statement(staged, "c1") is None
    assert len(await staged.facts("rollback-over")) == 1


async def test_a_run_goes_back_only_once_it_failed_for_good(staged):
    """L2: what may still pass has the app's own time; what cannot pass goes back at once."""
    slow = {"options": {"prune": True, "timeout": "5m"}}
    await staged.take(commit(2, "b", **slow))
    await staged.report("c1", "web", **HALF)
    await staged.pass_time(minutes=4)

    assert (await staged.running())["c1", "web"] == "b"

    await staged.pass_time(minutes=2)

    assert (await staged.running())["c1", "web"] == "a"

    await staged.take(commit(3, "c", **slow))
    await staged.report("c1", "web", **HALF, lasting=True)

    assert (await staged.running())["c1", "web"] == "a"


async def test_what_is_still_broken_while_its_mending_is_applied_does_not_go_back(staged):
    """L2: until the new release is applied, what its agent says of health is about the one before."""
    await staged.take(commit(2, "b", PLAN.model_copy(update={"on_failure": "pause"})))
    await staged.report("c1", "web", **BROKEN)
    await staged.take(commit(3, "c"))
    pair = (await staged.counters())["c1", "web"]
    said = AppStatus(epoch=pair[0], generation=pair[1], sync=Sync.APPLYING, health=Health.FAILED)
    await staged.status("c1", (1, 1), {"web": said})

    assert (await staged.running())["c1", "web"] == "c"


async def test_what_fails_after_it_was_resumed_does_not_go_back_again(staged):
    """L2: at most once per revision."""
    await staged.take(commit(2, "b"))
    await staged.report("c1", "web", **BROKEN)
    await staged.command("resume", app="web", cluster="c1")

    assert (await staged.running())["c1", "web"] == "b"

    await staged.report("c1", "web", **BROKEN)

    assert (await staged.running())["c1", "web"] == "b"
    assert (await rollout(staged))["state"] == "paused"


async def test_an_app_that_never_did_well_has_nothing_to_go_back_to(registry):
    """L2: its rollout pauses, and nothing is released."""
    await registry.join("c1", "c2")
    await registry.take(commit(1, "a"))
    counters = await registry.counters()
    await registry.report("c1", "web", **BROKEN)

    assert await registry.counters() == counters
    assert (await rollout(registry))["state"] == "paused"


@pytest.mark.parametrize("policy", ["pause", "continue"])
async def test_nothing_goes_back_by_itself_where_nobody_asks_for_it(staged, policy):
    """L2: only with onFailure: rollback."""
    await staged.take(commit(2, "b", PLAN.model_copy(update={"on_failure": policy})))
    await staged.report("c1", "web", **BROKEN)

    assert (await staged.running())["c1", "web"] == "b"


async def test_a_rollout_without_stages_goes_back_as_well(registry):
    """L2: all at once, and each cluster for itself."""
    at_once = partial(commit, plan=RolloutPlan(on_failure="rollback"))
    await registry.join("c1", "c2")
    await registry.take(at_once(1, "a"))
    for cluster in LABELS:
        await registry.report(cluster, "web")
    await registry.take(at_once(2, "b"))
    await registry.report("c1", "web", **BROKEN)
    await registry.report("c2", "web")

    assert await registry.running() == {("c1", "web"): "a", ("c2", "web"): "b"}


async def test_git_that_goes_back_itself_ends_it_without_a_change_in_the_cluster(staged):
    """L4: what a revert wants runs already; the target is no longer behind."""
    await staged.take(commit(2, "b"))
    await staged.report("c1", "web", **BROKEN)
    await staged.take(commit(3, "a"))

    assert await staged.running() == {("c1", "web"): "a", ("c2", "web"): "a"}
    assert await statement(staged, "c1") is None
    assert (await staged.roster("c1"))["web"]["provenance"][0]["commit"] == TO_C


async def test_a_person_takes_an_app_back_everywhere_until_it_is_resumed(staged):
    """Q3: with actor and reason; also where the commit has not come yet."""
    await staged.take(commit(2, "b"))
    done = await staged.command("rollback", app="web", to=TO_A[:12], reason="incident 42")

    assert (done.data["ok"], done.data["result"]["targets"]) == (True, 2)
    assert await staged.running() == {("c1", "web"): "a", ("c2", "web"): "a"}
    said = await statement(staged, "c1"), await statement(staged, "c2")
    assert [each["from"] for each in said] == ["1.2", ""]
    assert {(each["actor"], each["reason"], each["automatic"]) for each in said} == {("ada", "incident 42", False)}
    assert (await rollout(staged))["state"] == "finished"

    await staged.command("suspend", app="web")
    await staged.command("resume", app="web", cluster="c2")

    assert (await statement(staged, "c1"))["reason"] == "incident 42"

    await staged.command("resume", app="web")
    await staged.report("c1", "web")

    assert await staged.running() == {("c1", "web"): "b", ("c2", "web"): "b"}


async def test_the_same_rollback_asked_twice_is_one(staged):
    """Q3: idempotent by the action's id."""
    await staged.take(commit(2, "b"))
    first = await staged.command("rollback", "same", app="web", reason="once")
    counters = await staged.counters()
    again = await staged.command("rollback", "same", app="web", reason="once")

    assert first.data == again.data
    assert await staged.counters() == counters


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"app": "web", "to": "ffffffff"}, "rollback.unknown"),
        ({"app": "web", "to": "1"}, "rollback.unknown"),
        ({"app": "web", "to": "yesterday"}, "rollback.unknown"),
        ({"app": "web", "cluster": "c1", "to": "1.1"}, "rollback.current"),
        ({"app": "web"}, "rollback.unknown"),
        ({"cluster": "c1"}, "rollback.app"),
        ({"app": "nothing"}, "app.unknown"),
    ],
)
async def test_what_nothing_can_go_back_to_is_refused_and_changes_nothing(staged, arguments, code):
    """Q3: a refusal names what is known, and leaves everything as it is."""
    counters = await staged.counters()
    done = await staged.command("rollback", **arguments)

    assert (done.data["ok"], done.data["code"]) == (False, code)
    assert await staged.counters() == counters


async def test_one_cluster_is_taken_back_by_the_number_of_its_release(staged):
    """Q3: and by default to what did well before."""
    for number, name in enumerate("bc", 2):
        await staged.take(commit(number, name))
        for cluster in LABELS:
            await staged.report(cluster, "web")
    await staged.command("rollback", app="web", cluster="c1")

    assert await staged.running() == {("c1", "web"): "b", ("c2", "web"): "c"}

    await staged.report("c1", "web", **BACK)
    await staged.command("rollback", app="web", cluster="c1")

    assert await staged.running() == {("c1", "web"): "a", ("c2", "web"): "c"}

    await staged.command("rollback", app="web", cluster="c1", to="1.2")

    assert await staged.running() == {("c1", "web"): "b", ("c2", "web"): "c"}


async def test_a_commit_that_left_a_cluster_as_it_was_means_what_it_ran_then(staged):
    """Q3: `--to COMMIT` is the state of git at that commit."""
    await staged.take(commit(2, "a", options={"prune": False}))
    for cluster in LABELS:
        await staged.report(cluster, "web")
    part = fleet(LABELS, rollouts_={"standard": PLAN}, default="standard")
    await staged.take(rendered(3, {WEB[0]: "b", WEB[1]: "a"}, part=part, options={"prune": False}))
    await staged.report("c1", "web")
    await staged.take(commit(4, "c"))
    await staged.report("c1", "web")
    await staged.report("c2", "web")
    await staged.command("rollback", app="web", to=TO_C)

    assert await staged.running() == {("c1", "web"): "b", ("c2", "web"): "a"}


async def test_what_did_well_last_is_kept_however_often_it_failed_since(staged):
    """L1: garbage collection leaves what a rollback needs, the bundle included."""
    for number, name in enumerate("bcdefgh", 2):
        await staged.take(commit(number, name, PLAN.model_copy(update={"on_failure": "continue"})))
        await staged.report("c1", "web", **BROKEN)
    staged.clock.pass_(hours=2)
    await garbage.collect(staged.store)

    assert dg("a") in {row["bundle"] for row in await staged.rows(bundles)}
    assert len(await staged.rows(releases, releases.c.cluster == "c1")) == garbage.RELEASES_KEPT + 1

    await staged.command("rollback", app="web", cluster="c1")

    assert (await staged.running())["c1", "web"] == "a"
