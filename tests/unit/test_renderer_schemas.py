"""Objects are checked as API servers check them: by Kubernetes' own schemas, version by version, and by definitions."""

import json
import lzma

import pytest

from services.renderer.schemas.check import Checker
from services.renderer.schemas.kubernetes import kinds_of
from tests.schemas import TARGET, gathered


def manifest(api_version, kind, **parts):
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": "x"}, **parts}


def workload(container=(), **spec):
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", **dict(container)}]}}
    return manifest(
        "apps/v1", "Deployment", spec={"selector": {"matchLabels": {"a": "b"}}, "template": template, **spec}
    )


def definition(schema, **more):
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}, **more}
    names = {"kind": "Widget", "plural": "widgets"}
    spec = {"group": "acme.io", "names": names, "scope": "Namespaced", "versions": [version]}
    return manifest("apiextensions.k8s.io/v1", "CustomResourceDefinition", spec=spec)


def told(checked, version="", definitions=()):
    return [
        (each.code.partition(".")[2], each.message, each.hint)
        for each in Checker(version, definitions).problems(checked)
    ]


GOOD = {
    "a workload": workload({"ports": [{"containerPort": 80}], "resources": {"limits": {"cpu": 1, "memory": "1Gi"}}}),
    "a port by name and by number": manifest(
        "v1", "Service", spec={"ports": [{"port": 80, "targetPort": "web"}, {"port": 81, "targetPort": 8080}]}
    ),
    "a selector for everything": manifest("networking.k8s.io/v1", "NetworkPolicy", spec={"policyTypes": ["Ingress"]}),
    "bytes": manifest("v1", "Secret", data={"a": "aHVudGVyMg=="}),
    "what is encrypted": manifest("v1", "Secret", data={"a": "ENC[AES256_GCM,data:x]"}, sops={"mac": "x"}),
    "a kind that nobody knows": manifest("acme.io/v1", "Gadget", spec={"anything": 1}),
    "a part of what others make": {
        **manifest("v1", "Service", spec={"ports": [{"name": "x"}]}),
        "metadata": {"name": "x", "annotations": {"towline.dev/ssa": "merge"}},
    },
    "fields that it allows itself": {
        **workload(nonsense=1),
        "metadata": {"name": "x", "annotations": {"argocd.argoproj.io/sync-options": "Prune=false, Validate=false"}},
    },
}
BAD = {
    "a misspelt field": (
        workload({"imagePulPolicy": "Always"}),
        [
            (
                "unknown-field",
                "spec.template.spec.containers[0].imagePulPolicy is not known",
                "did you mean 'imagePullPolicy'?",
            )
        ],
    ),
    "a number in quotes": (
        workload(replicas="3"),
        [("bad-value", "spec.replicas must be a whole number, not a text", "")],
    ),
    "a text without quotes": (
        workload({"env": [{"name": "PORT", "value": 80}]}),
        [
            (
                "bad-value",
                "spec.template.spec.containers[0].env[0].value must be a text, not a whole number",
                "put it in quotes",
            )
        ],
    ),
    "a port without a number": (
        manifest("v1", "Service", spec={"ports": [{"name": "web"}]}),
        [("missing-field", "spec.ports[0].port is missing", "")],
    ),
    "no selector": (
        manifest("apps/v1", "Deployment", spec={"template": {"spec": {"containers": [{"name": "c"}]}}}),
        [("missing-field", "spec.selector is missing", "")],
    ),
    "a secret that is no base64": (
        manifest("v1", "Secret", data={"password": "hunter2!"}),
        [("bad-value", "data.password must be base64", "write it in `stringData` as it is")],
    ),
    "a version that was removed": (
        manifest("extensions/v1beta1", "Ingress"),
        [
            (
                "removed-version",
                "Kubernetes 1.22 removed Ingress of extensions/v1beta1",
                "write it as networking.k8s.io/v1",
            )
        ],
    ),
    "a kind in the wrong group": (
        manifest("v1", "Deployment"),
        [("not-served", "Kubernetes 1.37 has no Deployment of v1", "it is in apps/v1")],
    ),
}


@pytest.mark.parametrize("checked", GOOD.values(), ids=GOOD)
def test_what_an_api_server_takes_is_no_finding(checked):
    assert told(checked) == []


@pytest.mark.parametrize(("checked", "expected"), BAD.values(), ids=BAD)
def test_what_an_api_server_refuses_is_told_with_its_field(checked, expected):
    assert told(checked) == expected


def test_values_of_secrets_are_in_no_message():
    checked = manifest("v1", "Secret", data={"password": "hunter2!"}, type=["hunter2"], immutable="hunter2")

    assert "hunter2" not in str(told(checked))
    assert len(told(checked)) == 3


@pytest.mark.parametrize(
    ("version", "code"),
    [("v1.24.9-eks-1", None), ("1.25", "removed-version"), ("1.99", "removed-version"), ("", "removed-version")],
)
def test_the_version_of_the_cluster_decides_what_was_removed(version, code):
    found = told(manifest("batch/v1beta1", "CronJob", spec={"schedule": "* * * * *", "jobTemplate": {}}), version)

    assert [each[0] for each in found] == ([code] if code else [])


def test_a_kind_comes_with_a_version():
    checked = manifest("networking.k8s.io/v1", "ServiceCIDR", spec={"cidrs": ["10.0.0.0/8"]})

    assert told(checked, "1.34") == []
    assert (
        told(checked, "1.30")[0][1] == "Kubernetes 1.30 has no ServiceCIDR of networking.k8s.io/v1, it comes with 1.33"
    )


def test_the_most_stable_version_is_what_replaces_a_removed_one():
    assert kinds_of("").removed("autoscaling/v2beta2", "HorizontalPodAutoscaler").instead == "autoscaling/v2"
    assert kinds_of("").removed("policy/v1beta1", "PodSecurityPolicy").instead == ""


SPEC = {
    "type": "object",
    "required": ["size", "color"],
    "properties": {
        "size": {"type": "integer", "format": "int32", "minimum": 0, "exclusiveMinimum": True},
        "color": {"type": "string", "enum": ["red", "blue"], "default": "red"},
        "port": {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]},
        "free": {
            "type": "object",
            "x-kubernetes-preserve-unknown-fields": True,
            "properties": {"a": {"type": "string"}},
        },
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "object": {
            "type": "object",
            "x-kubernetes-embedded-resource": True,
            "properties": {"spec": {"type": "object"}},
        },
        "one": {
            "type": "object",
            "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
            "oneOf": [{"required": ["a"]}, {"required": ["b"]}],
        },
        "name": {"type": "string", "pattern": "^(a+)+$"},
    },
}
WIDGETS = [definition({"type": "object", "properties": {"spec": SPEC, "status": {"type": "object"}}})]
CUSTOM = {
    "all is well": ({"size": 1, "port": "web", "free": {"z": 1}, "labels": {"a": "b"}}, None),
    "a default fills in": ({"size": 1}, None),
    "a port as a number": ({"size": 1, "port": 80}, None),
    "an object within": ({"size": 1, "object": {"apiVersion": "v1", "kind": "X", "metadata": {}, "spec": {}}}, None),
    "unknown": ({"size": 1, "colour": "red"}, "spec.colour is not known"),
    "unknown in what is kept": ({"size": 1, "free": {"a": 1}}, "spec.free.a must be a text, not a whole number"),
    "no object": ({"size": 1, "object": {"foo": 1}}, "spec.object.foo is not known"),
    "missing": ({}, "spec.size is missing"),
    "too small": ({"size": 0}, "spec.size 0 is less than or equal to the minimum of 0"),
    "too large": ({"size": 2**31}, "spec.size 2147483648 is greater than the maximum of 2147483647"),
    "none of the choices": ({"size": 1, "color": "pink"}, "spec.color must be one of red, blue"),
    "a list as a port": ({"size": 1, "port": []}, "spec.port must be a whole number or a text, not a list"),
    "both of one": ({"size": 1, "one": {"a": "x", "b": "x"}}, "spec.one"),
    "no label": ({"size": 1, "labels": {"a": 1}}, "spec.labels.a must be a text, not a whole number"),
    "a pattern that others cannot afford": ({"size": 1, "name": "a" * 5000 + "!"}, "spec.name"),
}


@pytest.mark.parametrize(("spec", "message"), CUSTOM.values(), ids=CUSTOM)
def test_what_a_definition_says_counts_as_it_does_in_a_cluster(spec, message):
    found = told(manifest("acme.io/v1", "Widget", spec=spec), definitions=WIDGETS)

    assert [each[1][: len(message or "")] for each in found][:1] == ([message] if message else [])


def test_metadata_of_custom_objects_and_versions_that_are_not_served_are_checked_too():
    checked = {
        "apiVersion": "acme.io/v1",
        "kind": "Widget",
        "metadata": {"name": "x", "lables": {}},
        "spec": {"size": 1},
    }
    retired = [definition({"type": "object"}, served=False)]

    assert told(checked, definitions=WIDGETS) == [
        ("unknown-field", "metadata.lables is not known", "did you mean 'labels'?")
    ]
    assert told(checked, definitions=retired)[0][:2] == (
        "not-served",
        "the definition of Widget does not serve acme.io/v1",
    )


def test_a_pattern_that_cannot_be_read_takes_nothing_else_away():
    spec = {"type": "object", "properties": {"a": {"type": "string", "pattern": "(?<=x)(("}, "b": {"type": "integer"}}}
    odd = [definition({"type": "object", "properties": {"spec": spec}})]

    assert told(manifest("acme.io/v1", "Widget", spec={"a": "z", "b": "c"}), definitions=odd) == [
        ("bad-value", "spec.b must be a whole number, not a text", "")
    ]


def test_definitions_that_are_none_say_nothing():
    for odd in ({}, {"versions": {}}, {"group": "acme.io", "names": [], "versions": [1]}):
        assert Checker("", [manifest("apiextensions.k8s.io/v1", "CustomResourceDefinition", spec=odd)])


def test_the_file_of_schemas_is_what_its_source_says_and_small():
    pytest.importorskip("kubernetes_validate")

    assert json.loads(lzma.decompress(TARGET.read_bytes())) == json.loads(json.dumps(gathered()))
    assert TARGET.stat().st_size < 100_000
