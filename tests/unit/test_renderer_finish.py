"""What a bundle is made of: rules A5 to A10 and B1 to B7."""

import base64
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.renderer.finish import Piece, finished
from services.renderer.normalise import Problems, normalised
from shared.core.bundles import objects_of
from shared.core.objects import key_of
from shared.errors import FindingsError


def thing(kind="ConfigMap", name="web", *, version="v1", namespace=None, **fields):
    metadata = {"name": name} | ({"namespace": namespace} if namespace is not None else {})
    metadata |= fields.pop("metadata", {})
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **fields}


def bundle(*manifests, file="a.yaml"):
    done = finished([Piece(each, file) for each in manifests], "shop")
    return list(objects_of(done.data.splitlines())), done.warnings


def errors(*manifests):
    with pytest.raises(FindingsError) as error:
        bundle(*manifests)
    return error.value.findings


def test_lists_are_flattened_and_say_the_kind_of_their_items():
    """A5."""
    inner = {"apiVersion": "v1", "kind": "List", "items": [thing(name="b")]}
    typed = {"apiVersion": "v1", "kind": "ConfigMapList", "items": [{"metadata": {"name": "c"}}]}
    outer = {"apiVersion": "v1", "kind": "List", "items": [thing(name="a"), inner, typed]}

    objects, _ = bundle(outer, {"apiVersion": "v1", "kind": "SecretList", "items": None})

    assert [(each["kind"], each["metadata"]["name"]) for each in objects] == [("ConfigMap", name) for name in "abc"]


def test_a_kind_that_ends_in_list_but_has_no_items_is_an_object():
    """A5."""
    objects, _ = bundle(
        thing("AllowList", version="example.org/v1"),
        thing("DenyList", version="example.org/v1", items=None, spec={}),
    )

    assert len(objects) == 2


@pytest.mark.parametrize("missing", ["apiVersion", "kind"])
def test_an_object_that_does_not_say_what_it_is_names_its_file(missing):
    """A6."""
    manifest = thing()
    del manifest[missing]

    (finding,) = errors(manifest)

    assert (finding.code, finding.file) == ("object.incomplete", "a.yaml")
    assert missing in finding.message


def test_only_hooks_may_go_without_a_name():
    """A6."""
    nameless = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"generateName": "x-"}}
    hook = nameless | {"metadata": {"generateName": "x-", "annotations": {"helm.sh/hook": "pre-install"}}}

    assert "metadata.name" in errors(nameless)[0].message
    assert len(bundle(hook)[0]) == 1


def test_everything_that_is_wrong_is_named_at_once():
    """A13."""
    found = errors({"kind": "X"}, {"apiVersion": "v1"}, thing(metadata={"labels": {"a": 1}}))

    assert len(found) == 3


def test_the_same_object_twice_is_one_with_a_warning_when_equal():
    """A7: compared after namespaces are filled in."""
    objects, warnings = bundle(thing(), thing(namespace="shop"))

    assert len(objects) == 1
    assert [(each.code, each.severity) for each in warnings] == [("object.duplicate", "warning")]


def test_the_same_object_twice_names_both_files_when_different():
    """A7."""
    pieces = [Piece(thing(data={"a": "1"}), "a.yaml"), Piece(thing(data={"a": "2"}), "b.yaml", lambda: (7, 1))]

    with pytest.raises(FindingsError) as error:
        finished(pieces, "shop")

    assert "a.yaml and b.yaml:7" in error.value.findings[0].message


def test_an_event_of_either_group_is_one_object():
    """A7."""
    assert errors(thing("Event", x="1"), thing("Event", version="events.k8s.io/v1", x="2"))


def test_namespaces_are_filled_in_for_known_kinds_and_removed_from_cluster_scoped_ones():
    """A8: of unknown kinds only the cluster knows."""
    objects, warnings = bundle(
        thing(),
        thing("ClusterRole", version="rbac.authorization.k8s.io/v1", namespace="x"),
        thing("Unknown", version="example.org/v1"),
        thing("Role", version="rbac.authorization.k8s.io/v1", namespace="other"),
    )

    places = {each["kind"]: each["metadata"].get("namespace") for each in objects}
    assert places == {"ConfigMap": "shop", "ClusterRole": None, "Unknown": None, "Role": "other"}
    assert len(warnings) == 1


def test_the_scope_of_a_kind_is_known_from_its_definition():
    """A8."""
    definition = thing(
        "CustomResourceDefinition",
        "xs.example.org",
        version="apiextensions.k8s.io/v1",
        spec={"group": "example.org", "scope": "Namespaced", "names": {"kind": "X"}},
    )

    objects, _ = bundle(thing("X", version="example.org/v1"), definition)

    assert {each["kind"]: each["metadata"].get("namespace") for each in objects}["X"] == "shop"


def test_what_is_meant_for_tools_stays_out():
    """A9."""
    local = thing(metadata={"annotations": {"config.kubernetes.io/local-config": "true"}})
    kustomization = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}

    assert bundle(local, kustomization) == ([], ())


def test_objects_that_a_cluster_cannot_keep_are_refused_by_name():
    """A10."""
    (finding,) = errors(thing(data={"a": "x" * 1_500_000}))

    assert finding.code == "object.too-large"


def test_fields_of_the_server_and_of_tools_are_removed():
    """B1."""
    template = {"metadata": {"creationTimestamp": "2020-01-01T00:00:00Z", "labels": {"a": "b"}}}
    manifest = thing(
        "Deployment",
        version="apps/v1",
        metadata={
            "uid": "1",
            "resourceVersion": "1",
            "managedFields": [],
            "creationTimestamp": None,
            "annotations": {
                "kubectl.kubernetes.io/last-applied-configuration": "{}",
                "config.kubernetes.io/index": "0",
                "internal.config.kubernetes.io/path": "x",
                "mine": "kept",
            },
        },
        spec={"template": template},
        status={"replicas": 1},
    )

    (found,), _ = bundle(manifest)

    assert found["metadata"] == {"name": "web", "namespace": "shop", "annotations": {"mine": "kept"}}
    assert found["spec"] == {"template": {"metadata": {"labels": {"a": "b"}}}}
    assert "status" not in found


def test_nulls_vanish_from_mappings_and_are_errors_in_lists():
    """B2."""
    (found,), _ = bundle(thing(data={"a": None, "b": "x"}, metadata={"labels": {}, "finalizers": []}))

    assert found == thing(data={"b": "x"}, namespace="shop")
    assert "null" in errors(thing(spec={"list": [1, None]}))[0].message


def test_empty_mappings_are_kept_where_the_server_keeps_them():
    """B2."""
    policy = thing(
        "NetworkPolicy", version="networking.k8s.io/v1", spec={"podSelector": {"matchLabels": {}}, "egress": []}
    )
    objects, _ = bundle(thing(data={}, spec={"emptyDir": {}}), policy)

    assert {each["kind"]: each.get("spec") for each in objects} == {
        "ConfigMap": {"emptyDir": {}},
        "NetworkPolicy": {"podSelector": {}},
    }


def test_plain_secrets_are_encoded_and_win_over_encoded_ones():
    """B3."""
    (found,), _ = bundle(thing("Secret", data={"a": "eA==", "b": "eA=="}, stringData={"a": "plain"}))

    assert found["data"] == {"a": base64.b64encode(b"plain").decode(), "b": "eA=="}
    assert "stringData" not in found


@pytest.mark.parametrize(
    "manifest",
    [
        thing("Secret", stringData={"a": 1}),
        thing(data={"a": True}),
        thing(metadata={"labels": {"a": 1}}),
        thing(metadata={"annotations": {"a": 1.5}}),
    ],
)
def test_values_that_must_be_strings_are_refused_with_the_remedy(manifest):
    """B3."""
    assert "quote it" in errors(manifest)[0].message


def test_what_sops_encrypted_is_left_as_it_is():
    secret = thing("Secret", stringData={"a": "ENC[...]"}, sops={"mac": "x"})

    assert bundle(secret)[0] == [thing("Secret", stringData={"a": "ENC[...]"}, sops={"mac": "x"}, namespace="shop")]


def test_ports_get_the_protocol_that_is_part_of_their_key():
    """B4."""
    containers = [{"name": "a", "ports": [{"containerPort": 1}, {"containerPort": 1, "protocol": "UDP"}]}]
    pods = {"spec": {"containers": containers, "initContainers": containers}}
    objects, _ = bundle(
        thing("Service", spec={"ports": [{"port": 1}]}),
        thing("CronJob", version="batch/v1", spec={"jobTemplate": {"spec": {"template": pods}}}),
        thing("Deployment", version="apps/v1", spec={"template": pods}),
        thing("Deployment", version="example.org/v1", spec={"template": pods}),
    )

    assert str(objects).count("'protocol': 'TCP'") == 1 + 2 + 2


def test_ca_bundles_that_are_none_are_left_to_who_fills_them_in():
    """B5."""
    pem = base64.b64encode(b"-----BEGIN CERTIFICATE-----").decode()
    hooks = [{"name": text, "clientConfig": {"caBundle": text}} for text in ("", "Cg==", "bm90IHBlbQ==", pem)]
    version = "admissionregistration.k8s.io/v1"

    (found,), warnings = bundle(thing("ValidatingWebhookConfiguration", version=version, webhooks=hooks))

    assert [each["clientConfig"] for each in found["webhooks"]] == [{}, {}, {}, {"caBundle": pem}]
    assert len(warnings) == 3


def test_rules_that_the_server_computes_and_addresses_that_say_nothing_are_left_out():
    """B6, B7."""
    version = "rbac.authorization.k8s.io/v1"
    objects, _ = bundle(
        thing("ClusterRole", version=version, aggregationRule={"x": 1}, rules=[]),
        thing("Service", "a", spec={"clusterIP": "", "clusterIPs": [], "loadBalancerIP": ""}),
        thing("Service", "b", spec={"clusterIP": "None"}),
    )

    assert {each["metadata"]["name"]: each.get("spec", each.get("rules")) for each in objects} == {
        "web": None,
        "a": {},
        "b": {"clusterIP": "None"},
    }


values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab", max_size=2),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["spec", "ports", "template", "metadata", "caBundle", "data", "a"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)
kinds = st.sampled_from(
    [
        ("v1", "Service"),
        ("v1", "Secret"),
        ("v1", "Pod"),
        ("apps/v1", "Deployment"),
        ("batch/v1", "CronJob"),
        ("rbac.authorization.k8s.io/v1", "ClusterRole"),
        ("networking.k8s.io/v1", "NetworkPolicy"),
        ("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration"),
    ]
)


@given(kinds, st.dictionaries(st.sampled_from(["spec", "data", "stringData", "webhooks", "status", "rules"]), values))
def test_normalising_twice_is_normalising_once(kind, fields):
    once = normalised(thing(kind[1], version=kind[0], **fields), Problems())

    assert normalised(once, Problems()) == once


@given(st.lists(st.text("abc", min_size=1, max_size=3), unique=True, max_size=6), st.randoms(use_true_random=False))
def test_the_order_in_which_objects_are_found_does_not_matter(names, shuffled: random.Random):
    """A32, and invariant I12."""
    pieces = [Piece(thing(name=name, data={"z": "1", "a": name})) for name in names]
    mixed = [Piece(dict(reversed(piece.manifest.items()))) for piece in pieces]
    shuffled.shuffle(mixed)

    assert finished(mixed, "shop") == finished(pieces, "shop")
    assert list(finished(pieces, "shop").keys) == sorted(
        str(key_of({**p.manifest, "metadata": {**p.manifest["metadata"], "namespace": "shop"}})) for p in pieces
    )
