import pytest

from services.auditor import changes, facts, fold
from services.auditor.presence import Attendance, Transition
from shared.core.status import Result
from tests.support import line_messages as line


def events_of(folded):
    return [(event.type, event.cluster, event.app) for event in folded.events]


def changes_of(folded, kind):
    return [change for change in folded.changes if isinstance(change, kind)]


def test_an_observed_tip_makes_its_commits_known_at_its_number():
    folded = fold.of_revision(line.revision(4, superseded=(3, 2)))

    assert events_of(folded) == [("revision.observed", "", "")]
    assert [(seen.commit, seen.number) for seen in changes_of(folded, changes.CommitSeen)] == [
        (line.commit_id(each), 4) for each in (4, 3, 2)
    ]


def test_a_failed_target_is_an_event_of_its_own_with_file_and_line():
    rendered = line.rendered(1, {("c1", "web"): line.problem(), ("c2", "web"): "a"})

    folded = fold.of_rendered(rendered, rendered.listing)

    assert events_of(folded) == [("revision.rendered", "", ""), ("target.render-failed", "c1", "web")]
    assert folded.events[1].message == "apps/web/app.yaml:3:7: mapping values are not allowed"
    assert [(t.cluster, t.render_failed) for t in changes_of(folded, changes.TargetRendered)] == [
        ("c1", True),
        ("c2", False),
    ]


def test_a_render_that_is_answered_twice_alike_has_one_key():
    first = line.rendered(1, {("c1", "web"): "a"})
    again = first.model_copy(update={"finished_at": line.at(99)})
    other = line.rendered(1, {("c1", "web"): "b"})
    keys = [fold.of_rendered(each, each.listing).events[0].key for each in (first, again, other)]

    assert keys[0] == keys[1] != keys[2]


@pytest.mark.parametrize(
    ("trigger", "result", "kind", "severity"),
    [
        ("release", Result.SUCCEEDED, "apply.succeeded", "info"),
        ("release", Result.FAILED, "apply.failed", "error"),
        ("drift", Result.SUCCEEDED, "drift.succeeded", "info"),
        ("resume", Result.HELD, "apply.held", "warning"),
    ],
)
def test_a_report_is_an_event_by_its_trigger_and_result(trigger, result, kind, severity):
    folded = fold.of_report(line.report("c1", "web", 3, trigger=trigger, result=result), line.at(5))

    assert events_of(folded) == [(kind, "c1", "web")]
    assert folded.events[0].severity == severity


def test_a_report_about_the_whole_cluster_changes_no_target():
    folded = fold.of_report(line.report("c1", "", 3, result=Result.REFUSED), line.at(5))

    assert events_of(folded) == [("desired.refused", "c1", "")]
    assert folded.changes == ()


def test_a_status_is_a_value_and_no_event():
    folded = fold.of_status(line.status("c1", {"web": (2, "Synced", "Current")}, second=4), line.at(5))

    assert folded.events == ()
    assert [type(change).__name__ for change in folded.changes] == ["AgentSaid", "TargetSeen"]


def test_what_was_released_is_read_from_a_list_of_releases():
    folded = facts.of_fact(line.released(3, {("c1", "web"): "a", ("c2", "web"): "a"}))

    rows = changes_of(folded, changes.TargetReleased)
    assert [(row.cluster, row.generation, row.number, row.commit) for row in rows] == [
        ("c1", 3, 3, line.commit_id(3)),
        ("c2", 3, 3, line.commit_id(3)),
    ]


def test_what_was_released_is_read_from_the_fact_itself():
    fact = line.fact("released", 1, cluster="c1", app="web", data={"epoch": 1, "generation": 7, "bundle": "b"})

    (row,) = changes_of(facts.of_fact(fact), changes.TargetReleased)

    assert (row.cluster, row.app, row.generation, row.bundle) == ("c1", "web", 7, "b")


def test_a_sealed_result_never_reaches_ledger_or_read_model():
    canary = "eyJzZWNyZXQi"
    fact = line.fact(
        "command-done",
        1,
        command="42",
        data={"ok": True, "result": {"cluster": "c1", "sealed": canary, "nested": [{"join_token": canary}]}},
    )

    folded = facts.of_fact(fact)

    assert canary not in repr(folded)
    assert changes_of(folded, changes.CommandDone)[0].result["cluster"] == "c1"


def test_facts_of_unknown_types_are_kept():
    folded = facts.of_fact(line.fact("moon-risen", 1, data={"phase": "full"}))

    assert events_of(folded) == [("moon.risen", "", "")]
    assert folded.changes == ()


def test_an_agent_comes_once_and_goes_after_its_time():
    attendance = Attendance(gone_after_s=90)

    assert attendance.heard("c1", 0) == Transition("c1", present=True)
    assert attendance.heard("c1", 60) is None
    assert attendance.gone(149) == []
    assert attendance.gone(150) == [Transition("c1", present=False)]
    assert attendance.gone(151) == []
    assert attendance.heard("c1", 160) == Transition("c1", present=True)


def test_after_a_restart_an_agent_has_the_full_time_again():
    attendance = Attendance(gone_after_s=90)
    attendance.assume(["c1"], 1000)

    assert attendance.gone(1089) == []
    assert attendance.heard("c1", 1089) is None
