"""What a real API server makes of what it is sent: what it drops, what admission overrides, what it only writes otherwise."""

import asyncio
from pathlib import Path

import pytest
import yaml

from tests.support.agents import OPTIONS, config_map
from tests.support.api_server import MERGE_PATCH
from tests.support.samples import samples, what_is_said

pytestmark = pytest.mark.cluster

ADMISSION = "/apis/admissionregistration.k8s.io/v1"
APPS = "/apis/apps/v1"
MIXED = Path(__file__).parent / "mixed.yaml"
DROPPED = 'dropped fields: .spec.template.spec.volumes[name="v"].emptyDir.mode'


def deployment(place, **annotations):
    """A Deployment with a field of the feature gate EmptyDirVolumeMode, which is off in 1.37."""
    volumes = [{"name": "v", "emptyDir": {"mode": 448}}]
    pod = {"containers": [{"name": "c", "image": "registry.invalid/none:1"}], "volumes": volumes}
    template = {"metadata": {"labels": {"app": "d"}}, "spec": pod}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d", "namespace": place, "annotations": annotations},
        "spec": {"replicas": 0, "selector": {"matchLabels": {"app": "d"}}, "template": template},
    }


async def test_a_field_whose_feature_gate_is_off_fails_its_object(real_agent, api_server):
    """D17: without it nobody would know that the pods run otherwise than wanted."""
    await real_agent.release("web", [config_map("one", api_server.namespace), deployment(api_server.namespace)])
    report = await real_agent.reported(generation=1)

    assert report.result == "partial"
    assert [(each.code, each.message) for each in report.failures] == [("Schema", DROPPED)]


async def test_a_field_whose_feature_gate_is_off_is_told_where_fields_are_not_checked(real_agent, api_server):
    """D17: `Validate=false` takes what there is."""
    place = api_server.namespace
    await real_agent.release("web", [deployment(place, **{"towline.dev/validate": "false"})])
    report = await real_agent.reported(generation=1, settled=True)

    assert report.result == "succeeded"
    assert report.warnings == (f"apps/Deployment:{place}/d: {DROPPED}",)


async def test_a_field_whose_feature_gate_is_off_is_found_before_anything_is_written(real_agent, api_server):
    """D17, E9: a dry run tells it as well."""
    place = api_server.namespace
    await real_agent.release("web", [config_map("one", place), deployment(place)], options={**OPTIONS, "atomic": True})
    report = await real_agent.reported(generation=1)

    assert [each.message for each in report.failures] == [DROPPED]
    assert await api_server.get(api_server.path("one")) is None
    assert await api_server.get(api_server.path("d", "deployments", APPS)) is None


async def overriding(server):
    """Have an admission policy set a value in all ConfigMaps of the test's namespace."""
    name = server.namespace
    place = {"matchLabels": {"kubernetes.io/metadata.name": name}}
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["configmaps"]}
    change = "Object{data: {'a': 'overridden'}}"
    policy = {
        "metadata": {"name": name},
        "spec": {
            "matchConstraints": {"namespaceSelector": place, "resourceRules": [rule]},
            "reinvocationPolicy": "Never",
            "matchConditions": [{"name": "a", "expression": "'a' in object.?data.orValue({})"}],
            "mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": change}}],
        },
    }
    await server.make(f"{ADMISSION}/mutatingadmissionpolicies", policy)
    await server.make(
        f"{ADMISSION}/mutatingadmissionpolicybindings", {"metadata": {"name": name}, "spec": {"policyName": name}}
    )
    server.granted += [f"{ADMISSION}/mutatingadmissionpolicy{what}/{name}" for what in ("bindings",)]
    server.granted.append(f"{ADMISSION}/mutatingadmissionpolicies/{name}")
    async with asyncio.timeout(20):
        while True:
            reply = await server.apply(server.body("probe", {"a": "1"}), dryRun="All")
            if reply.ok and reply.body["data"] == {"a": "overridden"}:
                return
            await asyncio.sleep(0.1)  # policies come into effect when they do, and nobody tells


async def test_what_admission_overrides_is_a_warning_and_no_drift(real_agent, api_server):
    """D17, I4: the object is as its cluster wants it; a real change is healed, and only that is told."""
    place = api_server.namespace
    await overriding(api_server)
    await real_agent.release("web", [config_map("one", place, a="1", b="2")])
    first = await real_agent.reported(generation=1, settled=True)
    theirs = {"data": {"b": "9"}}
    await api_server.ask("PATCH", api_server.path("one"), theirs, content_type=MERGE_PATCH, fieldManager="operator")
    healed = await real_agent.reported(trigger="drift")

    assert first.result == healed.result == "succeeded"
    assert first.warnings == (f"/ConfigMap:{place}/one: mutated: admission changed .data.a",)
    assert healed.drift == (f'/ConfigMap:{place}/one .data.b: "2" -> "9" (by operator)',)
    assert (await api_server.get(api_server.path("one")))["data"] == {"a": "overridden", "b": "2"}


async def test_what_is_only_written_otherwise_raises_no_false_alarm(api_server):
    """D17: a manifest of most built-in kinds, in the forms that the API server rewrites, and the samples of others."""
    mixed = list(yaml.safe_load_all(MIXED.read_text()))
    for each in mixed:
        each["metadata"]["name"] = each["metadata"]["name"].replace("NAME", api_server.namespace)
    taken, told = await what_is_said(api_server, mixed, dryRun="All")
    others, of_others = await what_is_said(api_server, samples(), dryRun="All")

    assert (told, of_others) == ({}, {})
    assert {each["kind"] for each in mixed} == {kind for _, kind in taken}
    assert len(others) > 5


async def test_every_character_arrives(api_server):
    """The body of an apply is read as YAML, where some of them would end a line or be refused."""
    text = "a\x85b\u2028c\u2029d\x7fe\x9ff\ufeffg\uffffh"
    reply = await api_server.apply(api_server.body("c", {"a": text}))

    assert reply.body["data"] == {"a": text}
