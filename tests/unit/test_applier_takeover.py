"""Fields of other tools become ours, and what nobody wants goes with the next apply."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.applier.fields import contains, members
from services.applier.options import Conflicts, Extras, Options
from services.applier.policy import Policy
from services.applier.predict import after_apply
from services.applier.state import Present, Wanted
from services.applier.takeover import is_written_over, reviving, taking_over, unmarking
from services.applier.tracking import present_of
from services.applier.writers import RESTARTED
from shared.core.objects import ObjectKey

OURS = {
    "manager": "towline",
    "operation": "Apply",
    "apiVersion": "v1",
    "time": "t",
    "fieldsV1": {"f:data": {"f:a": {}}},
}


def entry(manager, fields=None, **more):
    fields = fields or {"f:data": {"f:b": {}}}
    return {
        "manager": manager,
        "operation": "Update",
        "apiVersion": "v1",
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
    } | more


def live(*entries, **body):
    metadata = {"name": "a", "resourceVersion": "7", "managedFields": list(entries)}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, **body}


def listed(patch):
    """Return the entries that a patch leaves, by manager and operation."""
    assert patch[0] == {"op": "replace", "path": "/metadata/resourceVersion", "value": "7"}
    (entries,) = [each["value"] for each in patch if each["path"] == "/metadata/managedFields"]
    return {(each["manager"], each["operation"], each.get("subresource", "")): each for each in entries}


MINE = ("towline", "Apply", "")


@pytest.mark.parametrize(
    ("other", "extras", "taken"),
    [
        (entry("kubectl-client-side-apply"), Extras.HUMANS, True),
        (entry("kubectl-edit"), Extras.HUMANS, True),
        (entry("helm"), Extras.HUMANS, True),
        (entry("kustomize-controller", operation="Apply"), Extras.HUMANS, True),
        (entry("argocd-controller", operation="Apply"), Extras.HUMANS, True),
        (entry("before-first-apply"), Extras.HUMANS, True),
        (entry("towline"), Extras.KEEP, True),
        (entry("helm"), Extras.KEEP, False),
        (entry("injector"), Extras.HUMANS, False),
        (entry("injector"), Extras.STRICT, True),
        (entry("kube-controller-manager"), Extras.STRICT, False),
        (entry("vpa-updater"), Extras.STRICT, False),
        (entry("kubectl", subresource="scale"), Extras.STRICT, False),
    ],
)
def test_whose_fields_are_taken_over_d10_d11_i11(other, extras, taken):
    found = live(OURS, other)
    patch = taking_over(found, "v1", extras)
    wanted = Wanted(ObjectKey("", "ConfigMap", "", "a"), "v1", b"{}", "d")

    assert is_written_over(wanted, present_of(found), Options(extras=extras)) is taken
    assert bool(patch) is taken
    if taken:
        entries = listed(patch)
        assert set(entries) == {MINE}
        assert entries[MINE]["fieldsV1"] == {"f:data": {"f:a": {}, "f:b": {}}}
        assert entries[MINE]["time"] == "t"


def test_an_object_may_forbid_it_d10():
    wanted = Wanted(ObjectKey("", "ConfigMap", "", "a"), "v1", b"{}", "d", policy=Policy(takeover=False))

    assert not is_written_over(wanted, Present("u", writers=("helm",)), Options())


def test_who_takes_no_field_from_others_takes_none_over_g3():
    options = Options(conflicts=Conflicts.FAIL)
    wanted = Wanted(ObjectKey("", "ConfigMap", "", "a"), "v1", b"{}", "d")

    assert not is_written_over(wanted, Present("u", writers=("helm",)), options)
    assert is_written_over(wanted, Present("u", writers=("towline",)), options)


def test_what_an_object_had_before_it_was_ours_goes_with_the_next_apply_d10():
    found = live(entry("helm", {"f:data": {"f:a": {}, "f:old": {}}}), data={"a": "1", "old": "x", "theirs": "y"})
    (_, change) = taking_over(found, "v1", Extras.HUMANS)
    after = {**found, "metadata": {**found["metadata"], "managedFields": change["value"]}}

    assert change["value"][0]["apiVersion"] == "v1"
    assert after_apply({**live(), "data": {"a": "1"}}, after).after["data"] == {"a": "1", "theirs": "y"}


def nested(path):
    return {path[0]: nested(path[1:])} if path else {}


def test_a_rollout_restart_is_left_alone_d10():
    restart = entry("kubectl-rollout", nested(RESTARTED))
    both = entry("kubectl-edit", {**nested(RESTARTED), "f:data": {"f:b": {}}})

    assert present_of(live(OURS, restart)).writers == ()
    assert taking_over(live(OURS, restart), "v1", Extras.HUMANS) == []
    entries = listed(taking_over(live(OURS, both), "v1", Extras.HUMANS))
    assert members(entries["kubectl-edit", "Update", ""]["fieldsV1"]) == {RESTARTED}
    assert not contains(entries[MINE]["fieldsV1"], RESTARTED)


managers = st.sampled_from(["helm", "kubectl-edit", "injector", "towline", "kube-controller-manager"])
sets = st.frozensets(st.sampled_from("abcd"), min_size=1).map(
    lambda names: {"f:data": {f"f:{name}": {} for name in names}}
)
histories = st.lists(st.builds(entry, managers, sets), max_size=4, unique_by=lambda each: each["manager"])


@given(histories, st.sampled_from(list(Extras)))
def test_taking_over_loses_no_field_and_ends_d10(others, extras):
    found = live(OURS, *others)
    patch = taking_over(found, "v1", extras)
    after = (
        {**found, "metadata": {**found["metadata"], "managedFields": list(listed(patch).values())}} if patch else found
    )

    def owned(manifest):
        return {path for each in manifest["metadata"]["managedFields"] for path in members(each["fieldsV1"])}

    assert owned(after) == owned(found)
    assert taking_over(after, "v1", extras) == []


def test_entries_of_versions_that_are_gone_are_moved_d12():
    dead, good = entry("x", apiVersion="acme.io/v1"), entry("y", apiVersion="acme.io/v2")
    other = entry("z", apiVersion="apps/v1beta1")
    found = listed(reviving(live(dead, good, other), "acme.io/v2", {"acme.io/v2"}))

    assert {name[0]: each["apiVersion"] for name, each in found.items()} == {
        "x": "acme.io/v2",
        "y": "acme.io/v2",
        "z": "apps/v1beta1",
    }
    assert reviving(live(good, other), "acme.io/v2", {"acme.io/v2"}) == []


def test_marks_are_taken_off_by_name_f4():
    found = live(OURS, entry("helm"))
    found["metadata"] |= {
        "labels": {"towline.dev/agent": "c1"},
        "annotations": {"towline.dev/owner": "x", "other": "y"},
    }

    paths = [each["path"] for each in unmarking(found)]

    assert paths[1:3] == ["/metadata/annotations/towline.dev~1owner", "/metadata/labels/towline.dev~1agent"]
    assert set(listed(unmarking(found))) == {("helm", "Update", "")}
