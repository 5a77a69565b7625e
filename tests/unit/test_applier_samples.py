"""What differs between desired and live, and what of it may be shown: the sets made of other tools' own tests."""

import json
from pathlib import Path

import pytest

from services.applier.predict import after_apply, after_dry_run, after_merge, as_answered
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
