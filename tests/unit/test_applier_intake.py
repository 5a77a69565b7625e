"""Bundles are taken whole or refused whole: rules A5 to A14, B8, C1 and C2."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.applier import intake as taking
from services.applier import limits
from services.applier.errors import ErrorClass
from services.applier.intake import Place, intake
from services.applier.normalise import is_bodied, marked, placed
from services.applier.order import rank_of, staged
from services.applier.policy import Policy
from services.applier.sops.errors import SopsError
from services.applier.state import Entry, Header, Inventory
from shared.core.canonical import decode, encode
from shared.core.objects import ObjectKey, key_of
from shared.errors import FindingsError

SCOPES = {("", "ConfigMap"): True, ("", "Namespace"): False, ("rbac.authorization.k8s.io", "ClusterRole"): False}
PLACE = Place("c1", "web", "shop", SCOPES, b"secret", create_namespace=False)
EMPTY = Inventory(Header("web"))


def made(kind="ConfigMap", name="a", version="v1", namespace="", **more):
    metadata = {"name": name, **({"namespace": namespace} if namespace else {}), **more.pop("metadata", {})}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **more}


def noted(**annotations):
    return made(metadata={"annotations": {name.replace("_", "/", 1): value for name, value in annotations.items()}})


def taken(*objects, place=PLACE, inventory=EMPTY):
    return intake(objects, place, inventory)


def refused(*objects, place=PLACE, inventory=EMPTY):
    with pytest.raises(FindingsError) as caught:
        intake(objects, place, inventory)
    return [finding.code for finding in caught.value.findings]


def only(found):
    (wanted,) = found.wanted.values()
    return wanted


def test_an_object_is_sent_with_namespace_label_and_owner_b8():
    wanted = only(taken(made(data={"a": "1"}, metadata={"labels": {"app": "x"}, "uid": "u", "managedFields": []})))

    assert wanted.key == ObjectKey("", "ConfigMap", "shop", "a")
    assert (wanted.version, wanted.api_version, wanted.bodied) == ("v1", "v1", True)
    assert decode(wanted.body) == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": "a",
            "namespace": "shop",
            "labels": {"app": "x", "towline.dev/agent": "c1"},
            "annotations": {"towline.dev/owner": "web:/ConfigMap:shop/a"},
        },
        "data": {"a": "1"},
    }


def test_pod_templates_and_selectors_are_left_alone_b8_b9():
    template = {"spec": {"selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}}}}}

    wanted = only(taken(made("Deployment", version="apps/v1", namespace="x", **template)))

    assert decode(wanted.body)["spec"] == template["spec"]
    assert wanted.api_version == "apps/v1"


@settings(max_examples=40, deadline=None)
@given(
    st.dictionaries(st.sampled_from(["status", "spec", "data"]), st.just({"a": "b"})),
    st.dictionaries(st.sampled_from(["uid", "generation", "labels"]), st.just({"a": "b"})),
    st.sampled_from(["", "shop"]),
)
def test_placing_twice_changes_nothing(body, metadata, namespace):
    once = marked(placed(made(metadata=metadata, **body), namespace), "c1", "web")

    assert marked(placed(once, namespace), "c1", "web") == once
    assert is_bodied(once) == bool(body.keys() - {"status"})


def test_digests_tell_nothing_without_the_agents_key_p3():
    other = Place("c1", "web", "shop", SCOPES, b"another")

    assert only(taken(made())).digest == only(taken(made())).digest
    assert (
        only(taken(made())).digest
        != only(taken(made(), place=Place(**{**_parts(other), "create_namespace": False}))).digest
    )


def _parts(place):
    return {name: getattr(place, name) for name in Place.__dataclass_fields__}


def test_the_scope_comes_from_discovery_or_from_a_crd_of_the_bundle_a8():
    crd = made(
        "CustomResourceDefinition",
        "ws.acme.io",
        "apiextensions.k8s.io/v1",
        spec={"group": "acme.io", "names": {"kind": "W"}, "scope": "Cluster"},
    )
    place = Place("c1", "web", "shop", {**SCOPES, ("apiextensions.k8s.io", "CustomResourceDefinition"): False}, b"s")

    found = taken(
        made("W", "w", "acme.io/v1", "lost"),
        crd,
        made("ClusterRole", "r", "rbac.authorization.k8s.io/v1", "lost"),
        made("Ghost", "g", "ghost.io/v1", "here"),
        made("Ghost", "h", "ghost.io/v1"),
        place=Place(**{**_parts(place), "create_namespace": False}),
    )

    assert {(key.kind, key.namespace) for key in found.wanted} == {
        ("W", ""),
        ("CustomResourceDefinition", ""),
        ("ClusterRole", ""),
        ("Ghost", "here"),
        ("Ghost", ""),
    }
    assert len([warning for warning in found.warnings if "cluster-scoped" in warning]) == 2


def test_a_namespaced_object_needs_a_namespace_a8():
    assert refused(made(), place=Place("c1", "web", "", SCOPES, b"s")) == ["object.namespace"]


@pytest.mark.parametrize(
    "bad",
    [
        {},
        {"apiVersion": "v1"},
        {"apiVersion": "v1", "kind": "ConfigMap"},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "x-"}},
        {"apiVersion": 1, "kind": "ConfigMap", "metadata": {"name": "a"}},
        made("ConfigMapList", items=[made()]),
    ],
)
def test_what_is_no_object_refuses_the_bundle_a5_a6(bad):
    assert refused(made(name="good"), bad) == ["object.identity"]


def test_all_findings_are_told_at_once_a13():
    """O9."""
    codes = refused({}, made(), made(data={"a": "1"}), noted(**{"towline.dev_owner": "x"}), made(name="b"))

    assert sorted(codes) == ["object.duplicate", "object.identity", "object.reserved"]


def test_equal_twins_are_one_object_and_a_warning_a7():
    found = taken(made(), made(namespace="shop"))

    assert len(found.wanted) == 1
    assert "twice" in found.warnings[0]


def test_one_stored_object_under_two_groups_is_one_a7():
    events = [made("Event", "e", version, "shop", note=version) for version in ("v1", "events.k8s.io/v1")]

    assert refused(*events) == ["object.duplicate"]


def test_objects_for_somebodys_desk_are_left_out_a9():
    local = noted(**{"config.kubernetes.io_local-config": "true"})
    kustomization = made("Kustomization", version="kustomize.config.k8s.io/v1beta1")

    assert taken(local, kustomization).wanted == {}


def test_an_object_that_no_cluster_can_store_refuses_the_bundle_a10(monkeypatch):
    monkeypatch.setattr(limits, "SMALL_BYTES", 0)
    monkeypatch.setattr(limits, "OBJECT_LIMIT_BYTES", 600)
    monkeypatch.setattr(taking, "OBJECTS_LIMIT", 1)

    assert refused(made(name="a"), made(name="b"), made(name="c", data={"x": "y" * 600})) == [
        "object.too-large",
        "bundle.too-large",
    ]


def sized(kind="ConfigMap", api="v1", **body):
    manifest = made(kind, version=api, **body)
    return limits.size_trouble(key_of(manifest), manifest, encode(manifest))


MANY = {f"key-{number:05}": "" for number in range(42_000)}


@pytest.mark.parametrize(
    ("manifest", "says"),
    [
        ({"data": {"a": "y" * (1 << 20)}}, ""),
        ({"data": {"a": "y" * (1 << 20), "b": "y"}}, "bytes of data"),
        ({"data": {"a": "y"}, "binaryData": {"b": "y" * 1_400_000}}, "bytes as it is stored"),
        ({"kind": "Secret", "data": {"a": "y" * 1_350_000}}, ""),
        ({"kind": "Secret", "data": {"a": "y" * 1_399_000}}, "bytes of data"),
        ({"metadata": {"annotations": {"a": "y" * (256 << 10)}}}, "bytes of annotations"),
        ({"kind": "W", "api": "acme.io/v1", "spec": {"a": "<" * 200_000}}, ""),
        ({"kind": "W", "api": "acme.io/v1", "spec": {"a": "<" * 300_000}}, "bytes as it is stored"),
        ({"kind": "ServiceAccount", "api": "v1", "labels": {"a": "<" * 300_000}}, ""),
        ({"kind": "W", "api": "acme.io/v1", "spec": MANY}, ""),
        (
            {"kind": "W", "api": "acme.io/v1", "spec": MANY, "more": {f"{name}x": "" for name in MANY}},
            "as it is stored",
        ),
    ],
)
def test_what_etcd_would_refuse_is_found_before_anything_is_written_a10(manifest, says):
    assert says in sized(**manifest) if says else sized(**manifest) == ""


SOPS = {"mac": "ENC[x]", "version": "3.9"}


def test_a_secret_that_cannot_be_decrypted_is_closed_and_the_others_go_on_p5():
    def closed(_):
        raise SopsError("no key", "add one")

    found = taken(
        made("Secret", data={"a": "ENC[AES256_GCM,data:x]"}, sops=SOPS),
        made("ConfigMap"),
        place=replace(PLACE, opener=closed),
    )

    assert {key.kind: each.closed and (each.closed.error, each.closed.hint) for key, each in found.wanted.items()} == {
        "Secret": (ErrorClass.ENCRYPTED, "add one"),
        "ConfigMap": None,
    }
    assert {key.kind for key in found.encrypted} == {"Secret"}
    assert taken(made("SopsSecret", version="isindir.github.com/v1alpha3", namespace="shop", sops=SOPS)).wanted


@pytest.mark.parametrize(
    ("annotations", "says"),
    [
        ({"towline.dev_ssa": "ignroe"}, "value that is not known"),
        ({"towline.dev_prnue": "disabled"}, "annotation towline.dev/prnue is not known"),
    ],
)
def test_a_misspelt_annotation_is_a_warning_and_no_policy_a12(annotations, says):
    found = taken(noted(**annotations))

    assert says in found.warnings[0]
    assert only(found).policy == Policy()


def test_an_object_that_lost_its_body_refuses_the_bundle_a14():
    before = Inventory(Header("web"), {only(taken(made())).key: Entry(only(taken(made())).key, "v1", bodied=True)})

    assert refused(made(), inventory=before) == ["object.emptied"]
    assert taken(made(data={}), inventory=before).wanted
    assert taken(noted(**{"towline.dev_allow-empty": "true"}), inventory=before).wanted


def test_the_apps_namespace_is_wanted_where_something_goes():
    """C4."""
    namespace = ObjectKey("", "Namespace", "", "shop")
    place = Place("c1", "web", "shop", SCOPES, b"s")
    wave = noted(**{"towline.dev_wave": "-2"})

    found = taken(wave, place=place).wanted[namespace]
    assert not found.tracked
    assert found.wave == -2
    assert decode(found.body) == {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
    assert namespace not in taken(made(namespace="other"), place=place).wanted
    assert namespace not in taken(place=place).wanted
    assert taken(made(), made("Namespace", "shop"), place=place).wanted[namespace].tracked


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [
        ({}, 0),
        ({"argocd.argoproj.io/sync-wave": "-3"}, -3),
        ({"towline.dev/wave": "2", "argocd.argoproj.io/sync-wave": "5"}, 2),
    ],
)
def test_waves_are_integers_c1(annotations, expected):
    assert only(taken(made(metadata={"annotations": annotations}))).wave == expected


def test_a_wave_that_is_no_integer_refuses_the_bundle_c1():
    assert refused(noted(**{"argocd.argoproj.io_sync-wave": "soon"})) == ["object.wave"]


ORDER = [
    "apiextensions.k8s.io/CustomResourceDefinition",
    "/Namespace",
    "storage.k8s.io/StorageClass",
    "/ServiceAccount",
    "rbac.authorization.k8s.io/ClusterRole",
    "rbac.authorization.k8s.io/RoleBinding",
    "/ConfigMap",
    "/PersistentVolumeClaim",
    "/Service",
    "apps/Deployment",
    "gateway.networking.k8s.io/HTTPRoute",
    "apiregistration.k8s.io/APIService",
    "admissionregistration.k8s.io/ValidatingWebhookConfiguration",
]


def of_kind(text, name="a"):
    group, _, kind = text.rpartition("/")
    return ObjectKey(group, kind, "", name)


def test_kinds_stand_in_the_order_of_c2():
    ranks = [rank_of(of_kind(text)) for text in ORDER]

    assert ranks == sorted(set(ranks))
    assert rank_of(of_kind("acme.io/Widget")) == rank_of(of_kind("apps/Deployment"))


@settings(max_examples=40, deadline=None)
@given(st.permutations([(wave, of_kind(text, name)) for wave in (0, 1) for text in ORDER[:3] for name in "ab"]))
def test_stages_are_the_same_whatever_the_order_of_the_bundle_c3(found):
    stages = staged(found, lambda item: ((item[0], rank_of(item[1]), 0), item[1]))

    assert [(wave, rank) for wave, rank, _ in stages] == [(w, r) for w in (0, 1) for r in (0, 1, 2)]
    assert all(list(items) == sorted(items) for _, _, items in stages)


def test_keys_are_those_of_what_is_sent():
    wanted = only(taken(made()))

    assert key_of(decode(wanted.body)) == wanted.key
