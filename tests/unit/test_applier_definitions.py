"""Which changes of a definition would lose objects."""

import pytest

from services.applier.definitions import danger

SPEC = {
    "scope": "Namespaced",
    "names": {"kind": "Widget", "plural": "widgets"},
    "versions": [{"name": "v1"}, {"name": "v2"}],
}
LIVE = {"spec": SPEC, "status": {"storedVersions": ["v1"]}}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, ""),
        ({"versions": [{"name": "v1"}]}, ""),
        ({"versions": [{"name": "v2"}]}, "stored in v1"),
        ({"versions": []}, "stored in v1"),
        ({"scope": "Cluster"}, "from Namespaced to Cluster"),
        ({"names": {"kind": "Gadget", "plural": "widgets"}}, "kind would change"),
        ({"names": {"kind": "Widget", "plural": "widgetes"}}, "plural would change"),
    ],
)
def test_what_would_lose_objects_is_known(change, said):
    """D15."""
    found = danger(LIVE, {"spec": SPEC | change})

    assert bool(found) is bool(said)
    assert said in found


def test_a_definition_that_never_served_loses_nothing():
    assert danger({"spec": SPEC}, {"spec": SPEC | {"versions": []}}) == ""
