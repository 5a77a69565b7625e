"""What is not done although it could be (H2, H4, I9)."""

import pytest

from services.applier.options import OnImmutable, Options
from services.applier.policy import Policy
from services.applier.restraint import Fights, may_recreate
from services.applier.state import Wanted
from shared.core.objects import ObjectKey

KEY = ObjectKey("", "ConfigMap", "n", "a")


def wanted(group, kind, *, recreate=False):
    return Wanted(ObjectKey(group, kind, "n", "a"), "v1", b"{}", "d", policy=Policy(recreate=recreate))


@pytest.mark.parametrize(
    ("group", "kind", "own", "asked", "healing", "may"),
    [
        ("batch", "Job", False, OnImmutable.RECREATE, False, True),
        ("batch", "Job", False, OnImmutable.FAIL, False, False),
        ("batch", "Job", False, OnImmutable.RECREATE, True, False),
        ("apps", "StatefulSet", False, OnImmutable.RECREATE, False, False),
        ("apps", "StatefulSet", True, OnImmutable.FAIL, True, True),
        ("", "PersistentVolumeClaim", False, OnImmutable.RECREATE, False, False),
        ("apiextensions.k8s.io", "CustomResourceDefinition", False, OnImmutable.RECREATE, False, False),
    ],
)
def test_only_kinds_without_data_are_made_anew_unless_the_object_says_so(  # noqa: PLR0917
    group, kind, own, asked, healing, may
):
    """H2, H4."""
    found = may_recreate(wanted(group, kind, recreate=own), Options(on_immutable=asked), healing=healing)

    assert found is may


def test_the_third_correction_within_ten_minutes_is_the_last_for_a_minute_then_for_two():
    """I9."""
    fights = Fights()
    for second in (0, 100, 200):
        assert not fights.contested(KEY, second)
        fights.corrected([KEY], second)
    assert fights.contested(KEY, 259)
    assert not fights.contested(KEY, 260)

    fights.corrected([KEY], 260)

    assert fights.contested(KEY, 379)
    assert not fights.contested(KEY, 380)


def test_slow_changes_are_no_fight_and_quiet_ends_one():
    """I9."""
    fights = Fights()
    for second in (0, 400, 800):
        fights.corrected([KEY], second)
    assert not fights.contested(KEY, 801)

    for second in (900, 950, 10_000):
        fights.corrected([KEY], second)

    assert not fights.contested(KEY, 10_001)
