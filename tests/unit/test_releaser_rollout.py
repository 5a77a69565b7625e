from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.releaser.rollout import Finish, Go, Outcome, Pause, Standing, TakeBack, Wait, batch_size, next_move
from shared.messages.renders import RolloutPlan, StagePlan

DEV = StagePlan(name="dev", match={"env": "dev"})
PROD = StagePlan(name="prod", match={"env": "prod"}, batch="50%", max_failures=1)
PLAN = RolloutPlan(stages=(DEV, PROD))


def standing(cluster, outcome=Outcome.GOOD, *, env=None, current=True, moved=True):
    return Standing(cluster, {"env": env or cluster.partition("-")[0]}, current, moved, outcome)


def todo(cluster, **more):
    return standing(cluster, current=False, moved=False, outcome=Outcome.WAITING, **more)


def failed(cluster, *, reversible=True):
    return replace(standing(cluster, Outcome.BAD), reversible=reversible)


CASES = [
    pytest.param([todo("dev-1"), todo("prod-1")], Go("dev", ("dev-1",)), id="the first stage goes first"),
    pytest.param(
        [standing("dev-1", Outcome.WAITING), todo("prod-1")], Wait("dev", ("dev-1",)), id="the next waits for it"
    ),
    pytest.param([standing("dev-1"), todo("prod-1"), todo("prod-2")], Go("prod", ("prod-1",)), id="half of a stage"),
    pytest.param(
        [standing("dev-1"), standing("prod-1"), todo("prod-2")], Go("prod", ("prod-2",)), id="then the other half"
    ),
    pytest.param([standing("dev-1"), standing("prod-1")], Finish(), id="all proven"),
    pytest.param([standing("dev-1", Outcome.SILENT), todo("prod-1")], Go("prod", ("prod-1",)), id="offline blocks not"),
    pytest.param([standing("dev-1", Outcome.SILENT)], Finish(("dev-1",)), id="offline is listed"),
    pytest.param(
        [standing("dev-1", Outcome.BAD), todo("prod-1")],
        Pause("dev", "1 of 1 clusters failed in stage 'dev': dev-1", ("failed/dev-1",)),
        id="a failure pauses",
    ),
    pytest.param(
        [standing("dev-1"), standing("prod-1", Outcome.BAD), todo("prod-2")],
        Go("prod", ("prod-2",)),
        id="as many failures as allowed",
    ),
    pytest.param(
        [standing("dev-1", Outcome.BAD, moved=False), todo("prod-1")],
        Go("prod", ("prod-1",)),
        id="what failed before this rollout counts not",
    ),
    pytest.param(
        [standing("dev-1"), todo("x", env="other")],
        Pause("", "no stage of the rollout matches x"),
        id="a cluster that no stage takes is never skipped silently",
    ),
]


@pytest.mark.parametrize(("targets", "move"), CASES)
def test_the_next_move_follows_from_where_targets_stand(targets, move):
    assert next_move(PLAN, targets) == move


def test_a_gate_that_nobody_knows_pauses_until_it_is_approved():
    plan = RolloutPlan(stages=(DEV, PROD.model_copy(update={"gates": {"moon": "full"}})))
    targets = [standing("dev-1"), todo("prod-1")]
    paused = next_move(plan, targets)

    assert paused == Pause("prod", "stage 'prod' waits for a person (moon: full)", ("prod/moon",))
    assert next_move(plan, targets, frozenset(paused.needs)) == Go("prod", ("prod-1",))


def test_soak_stands_behind_its_stage():
    plan = RolloutPlan(stages=(DEV.model_copy(update={"gates": {"soak": "10m"}}), PROD))

    assert next_move(plan, [todo("dev-1"), todo("prod-1")]) == Go("dev", ("dev-1",))
    assert isinstance(next_move(plan, [standing("dev-1"), todo("prod-1")]), Pause)
    assert next_move(plan, [standing("dev-1"), standing("prod-1")]) == Finish()


@pytest.mark.parametrize("policy", ["pause", "rollback"])
def test_approved_failures_do_not_pause_again(policy):
    plan = RolloutPlan(stages=(DEV, PROD), on_failure=policy)
    targets = [standing("dev-1", Outcome.BAD), todo("prod-1")]
    paused = next_move(plan, targets)

    assert isinstance(paused, Pause)
    assert next_move(plan, targets, frozenset(paused.needs)) == Go("prod", ("prod-1",))


@pytest.mark.parametrize(
    ("targets", "move"),
    [
        pytest.param([failed("dev-1"), todo("prod-1")], TakeBack("dev", ("dev-1",)), id="what failed goes back"),
        pytest.param(
            [failed("dev-1", reversible=False), todo("prod-1")],
            Pause("dev", "1 of 1 clusters failed in stage 'dev': dev-1", ("failed/dev-1",)),
            id="what cannot go back stays",
        ),
        pytest.param(
            [standing("dev-1", Outcome.BACK), todo("prod-1")],
            Pause(
                "dev",
                "1 of 1 clusters failed in stage 'dev': dev-1; dev-1 went back to what ran before",
                ("failed/dev-1",),
            ),
            id="what went back counts as failed",
        ),
        pytest.param(
            [standing("dev-1"), failed("prod-1"), todo("prod-2")], TakeBack("prod", ("prod-1",)), id="before others"
        ),
        pytest.param(
            [standing("dev-1"), standing("prod-1", Outcome.BACK), todo("prod-2")],
            Go("prod", ("prod-2",)),
            id="others go on while no more failed than may",
        ),
        pytest.param(
            [standing("dev-1"), standing("prod-1", Outcome.BACK)], Finish((), ("prod-1",)), id="told at the end"
        ),
        pytest.param(
            [standing("dev-1", Outcome.BACK, moved=False), todo("prod-1")],
            Go("prod", ("prod-1",)),
            id="what a person took back blocks nobody",
        ),
    ],
)
def test_going_back(targets, move):
    """L2: each target for itself, and the stages after it are none the wiser."""
    assert next_move(PLAN.model_copy(update={"on_failure": "rollback"}), targets) == move


def test_continue_goes_on_whatever_fails():
    plan = RolloutPlan(stages=(DEV, PROD), on_failure="continue")

    assert next_move(plan, [standing("dev-1", Outcome.BAD), todo("prod-1")]) == Go("prod", ("prod-1",))


def test_more_than_a_tenth_of_the_clusters_holding_deletions_pauses():
    held = [standing(f"dev-{n}", Outcome.HELD) for n in range(2)]
    many = [standing(f"dev-x{n}") for n in range(17)]

    assert isinstance(next_move(PLAN, [*held, todo("prod-1")]), Pause)
    assert next_move(PLAN, [*held, *many, todo("prod-1")]) == Go("prod", ("prod-1",))


@pytest.mark.parametrize(
    ("batch", "targets", "size"),
    [("", 7, 7), ("25%", 4, 1), ("25%", 5, 2), ("1%", 3, 1), ("3", 10, 3), ("0", 3, None), ("x", 3, None)],
)
def test_batches(batch, targets, size):
    assert batch_size(batch, targets) == size


plans = st.builds(
    lambda batches, failures: RolloutPlan(
        stages=tuple(
            StagePlan(name=env, match={"env": env}, batch=batch, max_failures=failures)
            for env, batch in zip(("dev", "test", "prod"), batches, strict=True)
        )
    ),
    st.lists(st.sampled_from(["", "1", "2", "25%", "50%"]), min_size=3, max_size=3),
    st.integers(0, 2),
)


@given(plans, st.lists(st.sampled_from(["dev", "test", "prod"]), min_size=1, max_size=12), st.data())
def test_no_stage_begins_before_the_one_before_it_is_proven_and_no_batch_is_exceeded(plan, envs, data):
    """Whatever outcomes come, in whatever order: batches hold, stages hold, and good targets all arrive."""
    targets = {f"{env}-{n}": todo(f"{env}-{n}") for n, env in enumerate(envs)}
    stages = [stage.name for stage in plan.stages]
    for _ in range(200):
        move = next_move(plan, list(targets.values()))
        match move:
            case Go(stage=stage, clusters=clusters):
                size = batch_size(plan.stages[stages.index(stage)].batch, envs.count(stage))
                targets |= {name: standing(name, Outcome.WAITING) for name in clusters}
                waiting = [t for t in targets.values() if t.labels["env"] == stage and t.outcome is Outcome.WAITING]
                unproven = [t for t in waiting if t.current]
                earlier = [t for t in targets.values() if stages.index(t.labels["env"]) < stages.index(stage)]

                assert len(unproven) <= size
                assert all(t.current and t.outcome is not Outcome.WAITING for t in earlier)
            case Wait(waiting=waiting):
                name = data.draw(st.sampled_from(waiting))
                outcome = data.draw(st.sampled_from([Outcome.GOOD, Outcome.BAD, Outcome.SILENT]))
                targets[name] = standing(name, outcome)
            case Pause(stage=stage):
                bad = [t for t in targets.values() if t.labels["env"] == stage and t.outcome is Outcome.BAD]
                allowed = plan.stages[stages.index(stage)].max_failures

                assert len(bad) > allowed
                return
            case Finish():
                assert all(t.current for t in targets.values())
                return
    pytest.fail("the rollout did not end")
