"""What an apply would make of a live object, said without asking the API server."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.applier.fields import fields_of
from services.applier.lists import Form, form_of, is_builtin
from services.applier.predict import (
    after_apply,
    after_dry_run,
    after_merge,
    applied_paths,
    as_answered,
    found_at,
    place_of,
)
from services.applier.redact import LAST_APPLIED
from shared.core.canonical import encode


def made(api="v1", kind="ConfigMap", metadata=None, **body):
    return {"apiVersion": api, "kind": kind, "metadata": {"name": "a", **(metadata or {})}, **body}


def owned(manifest, *, manager="towline", operation="Apply", fields=None, others=()):
    """Return `manifest` as its manager applied it."""
    found = fields_of(applied_paths(manifest, place_of(manifest, {}))) if fields is None else fields
    mine = {"manager": manager, "operation": operation, "fieldsV1": found}
    return {**manifest, "metadata": {**manifest["metadata"], "managedFields": [mine, *others]}}


DATA = made(data={"a": "1", "b": "2"})


def test_what_we_owned_and_no_longer_want_goes():
    found = after_apply(made(data={"a": "1"}), owned(DATA))

    assert found.modified
    assert found.after["data"] == {"a": "1"}


@pytest.mark.parametrize(
    "live",
    [
        owned(DATA, fields={"f:data": {"f:a": {}}}),
        owned(DATA, others=[{"manager": "x", "operation": "Update", "fieldsV1": {"f:data": {"f:b": {}}}}]),
        {**DATA, "metadata": {"name": "a"}},
    ],
    ids=["not-ours", "shared", "nobodys"],
)
def test_what_others_own_stays(live):
    assert not after_apply(made(data={"a": "1"}), live).modified


def test_an_emptied_object_would_lose_all_that_we_own_a14():
    assert after_apply(made(), owned(DATA)).after == made()


@given(
    st.dictionaries(st.sampled_from("abc"), st.sampled_from("12")),
    st.dictionaries(st.sampled_from("abc"), st.just("3")),
)
def test_what_was_applied_is_as_it_is_wanted_and_applying_it_again_changes_nothing(first, second):
    once = after_apply(made(data=second), owned(made(data=first))).after

    assert once.get("data", {}) == second
    assert not after_apply(made(data=second), owned(once)).modified


CONTAINERS = [{"name": "c", "image": "i"}, {"name": "side", "image": "s"}]


def test_items_of_others_stay_and_items_of_ours_go():
    deployment = made("apps/v1", "Deployment", spec={"containers": CONTAINERS})
    wanted = made("apps/v1", "Deployment", spec={"containers": [{"name": "c", "image": "j"}]})
    fields = {"f:spec": {"f:containers": {'k:{"name":"c"}': {".": {}, "f:image": {}, "f:name": {}}}}}

    assert after_apply(wanted, owned(deployment)).after["spec"]["containers"] == [{"name": "c", "image": "j"}]
    assert after_apply(wanted, owned(deployment, fields=fields)).after["spec"]["containers"] == [
        {"name": "c", "image": "j"},
        CONTAINERS[1],
    ]


def test_the_client_side_apply_of_others_takes_away_what_it_applied_last():
    live = made(
        metadata={"annotations": {LAST_APPLIED: encode(DATA).decode()}}, data={"a": "1", "b": "2", "theirs": "3"}
    )

    assert after_merge(made(data={"a": "1"}), live).after["data"] == {"a": "1", "theirs": "3"}
    assert not after_merge(DATA, live).modified
    assert not after_merge(DATA, made(metadata={"annotations": {LAST_APPLIED: "{"}}, data=DATA["data"])).modified


def test_what_webhooks_write_is_no_difference_unless_asked_for():
    live = owned(DATA)
    answer = owned(
        {**DATA, "metadata": {"name": "a", "labels": {"by": "hook"}}, "data": {"a": "1", "b": "9", "c": "h"}}
    )
    mine = {"f:data": {"f:a": {}, "f:b": {}}}
    answer["metadata"]["managedFields"] = [{"manager": "towline", "operation": "Apply", "fieldsV1": mine}]

    found = after_dry_run(answer, live)

    assert found.after == {**DATA, "data": {"a": "1", "b": "9"}}
    assert as_answered(answer, live).after["data"]["c"] == "h"


@pytest.mark.parametrize(
    ("path", "items", "known", "builtin", "form"),
    [
        (("f:spec", "f:containers"), [{"name": "a"}], None, True, Form(("name",))),
        (("f:subjects",), [{"name": "a"}], None, True, Form()),
        (("f:imagePullSecrets",), [{"name": "a"}], None, True, Form()),
        (("f:spec", "f:imagePullSecrets"), [{"name": "a"}], None, True, Form(("name",))),
        (("f:metadata", "f:finalizers"), ["a"], None, False, Form(is_set=True)),
        (("f:spec", "f:things"), [{"name": "a"}], None, False, Form()),
        (("f:spec", "f:things"), [{"id": 1}], {'k:{"id":1}': {}}, False, Form(("id",))),
        (("f:spec", "f:things"), [{"name": "a"}], {'k:{"id":1}': {}}, False, Form()),
        (("f:spec", "f:things"), ["a"], {'v:"a"': {}}, False, Form(is_set=True)),
        (("f:spec", "f:containers"), [{"name": "a"}], {}, True, Form()),
        (("f:spec", "f:containers"), [{"name": "a"}], {"k:broken": {}}, True, Form()),
        (("f:spec", "f:containers"), [], None, True, Form()),
    ],
)
def test_how_a_list_is_merged_is_read_from_who_owns_it_else_from_its_kind(path, items, known, builtin, form):
    assert form_of(path, [items], known, builtin=builtin) == form


@pytest.mark.parametrize(
    ("api", "builtin"),
    [("v1", True), ("apps/v1", True), ("rbac.authorization.k8s.io/v1", True), ("gateway.networking.k8s.io/v1", False)],
)
def test_not_all_that_ends_in_k8s_io_is_built_in(api, builtin):
    assert is_builtin(api) is builtin


@pytest.mark.parametrize(
    ("path", "there"),
    [
        (("f:l", 'k:{"name":"a"}', "f:x"), True),
        (("f:l", "i:0"), True),
        (("f:l", "i:9"), False),
        (("f:l", 'k:{"name":"z"}'), False),
        (("f:s", 'v:"q"'), True),
        (("f:s", "f:q"), False),
        (("f:t", "i:0"), False),
    ],
)
def test_paths_lead_to_values(path, there):
    value = {"l": [{"name": "a", "x": 1}], "s": ["q"], "t": "text"}

    assert (repr(found_at(value, path)) != "MISSING") is there
