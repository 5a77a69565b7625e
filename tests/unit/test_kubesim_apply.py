"""Server-side apply of the simulated cluster, as a pure function."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kubesim.answers import RefusedError
from services.kubesim.apply import Intent, applied, merge, typed_errors
from services.kubesim.fields import all_fields, applied_fields, decode, difference, encode, readable
from services.kubesim.managed import Manager, Owned, after_update, read_managers, union, write_managers
from services.kubesim.schema import from_openapi
from services.kubesim.schemas import shape_of
from services.kubesim.tidy import defaulted, quantity, tidied

CONFIG = shape_of("ConfigMap")
DEPLOYMENT = shape_of("Deployment")
ALICE = Manager("alice", "Apply", "v1")
BOB = Manager("bob", "Apply", "v1")


def config(**data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": data}


def pod(*containers, **spec):
    return {"spec": {"template": {"spec": {"containers": list(containers), **spec}}}}


def run(live, wanted, managers, who, *, force=False, shape=CONFIG):
    return applied(shape, live, wanted, managers, Intent(who, force))


def test_an_apply_owns_what_it_names_and_not_the_identity():
    result = run(None, config(a="1", b="2"), {}, ALICE)

    assert result.managers[ALICE].fields == {("f:data", "f:a"), ("f:data", "f:b")}


def test_a_dropped_field_goes_when_nobody_else_owns_it():
    first = run(None, config(a="1", b="2"), {}, ALICE)
    second = run(first.value, config(a="1"), first.managers, ALICE)

    assert second.value["data"] == {"a": "1"}


def test_a_dropped_field_stays_when_another_owns_it():
    first = run(None, config(a="1", b="2"), {}, ALICE)
    shared = run(first.value, config(b="2"), first.managers, BOB)
    left = run(shared.value, config(a="1"), shared.managers, ALICE)

    assert left.value["data"] == {"a": "1", "b": "2"}
    assert left.managers[BOB].fields == {("f:data", "f:b")}


def test_a_field_without_owner_is_never_removed():
    first = run(None, config(a="1"), {}, ALICE)
    foreign = {**first.value, "data": {"a": "1", "x": "y"}}
    second = run(foreign, config(), first.managers, ALICE)

    assert second.value["data"] == {"x": "y"}


def test_an_apply_of_nothing_leaves_no_entry():
    first = run(None, config(a="1"), {}, ALICE)
    second = run(
        first.value, {key: first.value[key] for key in ("apiVersion", "kind", "metadata")}, first.managers, ALICE
    )

    assert second.managers == {}
    assert "data" not in second.value


def test_a_conflict_names_the_owner_and_the_field():
    first = run(None, config(a="1"), {}, ALICE)

    with pytest.raises(RefusedError) as refused:
        run(first.value, config(a="2"), first.managers, BOB)

    assert refused.value.body() == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": 'Apply failed with 1 conflict: conflict with "alice": .data.a',
        "reason": "Conflict",
        "details": {
            "causes": [
                {"reason": "FieldManagerConflict", "message": 'conflict with "alice"', "field": ".data.a"},
            ]
        },
        "code": 409,
    }


def test_conflicts_with_an_update_name_its_version_and_subresource():
    owners = {
        Manager("hpa", "Update", "apps/v1", "scale"): Owned(frozenset({("f:spec", "f:replicas")})),
        Manager("edit", "Update", "apps/v1"): Owned(frozenset({("f:spec", "f:paused")})),
    }
    live = {"spec": {"replicas": 3, "paused": True}}

    with pytest.raises(RefusedError) as refused:
        run(live, {"spec": {"replicas": 1, "paused": False}}, owners, ALICE, shape=DEPLOYMENT)

    assert refused.value.message == (
        'Apply failed with 2 conflicts: conflicts with "edit" using apps/v1:\n- .spec.paused\n'
        'conflicts with "hpa" with subresource "scale" using apps/v1:\n- .spec.replicas'
    )


def test_force_takes_the_field_from_the_other():
    first = run(None, config(a="1", b="1"), {}, ALICE)
    second = run(first.value, config(a="2"), first.managers, BOB, force=True)

    assert second.managers[ALICE].fields == {("f:data", "f:b")}
    assert second.managers[BOB].fields == {("f:data", "f:a")}


def test_an_object_without_tracking_belongs_to_what_was_before():
    live = config(a="1")
    result = run(live, config(b="2"), {}, ALICE)

    assert result.managers[Manager("before-first-apply", "Update", "v1")].fields == {("f:data", "f:a")}


def test_list_items_merge_by_key_and_foreign_ones_stay_where_they_stood():
    live = pod({"name": "sidecar", "image": "s"}, {"name": "c", "image": "1", "tty": True})
    merged = merge(DEPLOYMENT, live, pod({"name": "c", "image": "2"}, {"name": "d", "image": "3"}))

    assert merged == pod(
        {"name": "sidecar", "image": "s"}, {"name": "c", "image": "2", "tty": True}, {"name": "d", "image": "3"}
    )


def test_a_dropped_container_goes_with_its_defaults():
    wanted = pod({"name": "c", "image": "1"}, {"name": "d", "image": "1"})
    first = run(None, wanted, {}, ALICE, shape=DEPLOYMENT)
    live = defaulted(DEPLOYMENT, first.value)
    second = run(live, pod({"name": "c", "image": "1"}), first.managers, ALICE, shape=DEPLOYMENT)

    assert [one["name"] for one in second.value["spec"]["template"]["spec"]["containers"]] == ["c"]


def test_an_item_another_owns_a_field_of_keeps_its_key():
    first = run(None, pod({"name": "c", "image": "1"}, {"name": "d", "image": "1"}), {}, ALICE, shape=DEPLOYMENT)
    owner = ("f:spec", "f:template", "f:spec", "f:containers", 'k:{"name":"d"}', "f:tty")
    managers = {**first.managers, Manager("edit", "Update", "apps/v1"): Owned(frozenset({owner}))}
    live = merge(DEPLOYMENT, first.value, pod({"name": "d", "tty": True}))
    second = run(live, pod({"name": "c", "image": "1"}), managers, ALICE, shape=DEPLOYMENT)

    assert second.value["spec"]["template"]["spec"]["containers"][1] == {"name": "d", "tty": True}


def test_ports_without_protocol_are_tcp():
    wanted = pod({"name": "c", "ports": [{"containerPort": 80}]})
    paths = {readable(path) for path in applied_fields(DEPLOYMENT, wanted)}

    assert '.spec.template.spec.containers[name="c"].ports[containerPort=80,protocol="TCP"]' in paths


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        pytest.param({"spec": {"foo": 1}}, ".spec.foo: field not declared in schema", id="unknown"),
        pytest.param(
            {"spec": {"replicas": "2"}}, ".spec.replicas: expected numeric (int or float), got string", id="type"
        ),
        pytest.param(
            pod({"name": "c"}, {"name": "c"}),
            '.spec.template.spec.containers: duplicate entries for key [name="c"]',
            id="duplicate",
        ),
        pytest.param(
            pod({"image": "c"}),
            '.spec.template.spec.containers: element 0: associative list with keys has an element that omits all key fields ["name"] (and doesn\'t have default values for any key fields)',
            id="keyless",
        ),
        pytest.param(
            pod(None),
            ".spec.template.spec.containers: element 0: associative list with keys may not have null elements",
            id="null",
        ),
    ],
)
def test_the_typed_conversion_refuses(wanted, text):
    assert typed_errors(DEPLOYMENT, wanted) == [text]


def test_an_update_owns_what_it_changed_and_takes_it_from_others():
    first = run(None, config(a="1", b="1"), {}, ALICE)
    new = config(a="2", b="1", c="3")
    editor = Manager("edit", "Update", "v1")
    managers = after_update(first.managers, editor, difference(CONFIG, first.value, new), "2026-01-01T00:00:00Z")

    assert managers[editor].fields == {("f:data", "f:a"), ("f:data", "f:c")}
    assert managers[ALICE].fields == {("f:data", "f:b")}


def test_only_ten_updates_are_kept_apart():
    managers = {}
    value = config()
    for number in range(13):
        new = config(**{**value["data"], f"k{number}": "v"})
        who = Manager(f"m{number:02}", "Update", "v1")
        managers = after_update(managers, who, difference(CONFIG, value, new), f"2026-01-01T00:00:{number:02}Z")
        value = new

    assert len(managers) == 10
    assert managers[Manager("ancient-changes", "Update", "v1")].fields >= {("f:data", "f:k0"), ("f:data", "f:k3")}


def test_a_crd_says_which_lists_merge():
    schema = {
        "type": "object",
        "properties": {
            "rows": {
                "type": "array",
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["id"],
                "items": {"type": "object", "properties": {"id": {"type": "string"}, "n": {"type": "integer"}}},
            },
            "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
            "plain": {"type": "array", "items": {"type": "string"}},
        },
    }
    shape = from_openapi(schema)
    live = {"rows": [{"id": "a", "n": 1}], "tags": ["x"], "plain": ["p"]}

    assert merge(shape, live, {"rows": [{"id": "b"}], "tags": ["y"], "plain": ["q"]}) == {
        "rows": [{"id": "a", "n": 1}, {"id": "b"}],
        "tags": ["x", "y"],
        "plain": ["q"],
    }


@pytest.mark.parametrize(
    ("given_text", "stored"),
    [
        ("1000m", "1"),
        ("0.5", "500m"),
        ("1024Mi", "1Gi"),
        ("1.5Gi", "1536Mi"),
        (2, "2"),
        ("100m", "100m"),
        ("0", "0"),
        ("x", "x"),
    ],
)
def test_quantities_are_stored_short(given_text, stored):
    assert quantity(given_text) == stored


def test_nulls_and_empties_are_not_stored():
    value = {"metadata": {"labels": {}, "creationTimestamp": None}, "data": {"a": None, "b": "1"}}

    assert tidied(CONFIG, value) == {"metadata": {}, "data": {"a": "", "b": "1"}}


names = st.sampled_from(["a", "b", "c", "d"])
texts = st.sampled_from(["1", "2", ""])
data = st.dictionaries(names, texts)
containers = st.lists(names, unique=True, max_size=3).flatmap(
    lambda found: st.tuples(
        *(
            st.fixed_dictionaries({"name": st.just(name), "image": texts}, optional={"tty": st.booleans()})
            for name in found
        )
    )
)
configs = data.map(lambda found: config(**found))
pods = st.tuples(containers, st.dictionaries(st.sampled_from(["hostNetwork", "hostPID"]), st.booleans())).map(
    lambda found: pod(*found[0], **found[1])
)


@given(pods)
def test_fields_survive_encoding(value):
    paths = frozenset(all_fields(DEPLOYMENT, value))

    assert decode(encode(paths)) == paths


@given(pods, pods)
def test_a_second_equal_apply_changes_nothing(live, wanted):
    first = run(live, wanted, {}, ALICE, force=True, shape=DEPLOYMENT)
    second = run(first.value, wanted, first.managers, ALICE, shape=DEPLOYMENT)

    assert second == first


@given(st.lists(st.tuples(st.sampled_from([ALICE, BOB]), configs), max_size=5))
def test_what_was_applied_last_holds_and_every_field_has_an_owner(writes):
    live, managers = None, {}
    for who, wanted in writes:
        result = run(live, wanted, managers, who, force=True)
        live, managers = result.value, result.managers
        for key, text in wanted["data"].items():
            assert live["data"][key] == text
    owned = union(managers)

    assert owned >= {("f:data", f"f:{key}") for key in ((live or {}).get("data") or {})}


@given(st.lists(st.tuples(st.sampled_from([ALICE, BOB]), configs), max_size=4))
def test_managed_fields_survive_being_written_and_read(writes):
    live, managers = None, {}
    for who, wanted in writes:
        result = run(live, wanted, managers, who, force=True)
        live, managers = result.value, result.managers

    assert read_managers(write_managers(managers)) == managers


def in_order(pod):
    """Return a pod with its containers by name: where one of a keyed list stands belongs to no field."""
    spec = pod["spec"]["template"]["spec"]
    if "containers" not in spec:
        return pod
    containers = sorted(spec["containers"], key=lambda each: each["name"])
    return {"spec": {"template": {"spec": {**spec, "containers": containers}}}}


@given(pods, pods)
def test_a_difference_is_empty_only_between_equals(old, new):
    found, old, new = difference(DEPLOYMENT, old, new), in_order(old), in_order(new)

    assert (not found.changed and not found.removed) == (
        in_order(merge(DEPLOYMENT, old, new)) == old and in_order(merge(DEPLOYMENT, new, old)) == new
    )
