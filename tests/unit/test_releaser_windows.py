"""Windows in plans: which of them are closed, and what a rollout makes of that."""

from datetime import UTC, datetime

from services.releaser.rollout import Go, Pause, Standing, next_move
from services.releaser.windows import as_of, timed_plan
from shared.messages.renders import AppPart, RolloutPlan, StagePlan, WindowPart

DECLARED = {"office": WindowPart(allow=("Mon-Fri 09:00-16:00",), timezone="Europe/Berlin")}
NOON, EVENING = datetime(2026, 11, 24, 11, tzinfo=UTC), datetime(2026, 11, 24, 18, tzinfo=UTC)
DEV = [Standing("dev", {"env": "dev"}, current=False, moved=False)]
UNTIL = "frozen until 2026-11-25T08:00:00Z (office)"


def app(*windows):
    return AppPart(name="web", options={"windows": [{"name": each, **DECLARED[each].model_dump()} for each in windows]})


def move(plan, when, approved=()):
    return next_move(as_of(plan, when), DEV, frozenset(approved))


def test_an_app_without_windows_keeps_its_plan():
    plan = RolloutPlan(stages=(StagePlan(name="dev", gates={"soak": "10m"}),))

    assert timed_plan(None, app(), DECLARED) is None
    assert timed_plan(plan, app(), DECLARED) == plan
    assert as_of(plan, EVENING) == plan


def test_an_app_without_stages_is_one_that_only_time_opens_q5():
    plan = timed_plan(None, app("office"), DECLARED)

    assert as_of(plan, NOON).stages == ()
    assert move(plan, EVENING) == Pause("", UNTIL, ("/frozen",))
    assert move(plan, EVENING, ["/frozen"]) == Go("", ("dev",))


def test_windows_of_app_and_stage_are_both_kept_q5():
    stage = StagePlan(name="dev", match={"env": "dev"}, gates={"windows": ["office"]})
    plan = timed_plan(RolloutPlan(stages=(stage,)), app("office"), DECLARED)

    assert move(plan, NOON) == Go("dev", ("dev",))
    assert move(plan, EVENING) == Pause("dev", f"stage 'dev': {UNTIL}; {UNTIL}", ("dev/frozen", "dev/windows"))
    assert move(plan, EVENING, ["dev/frozen", "dev/windows"]) == Go("dev", ("dev",))


def test_another_gate_waits_for_a_person_whatever_the_time():
    stage = StagePlan(name="dev", match={"env": "dev"}, gates={"windows": ["office"], "approval": "manual"})
    plan = timed_plan(RolloutPlan(stages=(stage,)), app(), DECLARED)

    assert move(plan, NOON).needs == ("dev/approval",)
    assert move(plan, EVENING).reason == f"stage 'dev' waits for a person (approval: manual, windows: {UNTIL})"


def test_a_stage_whose_window_nobody_declares_is_closed_q5():
    stage = StagePlan(name="dev", match={"env": "dev"}, gates={"windows": ["never"]})
    found = move(timed_plan(RolloutPlan(stages=(stage,)), app(), DECLARED), NOON)

    assert found == Pause("dev", "stage 'dev': frozen: nobody says when the window 'never' is open", ("dev/windows",))
