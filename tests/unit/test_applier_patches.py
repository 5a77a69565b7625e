"""What an apply would change, as a JSON patch that gives nothing away."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.applier.masking import AFTER, BEFORE, HIDDEN, alike, before_and_after
from services.applier.options import IgnoreRule
from services.applier.patches import Action, Operation, masked, patch, shown, would_change
from services.applier.predict import after_apply
from shared.core.canonical import encode

trees = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from(["a", "b"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["x", "y/z", "~"]), inner, max_size=3),
    max_leaves=8,
)


def patched(value, operations):
    """Apply a JSON patch, as RFC 6902 has it."""
    for each in operations:
        if not each.path:
            value = each.value
            continue
        parts = [part.replace("~1", "/").replace("~0", "~") for part in each.path.split("/")[1:]]
        place = value
        for part in parts[:-1]:
            place = place[int(part)] if isinstance(place, list) else place[part]
        last = parts[-1]
        if isinstance(place, list):
            last = len(place) if last == "-" else int(last)
        if each.op == "remove":
            del place[last]
        elif isinstance(place, list) and each.op == "add":
            place.insert(last, each.value)
        else:
            place[last] = each.value
    return value


def copied(value):
    match value:
        case dict():
            return {name: copied(member) for name, member in value.items()}
        case list():
            return [copied(member) for member in value]
        case _:
            return value


@given(trees, trees, st.booleans())
def test_a_patch_turns_one_value_into_the_other(before, after, brief):
    operations = patch(before, after, brief=brief)

    assert encode(patched(copied(before), copied_values(operations))) == encode(after)
    assert patch(after, after, brief=brief) == ()


def copied_values(operations):
    return [Operation(each.op, each.path, copied(each.value), each.old) for each in operations]


SECRET = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}}
CANARY, OTHER = "canary-one", "canary-two"


@pytest.mark.parametrize("brief", [False, True])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"data": {"a": CANARY}}, {"data": {"a": OTHER}}),
        ({"data": {"a": CANARY}}, {"data": {"b": OTHER}}),
        ({}, {"data": {"a": CANARY}}),
        ({"data": {"a": CANARY}}, {}),
        ({"stringData": {"a": CANARY}}, {"stringData": OTHER}),
    ],
)
def test_a_secrets_patch_shows_names_and_no_values_p1(before, after, brief):
    operations = shown(SECRET, patch({**SECRET, **before}, {**SECRET, **after}, brief=brief))
    whole = masked([Operation("replace", "", {**SECRET, **after}, {**SECRET, **before})])

    assert operations
    assert "canary" not in str([each.plain() for each in (*operations, *whole)])


def test_other_kinds_are_shown():
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "s"}}
    operations = patch({**config, "data": {"a": "1"}}, {**config, "data": {"a": "2"}})

    assert [each.plain() for each in shown(config, operations)] == [
        {"op": "replace", "path": "/data/a", "value": "2", "oldValue": "1"}
    ]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("a", "a", (HIDDEN, HIDDEN)),
        ("a", "b", (BEFORE, AFTER)),
        (
            {"x": "a", "y": "b"},
            {"x": "a", "y": "c", "z": "d"},
            ({"x": HIDDEN, "y": BEFORE}, {"x": HIDDEN, "y": AFTER, "z": HIDDEN}),
        ),
    ],
)
def test_changed_and_unchanged_can_be_told_apart_p1(before, after, expected):
    assert before_and_after(before, after) == expected


def test_equal_values_look_alike_in_every_form_p1():
    forms = alike(
        [
            {**SECRET, "data": {"a": CANARY, "b": "x"}},
            None,
            {**SECRET, "stringData": {"a": "q"}},
            {**SECRET, "data": CANARY},
        ]
    )

    assert forms[0]["data"] == {"a": "++++++++", "b": "++++++++"}
    assert forms[1] is None
    assert forms[2]["data"] == {"a": "++++++++++++"}
    assert forms[3]["data"] == HIDDEN
    assert CANARY not in str(forms)


def test_what_is_ignored_is_no_change_i8():
    wanted = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "s"}, "spec": {"replicas": 3}}
    found = after_apply(wanted, {**wanted, "spec": {"replicas": 5}})

    assert would_change(found)[0] is Action.UPDATE
    assert would_change(found, [IgnoreRule({}, ("/spec/replicas",))]) == (Action.NONE, ())
    assert would_change(found, [IgnoreRule({}, ("",))]) == (Action.EXCLUDE, ())
    assert would_change(None) == (Action.CREATE, ())
