"""What differs between desired and live, and what of it may be shown: the sets made of other tools' own tests."""

import copy
import json
from pathlib import Path

import pytest

from services.applier.fields import MISSING as MISSING_FIELD
from services.applier.fields import fields_of
from services.applier.masking import alike, before_and_after
from services.applier.options import IgnoreRule
from services.applier.patches import Operation, masked, shown, would_change
from services.applier.predict import (
    Prediction,
    after_apply,
    after_dry_run,
    after_merge,
    applied_paths,
    as_answered,
    last_applied,
    place_of,
)
from services.applier.sameness import comparable
from tests.support.data import data_path


def cases(name):
    """Return the cases of a set as parameters; one that is skipped where the set is absent."""
    try:
        path = Path(data_path(name))
    except pytest.skip.Exception as error:
        return [pytest.param(None, marks=pytest.mark.skip(reason=str(error)))]
    found = [json.loads(line) for line in path.read_text().splitlines()]
    return [pytest.param(each, id=each["case"]) for each in found]


MISSING = object()


def at(value, dotted):
    """Return what stands at a path like `spec.containers.0.image`; names may have dots themselves."""
    if not dotted:
        return value
    parts = dotted.split(".")
    for length in range(len(parts), 0, -1):
        name, rest = ".".join(parts[:length]), ".".join(parts[length:])
        if isinstance(value, dict) and name in value:
            return at(value[name], rest)
        if isinstance(value, list) and name.isdecimal() and int(name) < len(value):
            return at(value[int(name)], rest)
    return MISSING


def predicted(case):
    config, live, options = case["config"], case["live"], case.get("options") or {}
    manager = {"manager": options["manager"]} if "manager" in options else {}
    match case["mode"]:
        case "local":
            return after_merge(config, live)
        case "ssa_merge":
            return after_apply(config, live, **manager)
        case "ssa_dryrun" if options.get("ignoreMutationWebhook", True):
            return after_dry_run(case["predicted"], live, **manager)
        case "ssa_dryrun":
            return as_answered(case["predicted"], live)


@pytest.mark.parametrize("case", cases("diff_argo.jsonl"))
def test_whether_desired_and_live_differ(case):
    given, expected = case["input"], case["expected"]
    if given["config"] is None or given["live"] is None:
        # Somebody's own object, or one that is to be created.
        assert expected["modified"] is (given["config"] is not None)
        return

    found = predicted(given)

    if expected.get("modified") is not None:
        assert found.modified is expected["modified"], (found.live, found.after)
    for side, tree in (("predicted", found.after), ("live", found.live)):
        for path, value in (expected.get(side) or {}).items():
            assert at(tree, path) == value, path
        assert all(at(tree, path) is MISSING for path in expected.get(f"absent_{side}", ())), side
        assert all(at(tree, path) is not MISSING for path in expected.get(f"present_{side}", ())), side


def options_of(given):
    """Return the options of a case: ignored pointers, whether values are masked, whether the patch is brief."""
    options = given.get("options") or []
    options = options.get("opts", []) if isinstance(options, dict) else options
    calls = {each["$call"].rpartition(".")[2]: each["args"] or [True] for each in options if isinstance(each, dict)}
    pointers = [pointer for each in options if isinstance(each, list) for pointer in each]
    return (
        ["" if pointer == "IgnorePathRoot" else pointer for pointer in pointers],
        calls.get("MaskSecrets", [False])[0],
        calls.get("Rationalize", [False])[0],
    )


def changed_by(manifest, operations):
    """Return `manifest` after some changes, None when one of them removes it."""
    for each in operations:
        if each.get("absent"):
            return None
        *above, last = each.get("set") or each["remove"]
        place = manifest
        for step in above:
            place = place.setdefault(step, {}) if isinstance(step, str) and isinstance(place, dict) else place[step]
        if "set" in each:
            place[last] = each["value"]
        else:
            place.pop(last, None)
    return manifest


def deployed(manifest):
    """Return a live object that one manager applied."""
    fields = fields_of(applied_paths(comparable(manifest), place_of(manifest, {})))
    entry = {"manager": "towline", "operation": "Apply", "fieldsV1": fields}
    return {**comparable(manifest), "metadata": {**manifest["metadata"], "managedFields": [entry]}}


def json_patch(operations):
    return [each.plain() for each in operations]


@pytest.mark.parametrize("case", cases("diff_flux.jsonl"))
def test_what_an_apply_changes_as_a_json_patch(case):
    given, expected = case["input"], case["expected"]
    pointers, masks, brief = options_of(given)
    rules = [IgnoreRule({}, tuple(pointers))]
    if "from" in given:
        action, operations = would_change(Prediction(given["from"], given["to"]), rules, brief=brief)
    else:
        live = changed_by(copy.deepcopy(given["base"]), given["cluster_ops"])
        wanted = changed_by(copy.deepcopy(given["base"]), given["desired_ops"])
        action, operations = would_change(live and after_apply(wanted, deployed(live)), rules, brief=brief)
        operations = shown(wanted, operations) if masks else operations

    assert json_patch(operations) == expected["patch"]
    assert expected.get("type") in {None, action}


def sanitized(given):
    old, new = given["old"], given["new"]
    pair = before_and_after(*((each or {}).get("data", MISSING_FIELD) for each in (old, new)))
    names = {"old": old, "new": new}
    return {
        name: {**each, "data": data} for (name, each), data in zip(names.items(), pair, strict=True) if each is not None
    }


@pytest.mark.parametrize("case", cases("secret_masking.jsonl"))
def test_what_a_diff_of_secrets_may_show(case):
    given, expected = case["input"], case["expected"]
    if "patch" in given:
        found = [
            Operation(e["op"], e["path"], e.get("value", MISSING_FIELD), e.get("oldValue", MISSING_FIELD))
            for e in given["patch"]
        ]

        assert json_patch(masked(found)) == expected["patch"]
    elif "old" in given:
        # Data that is no mapping is hidden whole; others call it an error.
        assert expected.get("error") or sanitized(given) == expected["objects"]
    else:
        forms = alike([given["target"], given["live"]])
        for name, form in zip(("target", "live"), forms, strict=True):
            assert (form or {}).get("data") == expected.get(f"{name}_data")
            if f"{name}_last_applied_data" in expected:
                assert last_applied(form)["data"] == expected[f"{name}_last_applied_data"]
            assert not any(value in str(form) for value in secrets_of(given[name]))


def secrets_of(manifest):
    values = [*(manifest.get("data") or {}).values(), *(manifest.get("stringData") or {}).values()] if manifest else []
    return [value for value in values if isinstance(value, str) and len(value) > 4]
