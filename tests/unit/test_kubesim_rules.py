"""Patches, selectors, validation and conversion of the simulated cluster, as pure functions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kubesim import conversion
from services.kubesim.answers import RefusedError
from services.kubesim.fields import difference
from services.kubesim.kinds import BUILTIN_LEGACY
from services.kubesim.patches import json_patched, merged, strategically_merged
from services.kubesim.requests import Place, form_of, place_of
from services.kubesim.schemas import shape_of
from services.kubesim.selectors import label_test
from services.kubesim.validation import causes

DEPLOYMENT = shape_of("Deployment")


def resource(api_version, kind):
    return next(one for one in BUILTIN_LEGACY if (one.api_version, one.kind) == (api_version, kind))


@pytest.mark.parametrize(
    ("operations", "result"),
    [
        pytest.param([{"op": "add", "path": "/a/-", "value": 3}], {"a": [1, 2, 3]}, id="append"),
        pytest.param([{"op": "add", "path": "/a/0", "value": 0}], {"a": [0, 1, 2]}, id="insert"),
        pytest.param([{"op": "replace", "path": "/a/1", "value": 9}], {"a": [1, 9]}, id="replace"),
        pytest.param([{"op": "remove", "path": "/a/0"}], {"a": [2]}, id="remove"),
        pytest.param([{"op": "move", "from": "/a", "path": "/b~1c"}], {"b/c": [1, 2]}, id="move"),
        pytest.param([{"op": "copy", "from": "/a/0", "path": "/b"}], {"a": [1, 2], "b": 1}, id="copy"),
        pytest.param([{"op": "test", "path": "/a/0", "value": 1}], {"a": [1, 2]}, id="test"),
        pytest.param([{"op": "replace", "path": "", "value": {}}], {}, id="whole"),
    ],
)
def test_json_patch(operations, result):
    assert json_patched({"a": [1, 2]}, operations) == result


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "remove", "path": "/x"},
        {"op": "replace", "path": "/x", "value": 1},
        {"op": "add", "path": "/a/9", "value": 1},
        {"op": "test", "path": "/a/0", "value": 2},
    ],
)
def test_a_json_patch_that_does_not_fit_is_refused(operation):
    with pytest.raises(RefusedError) as refused:
        json_patched({"a": [1, 2]}, [operation])

    assert refused.value.code == 422


def test_merge_patch_removes_by_null():
    assert merged({"a": {"b": 1, "c": 2}}, {"a": {"b": None, "d": 3}}) == {"a": {"c": 2, "d": 3}}


def containers(*items):
    return {"spec": {"template": {"spec": {"containers": list(items)}}}}


def test_strategic_merge_merges_deletes_and_adds_list_items():
    live = containers({"name": "a", "image": "1"}, {"name": "b", "image": "1"})
    change = containers({"name": "a", "image": "2"}, {"name": "b", "$patch": "delete"}, {"name": "c", "image": "1"})

    assert strategically_merged(DEPLOYMENT, live, change) == containers(
        {"name": "a", "image": "2"}, {"name": "c", "image": "1"}
    )


def test_strategic_merge_knows_its_directives():
    live = {"metadata": {"finalizers": ["a", "b"], "labels": {"x": "1"}}, "spec": {"strategy": {"type": "A", "x": 1}}}
    change = {
        "metadata": {"$deleteFromPrimitiveList/finalizers": ["a"], "labels": {"$patch": "replace", "y": "2"}},
        "spec": {"strategy": {"$retainKeys": ["type"], "type": "B"}},
    }

    assert strategically_merged(DEPLOYMENT, live, change) == {
        "metadata": {"finalizers": ["b"], "labels": {"y": "2"}},
        "spec": {"strategy": {"type": "B"}},
    }


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=8,
)


@given(json_values, json_values)
def test_patches_leave_their_input_alone(value, other):
    before = repr(value)
    json_patched(value, [{"op": "replace", "path": "", "value": other}])
    merged(value, other)

    assert repr(value) == before


@pytest.mark.parametrize(
    ("selector", "labels", "result"),
    [
        ("", {}, True),
        ("a=1,b", {"a": "1", "b": ""}, True),
        ("a==2", {"a": "1"}, False),
        ("a!=1", {}, True),
        ("a in (1, 2)", {"a": "2"}, True),
        ("a notin (1,2)", {"a": "2"}, False),
        ("!a", {"a": "2"}, False),
    ],
)
def test_label_selectors(selector, labels, result):
    assert label_test(selector)(labels) is result


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/api/v1/namespaces", Place("", "v1", "namespaces")),
        ("/api/v1/namespaces/n", Place("", "v1", "namespaces", "", "n")),
        ("/api/v1/namespaces/n/status", Place("", "v1", "namespaces", "", "n", "status")),
        ("/api/v1/namespaces/n/pods/p", Place("", "v1", "pods", "n", "p")),
        ("/apis/apps/v1/namespaces/n/deployments/d/scale", Place("apps", "v1", "deployments", "n", "d", "scale")),
        ("/apis/apps/v1/deployments", Place("apps", "v1", "deployments")),
        ("/metrics", None),
    ],
)
def test_places(path, place):
    assert place_of(path) == place


def test_a_form_nobody_speaks_is_refused():
    with pytest.raises(RefusedError) as refused:
        form_of("application/cbor")

    assert refused.value.code == 406
    assert form_of("application/cbor, application/json;as=Table;v=v1;g=meta.k8s.io") == "table"


OLD = {
    "apps/v1 StatefulSet": {"spec": {"serviceName": "a", "replicas": 1}},
    "rbac.authorization.k8s.io/v1 RoleBinding": {"roleRef": {"kind": "Role", "name": "a"}},
    "v1 ConfigMap": {"immutable": True, "data": {"a": "1"}},
    "v1 Secret": {"type": "Opaque"},
    "v1 Service": {"spec": {"clusterIP": "10.0.0.1", "type": "ClusterIP"}},
    "v1 PersistentVolumeClaim": {
        "spec": {"accessModes": ["A"], "resources": {"requests": {"storage": "1Gi"}}, "volumeName": "v"}
    },
    "scheduling.k8s.io/v1 PriorityClass": {"value": 1},
    "batch/v1 Job": {"spec": {"completions": 1, "template": {"spec": {"containers": [{"name": "c", "image": "i"}]}}}},
    "v1 Pod": {"spec": {"containers": [{"name": "c", "image": "i"}]}},
}
CHANGES = [
    ("apps/v1 StatefulSet", {"spec": {"serviceName": "b"}}, "spec.serviceName"),
    ("rbac.authorization.k8s.io/v1 RoleBinding", {"roleRef": {"name": "b"}}, "roleRef"),
    ("v1 ConfigMap", {"data": {"a": "2"}}, "data"),
    ("v1 ConfigMap", {"immutable": None}, "immutable"),
    ("v1 Secret", {"type": "other"}, "type"),
    ("v1 Service", {"spec": {"clusterIP": "10.0.0.2"}}, "spec.clusterIPs[0]"),
    ("v1 PersistentVolumeClaim", {"spec": {"storageClassName": "x"}}, "spec"),
    ("scheduling.k8s.io/v1 PriorityClass", {"value": 2}, "value"),
    ("batch/v1 Job", {"spec": {"completions": 2}}, "spec.completions"),
    ("v1 Pod", {"spec": {"hostNetwork": True}}, "spec"),
]


@pytest.mark.parametrize(("kind", "change", "field"), CHANGES)
def test_immutable_fields(kind, change, field):
    live = {"metadata": {"name": "x"}, **OLD[kind]}
    found = causes(resource(*kind.split()), live, merged(live, change))

    assert field in [cause.field for cause in found]


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("apps/v1 StatefulSet", {"spec": {"replicas": 2}}),
        ("v1 PersistentVolumeClaim", {"spec": {"resources": {"requests": {"storage": "2Gi"}}}}),
        ("v1 Pod", {"spec": {"containers": [{"name": "c", "image": "other"}]}}),
        ("v1 ConfigMap", {"metadata": {"labels": {"a": "b"}}}),
    ],
)
def test_fields_beside_them_may_change(kind, change):
    live = {"metadata": {"name": "x"}, **OLD[kind]}
    found = [cause.message for cause in causes(resource(*kind.split()), live, merged(live, change))]

    assert not [text for text in found if "immutable" in text or "Forbidden" in text]


@pytest.mark.parametrize(
    ("name", "kind", "valid"),
    [
        ("web", "v1 Service", True),
        ("web.prod", "v1 Service", False),
        ("web.prod", "v1 ConfigMap", True),
        ("Web", "v1 ConfigMap", False),
        ("system:Web", "rbac.authorization.k8s.io/v1 ClusterRole", True),
        ("x" * 254, "v1 ConfigMap", False),
    ],
)
def test_names(name, kind, valid):
    found = causes(resource(*kind.split()), None, {"metadata": {"name": name}})

    assert ("metadata.name" not in [cause.field for cause in found]) is valid


def test_a_selector_must_match_the_template():
    template = {"metadata": {"labels": {"a": "2"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    new = {"metadata": {"name": "x"}, "spec": {"selector": {"matchLabels": {"a": "1"}}, "template": template}}

    assert [cause.field for cause in causes(resource("apps/v1", "Deployment"), None, new)] == [
        "spec.template.metadata.labels"
    ]


OLD_FORMS = [
    (
        resource("networking.k8s.io/v1beta1", "Ingress"),
        {"spec": {"backend": {"serviceName": "s", "servicePort": "http"}}},
        {"spec": {"defaultBackend": {"service": {"name": "s", "port": {"name": "http"}}}}},
    ),
    (
        resource("autoscaling/v2beta1", "HorizontalPodAutoscaler"),
        {"spec": {"metrics": [{"type": "Resource", "resource": {"name": "cpu", "targetAverageUtilization": 50}}]}},
        {
            "spec": {
                "metrics": [
                    {
                        "type": "Resource",
                        "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}},
                    }
                ]
            }
        },
    ),
    (
        resource("autoscaling/v1", "HorizontalPodAutoscaler"),
        {"spec": {"targetCPUUtilizationPercentage": 50}},
        {
            "spec": {
                "metrics": [
                    {
                        "type": "Resource",
                        "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}},
                    }
                ]
            }
        },
    ),
]


@pytest.mark.parametrize(("served", "old", "new"), OLD_FORMS)
def test_old_versions_are_stored_new_and_shown_old(served, old, new):
    stored = conversion.stored(served, {"apiVersion": served.api_version, **old})

    assert stored == {"apiVersion": served.stored_api_version, **new}
    assert conversion.shown(served, stored) == {"apiVersion": served.api_version, **old}


def test_removing_a_map_counts_as_removing_what_it_held():
    old, new = {"metadata": {"labels": {"a": "1"}}}, {"metadata": {}}

    assert ("f:metadata", "f:labels", "f:a") in difference(DEPLOYMENT, old, new).removed
