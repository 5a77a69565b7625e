"""The health that other projects expect of real objects, case by case; a failure names the cases."""

import json

import pytest

from services.applier.health import health_of, judged
from services.applier.health.builtin import WAIT_FOR, deviation_of
from services.applier.health.kstatus import computed
from services.applier.rulebook import Rulebook
from shared.core.objects import group_of
from shared.core.status import Health
from tests.support.data import data_path

CONDITIONS = {Health.IN_PROGRESS: "Reconciling", Health.FAILED: "Stalled"}
ARGO_WORDS = {
    Health.CURRENT: "Healthy",
    Health.FAILED: "Degraded",
    Health.IN_PROGRESS: "Progressing",
    Health.TERMINATING: "Progressing",
    Health.NOT_FOUND: "Missing",
    Health.UNKNOWN: "Unknown",
}
RULES = Rulebook()


def cases(name):
    return [json.loads(line) for line in data_path(name).read_text().splitlines()]


def rule_for(manifest):
    return RULES.rule(group_of(manifest["apiVersion"]), manifest["kind"])


def argo_word(status):
    return "Suspended" if status.reason == "Suspended" else ARGO_WORDS[status.health]


def told(found):
    conditions = (
        [{"type": CONDITIONS[found.health], "status": "True", "reason": found.reason}]
        if found.health in CONDITIONS
        else []
    )
    return (found.health.value, conditions)


def test_kstatus_agrees_with_every_case_of_its_set():
    wrong = [
        (case["case"], told(found))
        for case in cases("kstatus.jsonl")
        for found in [computed(case["input"])]
        for expected in [case["expected"]]
        if told(found)
        != (expected["status"], [{k: c[k] for k in ("type", "status", "reason")} for c in expected["conditions"]])
    ]

    assert wrong == []


def as_argo_waits(manifest):
    """Return an object as Argo CD judges it: an address is always waited for."""
    if manifest["kind"] not in {"Service", "Ingress"}:
        return manifest
    metadata = manifest["metadata"]
    return {
        **manifest,
        "metadata": {**metadata, "annotations": {**(metadata.get("annotations") or {}), WAIT_FOR: "address"}},
    }


def test_built_in_kinds_agree_with_every_case_of_argo_rule_j1():
    wrong = []
    for case in cases("health_builtin_argo.jsonl"):
        manifest, expected = as_argo_waits(case["input"]), case["expected"]["health"]
        if expected is None:
            # Argo CD has no built-in opinion on the kind; neither have we.
            assert deviation_of(group_of(manifest["apiVersion"]), manifest["kind"]) is None
        elif argo_word(found := health_of(manifest, rule_for(manifest))) != expected:
            wrong.append((case["case"], expected, found))

    assert wrong == []


def without_deletion(manifest):
    """Return an object as a rule sees it: whether it is being deleted is decided before a rule is asked."""
    metadata = {**(manifest.get("metadata") or {})}
    metadata.pop("deletionTimestamp", None)
    return {**manifest, "metadata": metadata}


def verdicts(manifest):
    """Return what may be said about an object: of one that is being deleted both that, and what its rule says."""
    rule = rule_for(manifest)
    judgement = judged(without_deletion(manifest), rule)
    return (
        [judgement] if health_of(manifest, rule).health is not Health.TERMINATING else [judgement, health_of(manifest)]
    )


def argo_errors(case):
    found, expected = verdicts(case["input"]), case["expected"]["health"]
    return [] if expected in map(argo_word, found) else [(case["case"], expected, found)]


def karmada_errors(case):
    found, expected = verdicts(case["input"]), case["expected"]["healthy"]
    return [] if expected in {each.health is Health.CURRENT for each in found} else [(case["case"], expected, found)]


@pytest.mark.parametrize(
    ("name", "errors"),
    [("health_crd_argo", argo_errors), ("health_crd_karmada", karmada_errors)],
    ids=["argo", "karmada"],
)
def test_custom_resources_are_judged_as_their_projects_mean_it(name, errors):
    listed = cases(f"{name}.jsonl")

    wrong = [error for case in listed for error in errors(case)]

    assert len(wrong) <= len(listed) * 0.05, "\n".join(map(str, wrong))
