import pytest

from services.applier.policy import Leave
from services.applier.state import Absent, Present
from services.applier.tracking import is_ours, owned_app, owner_value, present_of
from shared.core.objects import ObjectKey

KEY = ObjectKey("apps", "Deployment", "shop", "web")
FLUX, ARGO = "kustomize.toolkit.fluxcd.io", "argocd.argoproj.io"


def test_the_owner_is_named_with_the_identity_inside_b8():
    value = owner_value("web", KEY)

    assert value == "web:apps/Deployment:shop/web"
    assert owned_app(value, KEY) == "web"
    assert owned_app(value, KEY._replace(kind="ReplicaSet")) == ""
    assert owned_app("", KEY) == ""
    assert is_ours(Present("u", owner=value), "web", KEY)
    assert not is_ours(Present("u", owner=value), "api", KEY)
    assert not is_ours(Absent(), "web", KEY)


def test_the_facts_of_a_live_object():
    live = {
        "metadata": {
            "uid": "u1",
            "resourceVersion": "7",
            "generation": 3,
            "labels": {"towline.dev/agent": "c1"},
            "annotations": {"towline.dev/owner": "x", f"{FLUX}/prune": "Disabled"},
            "finalizers": ["a/b"],
            "deletionTimestamp": "now",
            "managedFields": [
                {"manager": "towline", "operation": "Apply", "time": "t", "fieldsV1": {"f:data": {}}},
                {"manager": "kubectl", "operation": "Update"},
            ],
        },
    }

    found = present_of(live)

    assert (found.uid, found.resource_version, found.generation, found.agent, found.owner) == ("u1", "7", 3, "c1", "x")
    assert found.owned
    assert found.owned_at == "t"
    assert found.managers == ("kubectl",)
    assert found.deleting
    assert found.finalizers == ("a/b",)
    assert found.asks(compat=True).prune is Leave.KEEP
    assert found.asks(compat=False).prune is Leave.DELETE


def test_an_object_that_says_nothing():
    assert present_of({"metadata": {"uid": "u1"}}) == Present("u1")


@pytest.mark.parametrize(
    ("labels", "annotations", "says"),
    [
        ({f"{FLUX}/name": "infra"}, {}, "Flux Kustomization infra"),
        ({"helm.toolkit.fluxcd.io/name": "x"}, {}, "Flux HelmRelease x"),
        ({}, {f"{ARGO}/tracking-id": "shop:x"}, "Argo CD application shop:x"),
        ({"app.kubernetes.io/managed-by": "Helm"}, {"meta.helm.sh/release-name": "x"}, "Helm release x"),
        ({"app.kubernetes.io/managed-by": "Helm"}, {}, ""),
        ({}, {"meta.helm.sh/release-name": "x"}, ""),
        ({"kapp.k14s.io/app": "1"}, {}, "kapp app 1"),
        ({"objectset.rio.cattle.io/id": "b"}, {}, "Fleet bundle b"),
        ({}, {"config.k8s.io/owning-inventory": "i"}, "cli-utils inventory i"),
        ({"applyset.kubernetes.io/part-of": "p"}, {}, "kubectl apply set p"),
        ({"app.kubernetes.io/instance": "x"}, {}, ""),
    ],
)
def test_other_tools_are_recognised_by_their_marks_g2(labels, annotations, says):
    assert present_of({"metadata": {"labels": labels, "annotations": annotations}}).foreign == says
