"""What looks like drift and is none (I4)."""

from services.applier.diff import Change
from services.applier.fields import MISSING, fields_of
from services.applier.ownership import as_ownership, silent, taken_from_us
from services.applier.planned import Cause, Create, Patch, Plan, Skip, SkipReason, Stage
from services.applier.state import Header, Inventory, Wanted
from shared.core.objects import ObjectKey

KEYS = [ObjectKey("", "ConfigMap", "web", name) for name in "abc"]
WANTED = [Wanted(key, "v1", b"{}", "d") for key in KEYS]
A, B = ("f:data", "f:a"), ("f:data", "f:b")


def live(*paths, manager="towline"):
    entry = {"manager": manager, "operation": "Apply", "fieldsV1": fields_of(paths)}
    return {"metadata": {"managedFields": [entry]}}


def test_a_field_that_is_otherwise_and_still_ours_was_overridden_by_admission():
    """I4: a foreign change would have made it somebody else's."""
    found = [Change(A, "1", "overridden"), Change(B, "1", MISSING, ("somebody",))]

    assert taken_from_us(found, live(A)) == (found[1],)


def test_without_an_entry_of_ours_everything_was_taken():
    found = (Change(A, "1", "2"),)

    assert taken_from_us(found, live(A, manager="other")) == found
    assert taken_from_us(found, {"metadata": {}}) == found


def test_objects_of_equal_values_are_corrected_and_not_told_of():
    """I4: what is made anew, and what differs, stays drift."""
    steps = (
        Patch(WANTED[0], "u", Cause.DRIFT),
        Patch(WANTED[1], "u", Cause.DRIFT),
        Create(WANTED[2], Cause.DRIFT),
    )
    todo = as_ownership(Plan(Inventory(Header("web")), (Stage(0, 0, steps),)), {KEYS[0], KEYS[2]})

    assert [step.cause for step in todo.steps()] == [Cause.OWNERSHIP, Cause.DRIFT, Cause.DRIFT]
    assert silent(todo) == {KEYS[0]}


def test_where_drift_is_only_reported_objects_of_equal_values_are_unchanged():
    steps = (Skip(KEYS[0], SkipReason.DRIFT_REPORTED), Skip(KEYS[1], SkipReason.DRIFT_REPORTED))
    todo = as_ownership(Plan(Inventory(Header("web")), (Stage(0, 0, steps),)), {KEYS[0]})

    assert [step.reason for step in todo.steps()] == [SkipReason.UNCHANGED, SkipReason.DRIFT_REPORTED]
