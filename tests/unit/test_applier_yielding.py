import pytest

from services.applier.errors import FieldConflict
from services.applier.options import IgnoreRule
from services.applier.yielding import server_text, without_conflicts, without_ignored
from shared.core.canonical import decode, encode

WANTED = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {
        "name": "web",
        "namespace": "shop",
        "annotations": {"a.io/b": "1", "c": "2"},
        "finalizers": ["x", "y"],
    },
    "spec": {
        "replicas": 3,
        "containers": [
            {"name": "c", "image": "i:1", "ports": [{"name": "http", "containerPort": 80}]},
            {"name": "d", "image": "j:1"},
        ],
        "rows": [{"a": 1}, {"a": 2}],
    },
}
BODY = encode(WANTED)


@pytest.mark.parametrize(
    ("field", "gone"),
    [
        (".spec.replicas", ("spec", "replicas")),
        (".metadata.annotations.a.io/b", ("metadata", "annotations", "a.io/b")),
        ('.spec.containers[name="c"].image', ("spec", "containers", 0, "image")),
        ('.spec.containers[name="d"]', ("spec", "containers", 1)),
        ('.spec.containers[name="c"].ports[containerPort=80,protocol="TCP"]', ("spec", "containers", 0, "ports", 0)),
        ('.metadata.finalizers[="x"]', ("metadata", "finalizers", 0)),
        (".spec.rows", ("spec", "rows")),
        (".spec.rows[1]", ("spec", "rows", 1)),
    ],
)
def test_a_field_in_conflict_is_left_to_its_owner_g3(field, gone):
    expected = decode(BODY)
    place = expected
    for step in gone[:-1]:
        place = place[step]
    del place[gone[-1]]

    assert decode(without_conflicts(BODY, [FieldConflict("x", field)])) == expected


@pytest.mark.parametrize("field", [".spec.ghost", ".metadata", ".metadata.name", ".kind"])
def test_an_object_keeps_its_identity_g3(field):
    assert without_conflicts(BODY, [FieldConflict("x", field)]) == BODY


def live(manager, fields):
    return {"metadata": {"managedFields": [{"manager": manager, "operation": "Update", "fieldsV1": fields}]}}


REPLICAS = {"f:spec": {"f:replicas": {}}}
RULE = IgnoreRule({"kind": "Deployment"}, ("/spec/replicas",))


def test_an_ignored_field_is_left_to_who_owns_it_i8():
    found = decode(without_ignored(BODY, live("hpa", REPLICAS), [RULE]))

    assert "replicas" not in found["spec"]
    assert found["spec"]["containers"] == WANTED["spec"]["containers"]


@pytest.mark.parametrize(
    ("owned", "rule"),
    [
        (live("towline", REPLICAS), RULE),
        (live("hpa", {"f:spec": {"f:paused": {}}}), RULE),
        (live("hpa", REPLICAS), IgnoreRule({"kind": "Service"}, ("/spec/replicas",))),
        (live("hpa", REPLICAS), IgnoreRule({}, (), ("keda",))),
    ],
    ids=["ours-alone", "other-field", "other-kind", "other-manager"],
)
def test_what_nobody_else_owns_is_sent_i8(owned, rule):
    assert without_ignored(BODY, owned, [rule]) == BODY


def whole(fields, **spec):
    return {**live("towline", fields), "spec": {**WANTED["spec"], **spec}}


def test_what_nobody_else_owns_keeps_its_live_value_i8():
    changed = decode(without_ignored(BODY, whole(REPLICAS, replicas=7), [RULE]))
    gone = whole(REPLICAS)
    del gone["spec"]["replicas"]

    assert changed["spec"] == {**WANTED["spec"], "replicas": 7}
    assert "replicas" not in decode(without_ignored(BODY, gone, [RULE]))["spec"]


def test_list_items_are_ignored_by_index_key_or_name_i8():
    other = [{"name": "c", "image": "i:2"}, {"name": "d", "image": "j:2"}]
    found = {**live("towline", {}), "spec": {**WANTED["spec"], "containers": other}}

    for pointer in ("/spec/containers/0/image", "/spec/containers/[name=c]/image"):
        sent = decode(without_ignored(BODY, found, [IgnoreRule({}, (pointer,))]))["spec"]["containers"]

        assert [item["image"] for item in sent] == ["i:2", "j:1"]


def test_managers_can_be_ignored_whatever_they_own_i8():
    found = decode(without_ignored(BODY, live("keda-operator", REPLICAS), [IgnoreRule({}, (), ("keda-*",))]))

    assert found["spec"].keys() == {"containers", "rows"}


def test_paths_are_written_as_the_server_writes_them():
    assert server_text(("f:a", "i:0", "f:b.c", 'k:{"port":80,"protocol":"TCP"}', 'v:"x"')) == (
        '.a[0].b.c[port=80,protocol="TCP"][="x"]'
    )
