import pytest

from services.applier.diff import changes
from services.applier.errors import FieldConflict
from services.applier.fields import entries
from services.applier.held import is_held
from services.applier.options import IgnoreRule
from services.applier.tracking import present_of
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


SCALED = {"manager": "kube-controller-manager", "operation": "Update", "subresource": "scale", "fieldsV1": REPLICAS}


@pytest.mark.parametrize(
    ("entry", "held"),
    [
        (SCALED, True),
        ({**SCALED, "manager": "keda-operator"}, True),
        ({**SCALED, "manager": "kubectl"}, False),
        ({**SCALED, "subresource": "status"}, False),
        ({**SCALED, "fieldsV1": {"f:status": {"f:replicas": {}}}}, False),
    ],
    ids=["autoscaler", "keda", "person", "status", "other-field"],
)
def test_replicas_are_left_to_the_autoscaler_g4(entry, held):
    metadata = {**WANTED["metadata"], "managedFields": [entry]}
    found = {**WANTED, "metadata": metadata, "spec": {**WANTED["spec"], "replicas": 7}}

    assert is_held(entries(found)) is held
    assert present_of(found).held is held
    assert ("replicas" not in decode(without_ignored(BODY, found, []))["spec"]) is held
    assert bool(changes(WANTED, found)) is not held


def test_an_injected_ca_is_left_to_its_injector_g4():
    hook = {"name": "h", "clientConfig": {"caBundle": "b3Vycw=="}}
    wanted = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "v"},
        "webhooks": [hook],
    }
    fields = {"f:webhooks": {'k:{"name":"h"}': {"f:clientConfig": {"f:caBundle": {}}}}}
    found = {**wanted, **live("cert-manager-cainjector", fields)}

    assert decode(without_ignored(encode(wanted), found, []))["webhooks"] == [{"name": "h", "clientConfig": {}}]


def test_paths_are_written_as_the_server_writes_them():
    assert server_text(("f:a", "i:0", "f:b.c", 'k:{"port":80,"protocol":"TCP"}', 'v:"x"')) == (
        '.a[0].b.c[port=80,protocol="TCP"][="x"]'
    )
