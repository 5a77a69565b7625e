import pytest

from services.applier.fields import MISSING, contains, covers, entries, human, other_managers, owned_by

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
