"""The algebra of `fieldsV1`, and what managedFields say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.applier.fields import (
    MISSING,
    below,
    contains,
    covers,
    difference,
    entries,
    fields_of,
    human,
    members,
    other_managers,
    owned_by,
    union,
)

REAL = {
    "f:metadata": {"f:labels": {".": {}, "f:app": {}}},
    "f:spec": {"f:replicas": {}, "f:containers": {'k:{"name":"c"}': {".": {}, "f:image": {}, "f:env": {}}}},
}
CONTAINER = ("f:spec", "f:containers", 'k:{"name":"c"}')


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (("f:metadata", "f:labels"), True),
        (("f:metadata", "f:labels", "f:app"), True),
        (("f:metadata",), False),
        (("f:spec", "f:replicas"), True),
        (("f:spec", "f:replicas", "f:below"), False),
        (CONTAINER, True),
        (("f:spec", "f:containers"), False),
        ((), False),
    ],
)
def test_membership(path, expected):
    assert contains(REAL, path) is expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (("f:spec", "f:replicas"), True),
        (("f:spec", "f:replicas", "f:below"), True),
        (("f:spec",), True),
        (("f:status",), False),
        ((), False),
    ],
)
def test_what_a_change_at_a_path_concerns(path, expected):
    assert covers(REAL, path) is expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ((*CONTAINER, "f:image"), '.spec.containers[name="c"].image'),
        (("f:metadata", "f:annotations", "f:a.io/b"), '.metadata.annotations["a.io/b"]'),
        (("f:ports", 'k:{"containerPort":80,"protocol":"TCP"}'), '.ports[containerPort=80,protocol="TCP"]'),
        (("f:finalizers", 'v:"x"'), '.finalizers[="x"]'),
        (("f:args", "i:0"), ".args[0]"),
        (("f:args", "k:broken"), '.args[?="broken"]'),
    ],
)
def test_paths_read_like_people_write_them(path, expected):
    assert human(path) == expected


def live(*found):
    return {"metadata": {"managedFields": list(found)}}


OURS = {"manager": "towline", "operation": "Apply", "fieldsV1": REAL, "time": "t"}


def test_our_entry_is_the_apply_entry_on_the_main_resource():
    others = [
        {"manager": "kubectl", "operation": "Update", "fieldsV1": {}},
        {**OURS, "operation": "Update"},
        {**OURS, "subresource": "status"},
        "malformed",
    ]

    found = owned_by(entries(live(*others, OURS)), "towline")

    assert (found.fields, found.time) == (REAL, "t")
    assert found.digest == owned_by(entries(live({**OURS, "time": "u"})), "towline").digest
    assert found.digest != owned_by(entries(live({**OURS, "fieldsV1": {"f:a": {}}})), "towline").digest
    assert owned_by(entries(live(*others)), "towline") is None
    assert owned_by(entries({"metadata": {"managedFields": None}}), "towline") is None
    assert owned_by(entries({}), "towline") is None


def test_the_other_managers_are_named_once():
    found = live(OURS, {"manager": "kubectl"}, {"manager": "hpa", "subresource": "scale"}, {"manager": "kubectl"})

    assert other_managers(entries(found), "towline") == ("kubectl", "hpa")
    assert [entry.manager for entry in entries(found)] == ["towline", "kubectl", "hpa", "kubectl"]
    assert repr(MISSING) == "MISSING"


STEPS = ["f:a", "f:b", 'k:{"name":"c"}', 'v:"x"', "i:0"]
paths = st.lists(st.sampled_from(STEPS), min_size=1, max_size=3).map(tuple)
sets = st.frozensets(paths, max_size=6).map(fields_of)


@given(st.frozensets(paths, max_size=6))
def test_a_set_of_fields_has_the_members_that_it_was_made_of(found):
    assert members(fields_of(found)) == found
    assert all(contains(fields_of(found), path) for path in found)


@given(sets, sets, sets)
def test_union_is_commutative_associative_idempotent(one, other, third):
    assert union(one, other) == union(other, one)
    assert union(one, union(other, third)) == union(union(one, other), third) == union(one, other, third)
    assert union(one, one) == one == union(one) == union(one, {})


@given(sets, sets, paths)
def test_membership_follows_union_and_difference(one, other, path):
    assert contains(union(one, other), path) is (contains(one, path) or contains(other, path))
    assert contains(difference(one, other), path) is (contains(one, path) and not contains(other, path))


@given(sets, sets, sets)
def test_difference_takes_away_what_union_gave(one, other, third):
    assert difference(one, one) == {}
    assert difference(one, {}) == one
    assert union(difference(one, other), other) == union(one, other)
    assert difference(difference(one, other), third) == difference(one, union(other, third))


@given(sets, paths)
def test_what_is_a_member_or_below_one_concerns_its_owner(found, path):
    if contains(found, path):
        assert covers(found, path)
    assert covers(union(found, fields_of([path])), path)
    assert not covers({}, path)


def test_the_servers_form_is_kept():
    assert union(REAL) == REAL
    assert members(REAL) >= {("f:metadata", "f:labels"), ("f:spec", "f:replicas"), CONTAINER}
    assert below(REAL, "f:spec") == REAL["f:spec"]
    assert below(REAL, "f:ghost") is None
    assert below(None, "f:spec") is None
