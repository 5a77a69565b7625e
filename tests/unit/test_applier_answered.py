"""What an answer to a write says of the fields that were sent (D17)."""

import json

import pytest

from services.applier.answered import answered
from services.applier.kube.escape import as_yaml
from shared.core.canonical import decode, encode

META = {"name": "web", "namespace": "shop"}


def made(version="apps/v1", kind="Deployment", **body):
    return {"apiVersion": version, "kind": kind, "metadata": META, **body}


def said(sent, answer, *, strict=True):
    return answered(encode(sent), answer, strict=strict)


def pod(**spec):
    return made("v1", "Pod", spec={"containers": [{"name": "c", "image": "i:1"}], **spec})


def custom(**spec):
    return made("example.org/v1", "Thing", spec=spec)


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (pod(), {**pod(restartPolicy="Always"), "status": {"phase": "Pending"}}),
        (pod(volumes=[{"name": "a"}]), pod(volumes=[{"name": "token"}, {"name": "a"}])),
        (pod(tolerations=[{"key": "a"}]), pod(tolerations=[{"key": "a", "operator": "Equal"}, {"key": "not-ready"}])),
        (pod(hostNetwork=False, priority=0, nodeName="", nodeSelector={}, initContainers=[]), pod()),
        (pod(hostNetwork=None), pod()),
        (made(spec={"minReadySeconds": 0, "strategy": {"type": ""}}), made(spec={"strategy": {"type": "Recreate"}})),
        (
            pod(containers=[{"name": "c", "resources": {"limits": {"cpu": "1000m", "memory": "1024Mi"}}}]),
            pod(containers=[{"name": "c", "resources": {"limits": {"cpu": "1", "memory": "1Gi"}}}]),
        ),
        (
            made("autoscaling/v2", "HorizontalPodAutoscaler", spec={"metrics": [{"object": {"value": "0.5"}}]}),
            made("autoscaling/v2", "HorizontalPodAutoscaler", spec={"metrics": [{"object": {"value": "500m"}}]}),
        ),
        (made("v1", "Secret", data={"a": "Zm9v\nYmFy\n"}), made("v1", "Secret", data={"a": "Zm9vYmFy"})),
        (made("v1", "Secret", stringData={"a": "b"}), made("v1", "Secret", data={"a": "Yg=="})),
        (
            made("coordination.k8s.io/v1", "Lease", spec={"renewTime": "2026-01-01T02:00:00+02:00"}),
            made("coordination.k8s.io/v1", "Lease", spec={"renewTime": "2026-01-01T00:00:00.000000Z"}),
        ),
        (custom(a=9223372036854775807, b=1.0), custom(a=9223372036854775808, b=1)),
        (custom(a={"x": {"anything": ["goes", {"here": 1}]}}), custom(a={"x": {"anything": ["goes", {"here": 1}]}})),
        (custom(timeout="60s", enabled=False, name="", size=0), custom(timeout="1m0s")),
        (
            {**made(), "metadata": {**META, "annotations": {"autoscaling.alpha.kubernetes.io/metrics": "[ ]"}}},
            {**made(), "metadata": {**META, "annotations": {"other": "x"}}},
        ),
        (
            {**made(), "status": {"a": 1}, "metadata": {**META, "uid": "u"}},
            {**made(), "metadata": {**META, "uid": "u"}},
        ),
    ],
)
def test_what_is_only_written_otherwise_is_no_difference(sent, answer):
    """D17: quantities, defaults, nulls, empties, additions and other forms of the same are no news."""
    found = said(sent, answer)

    assert (found.failure, found.warnings) == (None, ())


@pytest.mark.parametrize(
    ("sent", "answer", "path"),
    [
        (pod(nodeName="n"), pod(), ".spec.nodeName"),
        (pod(hostUsers=False), pod(), ".spec.hostUsers"),
        (custom(a=1, b={"c": "d"}), custom(a=1), ".spec.b"),
        (custom(a={"b": {"c": [1]}}), custom(a={"b": {}}), ".spec.a.b.c"),
        (
            pod(volumes=[{"name": "a", "emptyDir": {"mode": 448}}]),
            pod(volumes=[{"name": "other"}, {"name": "a", "emptyDir": {}}]),
            '.spec.volumes[name="a"].emptyDir.mode',
        ),
        (pod(volumes=[{"name": "a"}]), pod(volumes=[{"name": "other"}]), '.spec.volumes[name="a"]'),
    ],
)
def test_a_lost_field_fails_its_object(sent, answer, path):
    """D17: what the cluster does not store it would go without, and nobody would know."""
    found = said(sent, answer)

    assert (found.failure.error, found.failure.message) == ("Schema", f"dropped fields: {path}")
    assert "towline.dev/validate" in found.failure.hint


def test_a_lost_field_is_only_told_where_that_is_wanted():
    """D17: `Validate=false` takes what there is."""
    found = said(custom(a=1), custom(), strict=False)

    assert (found.failure, found.warnings) == (None, ("dropped fields: .spec.a",))


def test_other_values_are_admissions_and_told_without_values():
    """D17: they do not fail an object; which they are may be a secret."""
    found = said(made("v1", "Secret", data={"a": "Yg=="}), made("v1", "Secret", data={"a": "WA=="}))

    assert (found.failure, found.warnings) == (None, ("mutated: admission changed .data.a",))


def test_many_lost_fields_are_named_in_short():
    found = said(custom(**{f"f{number}": 1 for number in range(9)}), custom())

    assert found.failure.message.endswith(".spec.f4 and 4 more")


@pytest.mark.parametrize("text", ["plain", "a\x85b", "\u2028\u2029", "\x7f\x80\x9f", "\ufeff\ufffe\uffff", "é☃😀"])
def test_a_body_that_is_read_as_yaml_keeps_its_texts(text):
    """A line of YAML ends where JSON goes on; as escapes these characters are safe, and still the same JSON."""
    body = as_yaml(encode({"a": text}))

    assert decode(body) == {"a": text} == json.loads(body)
    assert not set("\x7f\x80\x85\x9f\u2028\u2029\ufeff\ufffe\uffff") & set(body.decode())
