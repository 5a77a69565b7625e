import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.applier.fields import (
    MISSING,
    contains,
    covers,
    difference,
    entries,
    extract,
    human,
    intersection,
    members,
    of,
    other_managers,
    owned_by,
    union,
    value_at,
)

steps = st.sampled_from(["f:a", "f:b", 'k:{"name":"x"}', 'v:"y"', "i:0"])
paths = st.lists(steps, min_size=1, max_size=4).map(tuple)
sets = st.frozensets(paths, max_size=8)
example = settings(max_examples=100, deadline=None)


@example
@given(sets)
def test_a_set_of_paths_survives_the_servers_form(found):
    assert set(members(of(found))) == found


@example
@given(sets, sets)
def test_the_algebra_is_that_of_sets(left, right):
    a, b = of(left), of(right)

    assert set(members(union(a, b))) == left | right
    assert set(members(difference(a, b))) == left - right
    assert set(members(intersection(a, b))) == left & right
    assert union(a, b) == union(b, a)
    assert difference(a, a) == {}


@example
@given(sets, paths)
def test_membership(found, path):
    fields = of(found)

    assert contains(fields, path) == (path in found)
    assert all(covers(fields, member) for member in found)
    assert not contains(fields, ())


REAL = {
    "f:metadata": {"f:labels": {".": {}, "f:app": {}}},
    "f:spec": {"f:replicas": {}, "f:containers": {'k:{"name":"c"}': {".": {}, "f:image": {}, "f:env": {}}}},
}
MANIFEST = {
    "metadata": {"labels": {"app": "web", "other": "x"}},
    "spec": {"replicas": 3, "containers": [{"name": "b"}, {"name": "c", "image": "i:1"}], "set": ["x", "y"]},
}
CONTAINER = ("f:spec", "f:containers", 'k:{"name":"c"}')


def test_the_servers_form_is_read():
    assert set(members(REAL)) == {
        ("f:metadata", "f:labels"),
        ("f:metadata", "f:labels", "f:app"),
        ("f:spec", "f:replicas"),
        CONTAINER,
        (*CONTAINER, "f:image"),
        (*CONTAINER, "f:env"),
    }
    assert of(members(REAL)) == REAL


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


def test_owned_values_are_extracted():
    assert extract(MANIFEST, REAL) == {
        ("f:metadata", "f:labels", "f:app"): "web",
        ("f:spec", "f:replicas"): 3,
        (*CONTAINER, "f:image"): "i:1",
    }


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ((*CONTAINER, "f:image"), "i:1"),
        (("f:spec", "f:containers", "i:0", "f:name"), "b"),
        (("f:spec", "f:containers", "i:7"), MISSING),
        (("f:spec", "f:containers", "i:x"), MISSING),
        (("f:spec", "f:containers", "k:broken"), MISSING),
        (("f:spec", "f:containers", 'k:{"name":"z"}'), MISSING),
        (("f:spec", "f:set", 'v:"y"'), "y"),
        (("f:spec", "f:set", 'v:"z"'), MISSING),
        (("f:spec", "f:replicas", "f:x"), MISSING),
        (("f:spec", "f:replicas", 'v:"x"'), MISSING),
    ],
)
def test_values_are_found(path, expected):
    assert value_at(MANIFEST, path) == expected


def test_a_key_that_an_item_leaves_out_counts_as_its_default():
    ports = {"ports": [{"containerPort": 80}]}

    assert value_at(ports, ("f:ports", 'k:{"containerPort":80,"protocol":"TCP"}')) == {"containerPort": 80}


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

    found = owned_by(live(*others, OURS), "towline")

    assert (found.fields, found.time) == (REAL, "t")
    assert found.digest == owned_by(live({**OURS, "time": "u"}), "towline").digest
    assert found.digest != owned_by(live({**OURS, "fieldsV1": {"f:a": {}}}), "towline").digest
    assert owned_by(live(*others), "towline") is None
    assert owned_by({"metadata": {"managedFields": None}}, "towline") is None
    assert owned_by({}, "towline") is None


def test_the_other_managers_are_named_once():
    found = live(OURS, {"manager": "kubectl"}, {"manager": "hpa", "subresource": "scale"}, {"manager": "kubectl"})

    assert other_managers(found, "towline") == ("kubectl", "hpa")
    assert [entry.manager for entry in entries(found)] == ["towline", "kubectl", "hpa", "kubectl"]
    assert repr(MISSING) == "MISSING"
