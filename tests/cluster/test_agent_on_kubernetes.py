"""The agent on a real Kubernetes: real controllers judge its rollouts, the audit log tells all that it asked."""

import pytest

from tests.support.agents import OPTIONS, config_map
from tests.support.api_server import MERGE_PATCH
from tests.support.definitions import definition_of

pytestmark = pytest.mark.cluster

AGENT = "towline-applier/"
APPS, EXTENSIONS = "/apis/apps/v1", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def namespace(name):
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def deployment(name, place, **labels):
    template = {
        "metadata": {"labels": {"app": name, **labels}},
        "spec": {"containers": [{"name": "c", "image": "registry.invalid/none:1"}]},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": place},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": name}}, "template": template},
    }


def service(name, place):
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": place},
        "spec": {"selector": {"app": name}, "ports": [{"port": 80}]},
    }


def job(name, place):
    pod = {"restartPolicy": "Never", "containers": [{"name": "c", "image": "registry.invalid/none:1"}]}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": place},
        "spec": {"template": {"spec": pod}},
    }


SCHEMA = {
    "type": "object",
    "properties": {"spec": {"type": "object", "properties": {"to": {"type": "string"}}}},
}


def tunnel(group, place):
    return {
        "apiVersion": f"{group}/v1",
        "kind": "Tunnel",
        "metadata": {"name": "t", "namespace": place},
        "spec": {"to": "there"},
    }


async def test_a_bundle_of_every_sort_becomes_healthy(real_agent, api_server):
    """C7: namespace, definition, its object and a rollout arrive in one bundle; real controllers judge, all of it goes."""
    place, group = f"{api_server.namespace}-app", f"{api_server.namespace}.example.org"
    objects = [
        tunnel(group, place),
        deployment("web", place),
        service("web", place),
        config_map("settings", place),
        job("once", place),
        definition_of("Tunnel", group, SCHEMA),
        namespace(place),
    ]
    await real_agent.release("web", objects, options={**OPTIONS, "namespace": place})
    report = await real_agent.reported(result="succeeded", settled=True)
    await real_agent.stands("web", sync="Synced", health="Current")
    rolled_out = await api_server.get(f"{APPS}/namespaces/{place}/deployments/web")
    piped = await api_server.get(f"/apis/{group}/v1/namespaces/{place}/tunnels/t")
    removal = {**OPTIONS, "pruneCRDs": True}
    await real_agent.release("web", removed=True, options=removal)
    held = await real_agent.reported(generation=2, result="held")
    await real_agent.release("web", removed=True, options=removal, approval=held.hold.approval)
    await real_agent.reported(generation=3, settled=True)

    assert (report.counts.created, report.counts.failed) == (len(objects), 0)
    assert rolled_out["status"]["availableReplicas"] == 2
    assert piped["spec"] == {"to": "there"}
    assert await api_server.get(f"{APPS}/namespaces/{place}/deployments/web") is None


async def test_a_foreign_change_is_healed(real_agent, api_server):
    """I1: what another manager changes in a field of ours is put back; what it adds of its own stays."""
    place = api_server.namespace
    await real_agent.release("web", [config_map("one", place, a="1")])
    await real_agent.reported(settled=True)
    theirs = {"data": {"a": "theirs", "b": "theirs"}}
    await api_server.ask("PATCH", api_server.path("one"), theirs, content_type=MERGE_PATCH, fieldManager="somebody")
    report = await real_agent.reported(trigger="drift")
    healed = await api_server.get(api_server.path("one"))

    assert healed["data"] == {"a": "1", "b": "theirs"}
    assert "somebody" in report.drift[0]


async def test_what_left_the_bundle_is_deleted_by_its_uid_and_strangers_are_not_touched(
    real_agent, api_server, shared_control_plane
):
    """A04, invariant I6: each delete is of an object that is ours, expected, and bound to its UID."""
    if shared_control_plane is None:
        pytest.skip("needs the audit log of our own control plane")
    place = api_server.namespace
    await api_server.ask("POST", api_server.path(), config_map("stranger", place))
    bundle = [config_map("one", place), config_map("two", place), config_map("three", place)]
    await real_agent.release("web", bundle)
    await real_agent.reported(generation=1)
    uid = (await api_server.get(api_server.path("three")))["metadata"]["uid"]
    before = await api_server.get(api_server.path("stranger"))
    await real_agent.release("web", bundle[:2])
    report = await real_agent.reported(generation=2)

    asked = [each for each in shared_control_plane.asked(AGENT) if each.get("objectRef", {}).get("namespace") == place]
    written = {each["objectRef"]["name"] for each in asked if each["verb"] not in {"get", "list", "watch"}}
    deleted = [each for each in asked if each["verb"] == "delete"]
    assert await api_server.get(api_server.path("three")) is None
    assert (report.counts.pruned, report.settled) == (1, True)
    assert [each["requestObject"]["preconditions"]["uid"] for each in deleted] == [uid]
    assert written == {"one", "two", "three"}
    assert await api_server.get(api_server.path("stranger")) == before


async def test_a_workload_whose_pods_crash_fails_when_its_time_is_over(real_agent, api_server):
    """J4: pods that run for a moment and die make no rollout, however often they are made anew."""
    crashing = deployment("web", api_server.namespace, **{"pod-container-running-failed.stage.kwok.x-k8s.io": "true"})
    crashing["spec"]["minReadySeconds"] = 10
    await real_agent.release("web", [crashing], options={**OPTIONS, "timeout": "3s"})
    await real_agent.reported(result="succeeded", health="InProgress")
    await real_agent.stands("web", sync="Synced", health="Failed")
