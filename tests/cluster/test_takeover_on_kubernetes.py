"""What others own on a real API server: taken over, left to them, or brought back to life."""

import pytest

from services.applier.kube.session import APPLY
from shared.core.canonical import encode
from tests.support.agents import OPTIONS, config_map
from tests.support.api_server import MERGE_PATCH
from tests.support.definitions import ANYTHING, definition_of

pytestmark = pytest.mark.cluster

APPS, CRDS = "/apis/apps/v1", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def deployment(place, image="registry.invalid/none:1", replicas=2, **notes):
    metadata = {"name": "d", "namespace": place, **({"annotations": notes} if notes else {})}
    template = {"metadata": {"labels": {"app": "d"}}, "spec": {"containers": [{"name": "c", "image": image}]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": "d"}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}


def managers(found):
    return {each["manager"] for each in found["metadata"]["managedFields"] if not each.get("subresource")}


@pytest.mark.parametrize("tool", ["helm", "kubectl-client-side-apply", "kustomize-controller"])
async def test_what_a_tool_deployed_is_adopted_without_a_restart(real_agent, api_server, tool):
    """D10, G1: its fields become ours, what nobody wants goes, the pods stay what they are."""
    place = api_server.namespace
    path = api_server.path("d", "deployments", APPS)
    theirs = deployment(place, **{"of-the-tool": "x", LAST_APPLIED: encode(deployment(place)).decode()})
    if tool == "kustomize-controller":
        await api_server.ask("PATCH", path, theirs, content_type=APPLY, fieldManager=tool)
    else:
        await api_server.ask("POST", api_server.path(plural="deployments", root=APPS), theirs, fieldManager=tool)
    before = await api_server.get(path)
    await real_agent.release("web", [deployment(place)])
    report = await real_agent.reported(result="succeeded", settled=True)
    after = await api_server.get(path)

    assert report.counts.failed == 0
    assert after["spec"] == before["spec"]
    assert not {"of-the-tool", LAST_APPLIED} & set(after["metadata"]["annotations"])
    assert tool not in managers(after)


async def test_a_restart_by_hand_is_neither_undone_nor_repeated(real_agent, api_server):
    """D10: the mark of `kubectl rollout restart` stays through the next release."""
    place, path = api_server.namespace, api_server.path("d", "deployments", APPS)
    await real_agent.release("web", [deployment(place)])
    await real_agent.reported(generation=1, settled=True)
    mark = {"spec": {"template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "now"}}}}}
    await api_server.ask("PATCH", path, mark, content_type=MERGE_PATCH, fieldManager="kubectl-rollout")
    await real_agent.release("web", [deployment(place, image="registry.invalid/none:2")])
    await real_agent.reported(generation=2, settled=True)
    after = await api_server.get(path)

    assert after["spec"]["template"]["metadata"]["annotations"] == {"kubectl.kubernetes.io/restartedAt": "now"}


async def test_an_autoscalers_replicas_stay(real_agent, api_server):
    """G4: what it holds through `scale` is neither healed nor released over; what a person added is removed (I11)."""
    place, path = api_server.namespace, api_server.path("d", "deployments", APPS)
    await real_agent.release("web", [deployment(place)])
    await real_agent.reported(generation=1, settled=True)
    scale = {"spec": {"replicas": 5}}
    await api_server.ask(
        "PATCH", f"{path}/scale", scale, content_type=MERGE_PATCH, fieldManager="kube-controller-manager"
    )
    typed = {"metadata": {"annotations": {"typed": "x"}}}
    await api_server.ask("PATCH", path, typed, content_type=MERGE_PATCH, fieldManager="kubectl-annotate")
    await real_agent.release("web", [deployment(place, image="registry.invalid/none:2")])
    await real_agent.reported(generation=2, settled=True)
    after = await api_server.get(path)

    assert after["spec"]["replicas"] == 5
    assert after["spec"]["template"]["spec"]["containers"][0]["image"] == "registry.invalid/none:2"
    assert "typed" not in after["metadata"]["annotations"]


async def test_an_object_whose_owners_speak_of_a_gone_version_is_applied_again(real_agent, api_server):
    """D12: otherwise every apply of it fails, for ever."""
    place, group = api_server.namespace, f"{api_server.namespace}.example.org"
    gate = {
        "apiVersion": f"{group}/v2",
        "kind": "Gate",
        "metadata": {"name": "g", "namespace": place},
        "spec": {"a": 1},
    }
    options = {**OPTIONS, "pruneCRDs": True}
    schema = {"type": "object", "properties": {"spec": ANYTHING}}
    await real_agent.release("web", [definition_of("Gate", group, schema, ("v1", "v2")), gate], options=options)
    await real_agent.reported(generation=1, settled=True)
    old = {**gate, "apiVersion": f"{group}/v1", "spec": {"b": 2}}
    path = f"/apis/{group}/v1/namespaces/{place}/gates/g"
    reply = await api_server.ask("PATCH", path, old, content_type=APPLY, fieldManager="somebody")
    await real_agent.release(
        "web", [definition_of("Gate", group, schema, ("v2",)), {**gate, "spec": {"a": 2}}], options=options
    )
    report = await real_agent.reported(generation=2)
    after = await api_server.get(f"/apis/{group}/v2/namespaces/{place}/gates/g")
    await real_agent.release("web", removed=True, options=options)
    await real_agent.reported(generation=3)

    assert reply.ok
    assert report.failures == ()
    assert report.result == "succeeded"
    assert after["spec"] == {"a": 2, "b": 2}


async def test_a_namespace_in_which_others_live_is_kept(real_agent, api_server):
    """F8: a stranger's object would go along; what every namespace has does not count."""
    place, bundle = f"{api_server.namespace}-app", config_map("one", api_server.namespace)
    made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": place}}
    inside = config_map("inside", place)
    await real_agent.release("web", [bundle, made, inside])
    await real_agent.reported(generation=1, settled=True)
    stranger = f"/api/v1/namespaces/{place}/configmaps/stranger"
    await api_server.make(f"/api/v1/namespaces/{place}/configmaps", config_map("stranger", place))
    await real_agent.release("web", [bundle])
    held = await real_agent.reported(generation=2)
    await real_agent.release("web", [bundle], approval=held.hold.approval)
    report = await real_agent.reported(generation=3, settled=True)

    assert await api_server.get(stranger) is not None
    assert await api_server.get(f"/api/v1/namespaces/{place}/configmaps/inside") is None
    assert any(f"{place} is kept: it still holds 1 ConfigMap" in warning for warning in report.warnings)
    await api_server.ask("DELETE", f"/api/v1/namespaces/{place}")
