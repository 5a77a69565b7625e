"""Hooks run once a bundle, whatever happens in between."""

import pytest

from services.applier.documents import Blob, Bundle, ReleaseDocument
from services.applier.errors import ErrorClass, Failure
from services.applier.hooks import ends, hooks_of, is_over, run_step
from services.applier.options import Options
from services.applier.plan import plan
from services.applier.planned import Applied, Create, Failed, Patch, Recreate, Skip, SkipReason
from services.applier.policy import NOTHING, Hook, HookEnd, Phase, Policy, Renew
from services.applier.settle import settled
from services.applier.state import Absent, Entry, Header, Inventory, Present, Wanted
from services.applier.tracking import owner_value
from shared.core.objects import ObjectKey

KEY = ObjectKey("batch", "Job", "shop", "migrate")
ENDS_WELL = Hook(Phase.BEFORE, frozenset({HookEnd.SUCCEEDED}))


def hook(**fields):
    return Policy(hook=Hook(Phase.BEFORE, **fields))


def wanted(policy=None, run="b2"):
    return Wanted(KEY, "v1", b"{}", f"d-{run}", policy=policy or hook(), run=run)


def live(run="b1", uid="u1", owner="web"):
    return Present(uid, "7", owner=owner_value(owner, KEY) if owner else "", agent="c1", run=run)


def entry(desired="d-b1", uid="u1", **fields):
    return Entry(KEY, "v1", uid, desired, hook=True, **fields)


def decided(state, *entries):
    """Return the plan for a bundle that is the hook alone."""
    release = ReleaseDocument("web", 1, 1, removed=False, bundle=Bundle("b2", 1, 1, Blob("b", 1)))
    known = Inventory(Header("web"), {each.key: each for each in entries})
    return plan({KEY: wanted()}, {KEY: state}, known, release, Options(), cluster="c1")


@pytest.mark.parametrize(
    ("policy", "known", "settled_bundle", "over"),
    [
        (hook(), None, "", False),
        (hook(), entry("d-b1"), "b1", False),
        (hook(), entry("d-b2"), "b1", True),
        (hook(first=True), None, "", False),
        (hook(first=True), None, "b2", False),
        (hook(first=True), None, "b1", True),
        (hook(first=False), None, "", True),
        (hook(first=False), None, "b2", True),
        (hook(first=False), None, "b1", False),
        (NOTHING, entry("d-b2"), "b1", False),
    ],
)
def test_a_hook_is_over_when_it_ran_or_its_time_is_another(policy, known, settled_bundle, over):
    """K1, K5: `pre-install` before the app was ever applied whole, `pre-upgrade` only after."""
    assert is_over(wanted(policy), known, Header("web", settled_bundle=settled_bundle), "b2") is over


@pytest.mark.parametrize(
    ("policy", "state", "known", "expected"),
    [
        pytest.param(hook(), live("b1"), entry(), Recreate, id="an-older-bundles"),
        pytest.param(hook(), live("b2"), entry(), Patch, id="cut-off-while-it-ran"),
        pytest.param(hook(), live("b2"), None, Patch, id="cut-off-and-inventory-lost"),
        pytest.param(hook(), live("b2"), entry(""), Recreate, id="it-failed"),
        pytest.param(hook(), live("b2"), entry("", uid="u0"), Patch, id="another-one-failed"),
        pytest.param(Policy(hook=ENDS_WELL), live("b1"), entry(), Patch, id="not-to-be-made-anew"),
        pytest.param(Policy(hook=ENDS_WELL), live("b2"), entry(""), Recreate, id="not-to-be-made-anew-but-failed"),
        pytest.param(hook(), live("", owner=""), None, Recreate, id="a-strangers"),
        pytest.param(NOTHING, live("b1"), entry(), None, id="no-hook"),
        pytest.param(Policy(renew=Renew.CHANGE), live(""), entry("d-b1"), Recreate, id="changed"),
        pytest.param(Policy(renew=Renew.CHANGE), live(""), entry("d-b2"), None, id="unchanged"),
        pytest.param(Policy(renew=Renew.CHANGE), live(""), None, None, id="found"),
        pytest.param(Policy(renew=Renew.REVISION), live("b2"), entry("d-b1"), None, id="made-for-this-revision"),
    ],
)
def test_what_runs_is_made_anew_once_a_bundle(policy, state, known, expected):
    """K3, K4, K5, H2."""
    step = run_step(wanted(policy), state, known, "web", force=True)

    assert type(step) is (expected or type(None))


def test_a_hook_that_failed_is_remembered_by_its_uid():
    """K5: so that the next attempt makes just that one anew."""
    todo = decided(live("b1"), entry())
    after = settled(todo, {KEY: Failed(Failure(ErrorClass.HOOK, "no"), "u2")})

    assert (after.entries[KEY].uid, after.entries[KEY].desired, after.header.settled) == ("u2", "", False)
    assert run_step(wanted(), live("b2", "u2"), after.entries[KEY], "web", force=True) == Recreate(wanted(), "u2")


def test_a_hook_that_ran_is_left_alone_whatever_became_of_it():
    """K5: neither drift nor a retry of the other objects starts it again."""
    todo = decided(Absent(), entry("d-b2"))

    assert list(todo.steps()) == [Skip(KEY, SkipReason.UNCHANGED)]


def test_the_inventory_knows_a_hook_from_an_object():
    """K1."""
    todo = decided(Absent())
    after = settled(todo, {KEY: Applied("u1", "1", "o", created=True)})

    assert todo.claim.entries[KEY].hook
    assert after.entries[KEY].hook


@pytest.mark.parametrize(("failed", "end"), [(True, HookEnd.FAILED), (False, HookEnd.SUCCEEDED)])
def test_a_hooks_object_goes_by_how_it_ended(failed, end):
    """K4."""
    asked = Create(wanted(Policy(hook=Hook(Phase.AFTER, frozenset({end})))))

    assert ends(asked, failed=failed)
    assert not ends(asked, failed=not failed)
    assert not ends(Create(wanted(NOTHING)), failed=failed)
    assert hooks_of([asked, Create(wanted(NOTHING)), Skip(KEY, SkipReason.KEPT)]) == [asked]
