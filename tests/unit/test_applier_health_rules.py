from importlib.resources import files

import pytest

from services.applier.health import Doubt, health_of
from services.applier.health.rules import OUTCOMES, entry_for, rule_of
from services.applier.rulebook import Rulebook
from shared.core.asking import is_meant
from shared.core.cel import ExpressionError
from shared.core.kubeyaml import documents
from shared.core.status import Health

FILES = sorted((files("services.applier.health") / "rules").iterdir(), key=lambda file: file.name)


def made(status=None, *, spec=None, generation=1, kind="acme.io/v1/Widget"):
    group, version, name = kind.split("/")
    manifest = {
        "apiVersion": f"{group}/{version}",
        "kind": name,
        "metadata": {"name": "a", "generation": generation},
        "spec": spec or {},
    }
    return manifest if status is None else {**manifest, "status": status}


def conditions(**found):
    return {"conditions": [{"type": name, "status": status} for name, status in found.items()]}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_rule_file_can_be_read_and_is_found_by_its_groups(file):
    (document,) = documents(file.read_bytes(), file.name)

    for entry in document.value:
        rule_of(entry)
        assert set(entry) <= {"kinds", "message", *OUTCOMES}
        assert entry["kinds"]
        for kind in entry["kinds"]:
            assert ".".join(kind.rpartition("/")[0].lstrip("*").split(".")[-2:]) == file.name.removesuffix(".yaml")


SPARSE = [
    {"conditions": []},
    {"observedGeneration": 1, "conditions": [{"type": "Odd", "status": "Unknown"}]},
    {"phase": "Odd", "conditions": [{"type": "Ready", "status": "False"}, {"type": "Accepted", "status": "False"}]},
]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_rule_has_an_answer_however_little_an_object_says(file):
    (document,) = documents(file.read_bytes(), file.name)

    found = [
        (entry["kinds"], told.message)
        for entry in document.value
        for status in SPARSE
        for spec in ({}, {"replicas": 1, "suspend": False})
        for told in [rule_of(entry).status_of(made(status, spec=spec))]
        if told.reason == "ExpressionFailed"
    ]

    assert found == []


def test_a_rule_is_found_by_kind_and_by_wildcard():
    rules = Rulebook()

    assert rules.rule("cert-manager.io", "Certificate") is not None
    assert rules.rule("sql.cnrm.cloud.google.com", "SQLInstance") is not None
    assert rules.rule("rds.aws.upbound.io", "Instance") is not None
    assert rules.rule("acme.io", "Widget") is None
    assert rules.rule("apps", "Deployment") is None
    assert rules.rule("cert-manager.io", "Unheard") is None


@pytest.mark.parametrize(
    ("written", "meant", "others"),
    [
        ("acme.io/Widget", [("acme.io", "Widget")], [("acme.io", "Gadget"), ("x.acme.io", "Widget")]),
        ("acme.io/Widget|Gadget", [("acme.io", "Gadget")], [("acme.io", "Thing")]),
        ("*.acme.io/*", [("x.acme.io", "Any"), ("x.y.acme.io", "Any")], [("acme.io", "Any")]),
        ("*acme.io/*Backup", [("acme.io", "FullBackup")], [("acme.io", "Widget")]),
        ("/ConfigMap", [("", "ConfigMap")], [("apps", "ConfigMap")]),
    ],
)
def test_kinds_are_named_by_group_and_kind(written, meant, others):
    assert all(is_meant(written, *each) for each in meant)
    assert not any(is_meant(written, *each) for each in others)


def test_the_first_entry_for_a_kind_counts():
    entries = [{"kinds": ["acme.io/Widget"], "current": "true"}, {"kinds": ["acme.io/*"], "failed": "true"}]

    assert entry_for(entries, "acme.io", "Widget") is entries[0]
    assert entry_for(entries, "acme.io", "Gadget") is entries[1]
    assert entry_for(entries, "other.io", "Gadget") is None


CHECK = {
    "inProgress": "status.phase == 'Working'",
    "failed": "status.phase == 'Broken' || status.load > 3",
    "current": "status.phase in ['Done', 'Working', 'Broken']",
}


@pytest.mark.parametrize(
    ("status", "health"),
    [
        ({"phase": "Working", "load": 9}, Health.IN_PROGRESS),
        ({"phase": "Broken", "load": 9}, Health.FAILED),
        ({"phase": "Done", "load": 9}, Health.FAILED),
        ({"phase": "Done", "load": 1}, Health.CURRENT),
        ({"phase": "Other", "load": 1}, Health.IN_PROGRESS),
    ],
)
def test_expressions_are_tried_in_order_and_none_is_in_progress_rule_j6(status, health):
    assert health_of(made(status), rule_of(CHECK)).health is health


def test_an_expression_that_fails_leaves_the_object_unknown_and_says_why_rule_j6():
    found = health_of(made({"phase": "Done"}), rule_of(CHECK))

    assert (found.health, found.reason) == (Health.UNKNOWN, "ExpressionFailed")
    assert found.message == "failed: no such key: 'load' (column 36)"


def test_an_expression_that_is_no_question_leaves_the_object_unknown_rule_j6():
    found = health_of(made({"phase": "Done"}), rule_of({"current": "status.phase"}))

    assert (found.health, found.message) == (Health.UNKNOWN, "current: neither true nor false")


def test_an_object_of_which_nothing_is_said_yet_is_in_progress_rule_j6():
    found = health_of(made(), rule_of({"current": "status.phase == 'Done'"}))

    assert (found.health, found.reason) == (Health.IN_PROGRESS, "NoStatus")


def test_an_expression_that_cannot_be_read_is_refused():
    with pytest.raises(ExpressionError, match="did you mean 'status'"):
        rule_of({"current": "statu.phase == 'Done'"})


@pytest.mark.parametrize(
    ("expression", "status", "expected"),
    [
        ("holds('Ready')", conditions(Ready="True"), True),
        ("holds('Ready')", conditions(Ready=True), True),
        ("holds('Ready')", conditions(Ready="False"), False),
        ("holds('Ready') || fails('Ready')", {"conditions": None}, False),
        ("fails('Ready')", conditions(Ready="False"), True),
        ("condition('Ready').status == 'Unknown'", conditions(Ready="Unknown"), True),
        ("condition('Gone').message == ''", conditions(Ready="True"), True),
        ("observed()", {"observedGeneration": 1}, False),
        ("observed()", {"observedGeneration": 2}, True),
        ("observed()", {"observedGeneration": "2"}, True),
        ("observed()", {"observedGeneration": "5f9d"}, True),
        ("observed()", {}, True),
        ("observed('Ready')", {"conditions": [{"type": "Ready", "observedGeneration": 1}]}, False),
        ("observed('Ready')", {"conditions": [{"type": "Ready"}]}, True),
        ("object.kind == kind && apiVersion == 'acme.io/v1' && metadata.name == 'a'", {}, True),
    ],
)
def test_what_a_rule_may_ask_besides_cel(expression, status, expected):
    found = rule_of({"current": expression}).status_of(made(status, generation=2))

    assert (found.health is Health.CURRENT) is expected


def test_what_a_controller_goes_on_trying_may_pass():
    status = conditions(Ready="False")

    assert rule_of({"degraded": "fails('Ready')"}).status_of(made(status)).doubt is Doubt.PASSING
    assert rule_of({"failed": "fails('Ready')"}).status_of(made(status)).doubt is Doubt.NONE


def test_the_words_come_from_the_condition_that_tells_most():
    status = {
        "conditions": [
            {"type": "Other", "status": "False", "reason": "Odd", "message": "odd"},
            {"type": "Ready", "status": "False", "reason": "NoRoom", "message": "no room left"},
            {"type": "Scheduled", "status": "True", "reason": "Fine", "message": "fine"},
        ]
    }

    failed = rule_of({"failed": "fails('Ready')"}).status_of(made(status))
    own = rule_of({"failed": "true", "message": "'see ' + status.conditions[0].message"}).status_of(made(status))

    assert (failed.reason, failed.message) == ("NoRoom", "no room left")
    assert own.message == "see odd"


def test_what_is_said_of_an_older_generation_counts_for_nothing_rule_j3():
    """J3: neither well nor failed until the newest generation is observed; a suspended object may never be."""
    status = {"observedGeneration": 1, **conditions(Ready="False")}
    failed, suspended = rule_of({"failed": "fails('Ready')"}), rule_of({"suspended": "true"})

    assert health_of(made(status, generation=2), failed).reason == "LatestGenerationNotObserved"
    assert health_of(made(status), failed).health is Health.FAILED
    assert health_of(made(status, generation=2), suspended).reason == "Suspended"


def test_an_object_that_is_being_deleted_is_asked_nothing_else():
    manifest = made(conditions(Ready="True"))
    manifest["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"

    assert health_of(manifest, rule_of({"current": "true"})).health is Health.TERMINATING
