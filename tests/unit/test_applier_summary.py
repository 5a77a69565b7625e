import pytest

from services.applier.errors import ErrorClass, Failure
from services.applier.guard import Held, HoldReason
from services.applier.planned import (
    Applied,
    Blocked,
    Create,
    Deferred,
    Failed,
    Gone,
    Orphan,
    Patch,
    Plan,
    Prune,
    Recreate,
    Released,
    Skip,
    SkipReason,
    Stage,
)
from services.applier.reports import Counts, Hold, ObjectFailure
from services.applier.state import Header, Inventory, Wanted
from services.applier.summary import summary
from shared.core.objects import ObjectKey
from shared.core.status import Result, Sync


def key(name):
    return ObjectKey("", "ConfigMap", "shop", name)


def wanted(name):
    return Wanted(key(name), "v1", b"{}", "d")


def plan(applies=(), prunes=(), **more):
    def stages(steps):
        return (Stage(0, 6, tuple(steps)),) if steps else ()

    return Plan(Inventory(Header("web")), stages(applies), stages(prunes), **more)


DONE = Applied("u", "1", "o")
FAILURE = Failed(Failure(ErrorClass.INVALID, "spec.x: Required value", "look"))


def test_every_object_is_counted_once():
    """E11."""
    todo = plan(
        [
            Create(wanted("a")),
            Patch(wanted("b"), "u"),
            Patch(wanted("c"), "u"),
            Recreate(wanted("d"), "u"),
            Skip(key("e"), SkipReason.UNCHANGED),
            Skip(key("f"), SkipReason.IGNORED),
        ],
        [
            Prune(key("p"), "v1", "u"),
            Prune(key("q"), "v1", "u"),
            Orphan(key("r"), "v1", "u"),
            Skip(key("s"), SkipReason.GONE),
            Skip(key("t"), SkipReason.NOT_OURS),
        ],
    )
    outcomes = {
        key("a"): DONE,
        key("b"): DONE,
        key("c"): Applied("u", "1", "o", changed=False),
        key("d"): DONE,
        key("p"): Gone(),
        key("q"): Released(),
        key("r"): Released(),
    }

    found = summary(todo, outcomes)

    assert found.counts == Counts(
        objects=6, created=1, patched=1, recreated=1, unchanged=2, pruned=1, kept=3, failed=0, skipped=2
    )
    assert (found.result, found.sync, found.reason) == (Result.SUCCEEDED, Sync.SYNCED, "")
    assert found.settled
    assert found.message == "1 created, 1 patched, 1 recreated, 2 unchanged, 1 pruned, 3 kept, 2 skipped"


def test_nothing_to_do_is_a_success():
    found = summary(plan(), {})

    assert (found.result, found.message) == (Result.SUCCEEDED, "nothing to do")


HELD = Held(HoldReason.PRUNE_GUARD, tuple(key(f"k{n:02}") for n in range(60)), "digest")


@pytest.mark.parametrize(
    ("todo", "outcomes", "result", "sync", "reason"),
    [
        (plan([Create(wanted("a"))]), {key("a"): FAILURE}, Result.FAILED, Sync.OUT_OF_SYNC, "Failed"),
        (
            plan([Create(wanted("a")), Create(wanted("b"))]),
            {key("a"): FAILURE, key("b"): DONE},
            Result.PARTIAL,
            Sync.OUT_OF_SYNC,
            "Partial",
        ),
        (plan([Skip(key("a"), SkipReason.CONFLICT)]), {}, Result.FAILED, Sync.OUT_OF_SYNC, "Failed"),
        (plan([Create(wanted("a"))]), {key("a"): Blocked("x")}, Result.PARTIAL, Sync.OUT_OF_SYNC, "Blocked"),
        (plan([], [Prune(key("a"), "v1", "u")]), {key("a"): Deferred()}, None, Sync.APPLYING, "DeletionsWait"),
        (
            plan([Patch(wanted("a"), "u"), Patch(wanted("b"), "u")]),
            {key("a"): Deferred(), key("b"): Blocked("a waits")},
            None,
            Sync.APPLYING,
            "DeletionsWait",
        ),
        (
            plan([Create(wanted("a"))], [Prune(key("b"), "v1", "u")]),
            {key("a"): FAILURE, key("b"): Deferred()},
            Result.FAILED,
            Sync.OUT_OF_SYNC,
            "Failed",
        ),
        (plan(held=HELD), {}, Result.HELD, Sync.HELD, "PruneGuard"),
        (plan(suppressed="discovery is partial"), {}, Result.PARTIAL, Sync.OUT_OF_SYNC, "PruneSuppressed"),
        (plan([Skip(key("a"), SkipReason.DRIFT_REPORTED)]), {}, Result.SUCCEEDED, Sync.OUT_OF_SYNC, "Drifted"),
    ],
)
def test_how_a_run_ended(todo, outcomes, result, sync, reason):
    """R1."""
    found = summary(todo, outcomes)

    assert (found.result, found.sync, found.reason) == (result, sync, reason)


def test_what_an_earlier_part_of_a_run_did_is_counted():
    todo = plan([Skip(key(name), SkipReason.UNCHANGED) for name in "abc"])
    before = {
        key("a"): DONE,
        key("b"): Applied("u", "1", "o", created=True),
        key("c"): Applied("u", "1", "o", changed=False),
    }

    assert summary(todo, before).counts == Counts(objects=3, created=1, patched=1, unchanged=1)


def test_a_superseded_run_says_so():
    assert summary(plan(), {}, superseded=True).result is Result.SUPERSEDED


def test_failures_are_listed_with_class_and_hint_and_the_first_is_told():
    """E11, R1."""
    todo = plan([Create(wanted("b")), Skip(key("a"), SkipReason.UNKNOWN_KIND, "acme.io/v1")])

    found = summary(todo, {key("b"): FAILURE})

    assert found.failures[1] == ObjectFailure("/ConfigMap:shop/b", "Invalid", "spec.x: Required value", "look")
    assert found.failures[0].code == "UnknownKind"
    assert found.failures[0].hint
    assert found.message == "2 failed; /ConfigMap:shop/a: acme.io/v1"


def test_what_waits_is_told_with_what_an_approval_must_name():
    found = summary(plan(held=HELD, suppressed="x"), {})

    assert found.hold == Hold("PruneGuard", tuple(str(k) for k in HELD.keys[:50]), 60, "digest")
    assert "60 deletions wait for approval (PruneGuard)" in found.message
    assert "nothing is pruned: x" in found.message
