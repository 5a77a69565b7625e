"""Which part of a removal is due follows from the inventory alone (rule F13)."""

import pytest

from services.applier.documents import ReleaseDocument
from services.applier.policy import Hook, Phase, Policy
from services.applier.removal import (
    Farewell,
    Part,
    begun,
    expects,
    goes_on,
    is_waived,
    number,
    part,
    scope_of,
    waiver,
)
from services.applier.state import Entry, Header, Inventory, Wanted
from shared.core.objects import ObjectKey

ONE = ObjectKey("", "ConfigMap", "web", "one")
HOME, ELSEWHERE = ObjectKey("", "Namespace", "", "shop"), ObjectKey("", "Namespace", "", "web")
BEFORE, AFTER = ObjectKey("batch", "Job", "web", "before"), ObjectKey("batch", "Job", "shop", "after")
HOOKS = Farewell(
    {BEFORE: Wanted(BEFORE, "v1", b"{}", "b", policy=Policy(hook=Hook(Phase.LEAVING)))},
    {
        AFTER: Wanted(AFTER, "v1", b"{}", "a", policy=Policy(hook=Hook(Phase.LEFT))),
        HOME: Wanted(HOME, "v1", b"{}", "n", tracked=False),
    },
)
TOMBSTONE = ReleaseDocument("web", 1, 4, removed=True)


def entries(*keys, **desired):
    return {key: Entry(key, "v1", "u", desired.get(key.name, "")) for key in keys}


@pytest.mark.parametrize(
    ("farewell", "known", "due"),
    [
        pytest.param(Farewell(), entries(ONE, BEFORE), Part.OBJECTS, id="no-hooks"),
        pytest.param(Farewell(), {}, Part.REST, id="nothing"),
        pytest.param(HOOKS, {}, Part.REST, id="nothing-was-ever-here"),
        pytest.param(HOOKS, entries(ONE, HOME), Part.OBJECTS, id="begins"),
        pytest.param(HOOKS, entries(ONE, BEFORE, AFTER, HOME, before="b"), Part.OBJECTS, id="objects-are-left"),
        pytest.param(HOOKS, entries(BEFORE, AFTER), Part.OBJECTS, id="all-there-is-is-a-hook-that-did-not-run"),
        pytest.param(
            HOOKS, entries(ELSEWHERE, BEFORE, AFTER, before="b"), Part.OBJECTS, id="a-namespace-without-hooks"
        ),
        pytest.param(HOOKS, entries(BEFORE, AFTER, HOME, before="b"), Part.AFTER, id="objects-are-gone"),
        pytest.param(HOOKS, entries(BEFORE, AFTER, HOME, before="b", after="older"), Part.AFTER, id="ran-for-another"),
        pytest.param(HOOKS, entries(BEFORE, AFTER, HOME, before="b", after="a"), Part.REST, id="hooks-ran"),
        pytest.param(HOOKS, entries(BEFORE, before="b"), Part.REST, id="the-hook-after-is-gone-already"),
    ],
)
def test_the_part_that_is_due(farewell, known, due):
    """F13."""
    assert part(farewell, known) is due


def test_each_part_has_its_scope():
    """F13: hooks after are claimed from the start, and leave only in the last part, as their namespace does."""
    first = scope_of({}, HOOKS, entries(ONE, HOME), TOMBSTONE)
    second = scope_of({}, HOOKS, entries(BEFORE, AFTER, HOME, before="b"), TOMBSTONE)
    third = scope_of({}, HOOKS, entries(BEFORE, AFTER, HOME, before="b", after="a"), TOMBSTONE)

    assert (first.wanted, first.leaving.keys(), first.later.keys()) == (HOOKS.before, {ONE}, {AFTER})
    assert (second.wanted, second.leaving) == (HOOKS.after, {})
    assert (third.wanted, third.leaving.keys()) == ({}, {BEFORE, AFTER, HOME})
    assert goes_on(HOOKS, entries(ONE), entries(BEFORE, AFTER, before="b"))
    assert not goes_on(HOOKS, entries(ONE), entries(ONE, BEFORE, AFTER, before="b"))
    assert not goes_on(HOOKS, entries(AFTER, after="a"), {})


def test_a_removal_keeps_its_number_until_the_app_is_back():
    """F13: what people approve meanwhile begins no other, so hooks that ran are not started again."""
    known = Inventory(Header("web", farewell=True), entries(ONE))
    scope = scope_of({}, HOOKS, known.entries, TOMBSTONE)
    first = begun(known, scope, HOOKS, TOMBSTONE)
    again = begun(first, scope, HOOKS, ReleaseDocument("web", 1, 5, removed=True))
    back = begun(
        again,
        scope_of({}, Farewell(), {}, ReleaseDocument("web", 1, 6)),
        Farewell(brought=True),
        ReleaseDocument("web", 1, 6),
    )

    assert (first.header.removal, again.header.removal, back.header.removal) == ("1.4", "1.4", "")
    assert first.entries.keys() == {ONE, AFTER}
    assert number(back.header, ReleaseDocument("web", 1, 7, removed=True)) == "1.7"


def test_a_waiver_counts_for_one_removal_and_is_remembered():
    """F13."""
    header = Header("web", removal="1.4")
    approved = ReleaseDocument("web", 1, 5, removed=True, approval=waiver(header, TOMBSTONE))
    waived = begun(Inventory(header, entries(ONE)), scope_of({}, HOOKS, {}, approved), HOOKS, approved)
    later = ReleaseDocument("web", 1, 6, removed=True, approval="another")

    assert (is_waived(header, TOMBSTONE), is_waived(header, approved), is_waived(waived.header, later)) == (
        False,
        True,
        True,
    )
    assert not is_waived(Header("web", removal="1.9"), approved)
    assert not begun(
        waived, scope_of({}, HOOKS, {}, ReleaseDocument("web", 1, 7)), HOOKS, ReleaseDocument("web", 1, 7)
    ).header.hookless


@pytest.mark.parametrize(
    ("header", "known", "looked_for"),
    [
        (Header("web", farewell=True), entries(ONE), True),
        (Header("web", farewell=None), entries(ONE), True),
        (Header("web", farewell=False), entries(ONE), False),
        (Header("web", farewell=True), {}, False),
        (Header("web", farewell=True, removal="1.4", hookless=True), entries(ONE), False),
    ],
    ids=["has-hooks", "nobody-looked", "has-none", "nothing-here", "waived"],
)
def test_hooks_are_looked_for_only_where_there_may_be_some(header, known, looked_for):
    """F13: an app whose bundle is known to have none needs no bundle to be removed."""
    assert expects(Inventory(header, known), TOMBSTONE) is looked_for
