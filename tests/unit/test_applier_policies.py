"""What an object asks for decides about it before its app does."""

import pytest

from services.applier.documents import Blob, Bundle, ReleaseDocument
from services.applier.guard import HoldReason
from services.applier.options import Drift, Options
from services.applier.plan import plan
from services.applier.planned import Orphan, Patch, Prune, Skip, SkipReason
from services.applier.policy import NOTHING, Leave, Policy
from services.applier.state import Absent, Entry, Header, Inventory, Present, Wanted
from services.applier.tracking import owner_value
from shared.core.objects import ObjectKey

A, B = (ObjectKey("", "ConfigMap", "shop", name) for name in "ab")
KEEP, CONFIRM = Policy(prune=Leave.KEEP), Policy(prune=Leave.CONFIRM)


def live(key, policy=NOTHING, own=NOTHING, owned="o1"):
    return Present(f"u-{key.name}", "7", owner=owner_value("web", key), agent="c1", owned=owned, policy=policy, own=own)


def entry(key, **asks):
    return Entry(key, "v1", f"u-{key.name}", "d", "o1", created=True, **asks)


def decided(state, *entries, policy=None, options=None, removed=False):
    """Return the step for A, which is in the bundle where it has a policy, and the plan."""
    bundle = None if removed else Bundle("b", 1, 1, Blob("b", 1))
    release = ReleaseDocument("web", 1, 1, removed=removed, bundle=bundle, deletes=frozenset({str(A), str(B)}))
    wanted = {} if policy is None else {A: Wanted(A, "v1", b"{}", "d", policy=policy)}
    if not removed:
        wanted[B] = Wanted(B, "v1", b"{}", "d")
    known = Inventory(Header("web"), {each.key: each for each in (*entries, entry(B))})
    todo = plan(wanted, {A: state, B: live(B)}, known, release, options or Options(), cluster="c1")
    return next(step for step in todo.steps() if step.key == A), todo


@pytest.mark.parametrize(
    ("drift", "app", "expected"),
    [
        (Drift.REPORT, Drift.CORRECT, SkipReason.DRIFT_REPORTED),
        (Drift.IGNORE, Drift.CORRECT, SkipReason.UNCHANGED),
        (Drift.CORRECT, Drift.REPORT, None),
        (None, Drift.REPORT, SkipReason.DRIFT_REPORTED),
    ],
)
def test_an_object_has_its_own_say_about_drift(drift, app, expected):
    """I6."""
    changed, _ = decided(live(A, owned="o2"), entry(A), policy=Policy(drift=drift), options=Options(drift=app))
    deleted, _ = decided(Absent(), entry(A), policy=Policy(drift=drift), options=Options(drift=app))

    assert isinstance(changed, Patch) if expected is None else changed == Skip(A, expected)
    assert isinstance(deleted, Skip) is (expected is not None)


@pytest.mark.parametrize(
    ("state", "known", "removed", "options", "expected"),
    [
        (live(A, KEEP), entry(A), False, Options(), Orphan),
        (live(A), entry(A, prune="keep"), False, Options(), Orphan),
        (live(A, KEEP), entry(A, prune="keep"), True, Options(), Prune),
        (live(A, Policy(delete=Leave.KEEP)), entry(A), True, Options(), Orphan),
        (live(A), entry(A, delete="keep"), True, Options(), Orphan),
        (live(A, Policy(delete=Leave.KEEP)), entry(A, delete="keep"), False, Options(), Prune),
        (live(A, KEEP), entry(A), False, Options(compat=False), Prune),
        (live(A, KEEP, own=KEEP), entry(A), False, Options(compat=False), Orphan),
        (live(A), entry(A, hook=True), False, Options(), Orphan),
        (live(A), entry(A, hook=True), True, Options(), Prune),
    ],
)
def test_what_leaves_is_kept_where_the_live_or_the_last_applied_object_says_so(
    state, known, removed, options, expected
):
    """F4, F12, K1: leaving a bundle and the removal of the app are two questions."""
    step, _ = decided(state, known, removed=removed, options=options)

    assert isinstance(step, expected)


def test_a_deletion_is_propagated_as_the_object_asks():
    """F6."""
    step, _ = decided(live(A, Policy(propagation="Foreground")), entry(A))

    assert (step.propagation, step.resource_version) == ("Foreground", "")
    assert decided(live(A), entry(A))[0].propagation == "Background"


@pytest.mark.parametrize(
    ("state", "known", "removed", "waits"),
    [
        (live(A, CONFIRM), entry(A), False, True),
        (live(A), entry(A, prune="confirm"), False, True),
        (live(A, CONFIRM), entry(A), True, False),
        (live(A, Policy(delete=Leave.CONFIRM)), entry(A), True, True),
    ],
)
def test_a_deletion_waits_for_a_person_where_the_object_asks_for_one(state, known, removed, waits):
    """F15: and only that one."""
    step, todo = decided(state, known, removed=removed)

    if waits:
        assert step == Skip(A, SkipReason.HELD)
        assert (todo.held.reason, todo.held.keys) == (HoldReason.CONFIRM, (A,))
    else:
        assert isinstance(step, Prune)


def test_an_object_of_somebody_else_has_to_exist_before_the_run_is_well():
    """Q1: it is never written, and nothing is pruned before it is there."""
    asks = Policy(ignore=True, exists=True)

    absent, todo = decided(Absent(), policy=asks)
    assert absent.reason is SkipReason.AWAITED
    assert todo.suppressed
    assert decided(live(A), policy=asks)[0].reason is SkipReason.IGNORED
