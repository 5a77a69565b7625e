"""Rules that a simulation proves elsewhere, on a real API server with real controllers."""

import pytest

from tests.support.agents import OPTIONS, config_map
from tests.support.api_server import MERGE_PATCH
from tests.support.definitions import ANYTHING, definition_of
from tests.support.line import until

pytestmark = pytest.mark.cluster

APPS, EXTENSIONS = "/apis/apps/v1", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def definition(group, *versions, scope="Namespaced"):
    made = definition_of("Widget", group, {"type": "object", "properties": {"spec": ANYTHING}}, versions)
    return {**made, "spec": {**made["spec"], "scope": scope}}


async def test_a_definition_that_would_lose_objects_is_refused(real_agent, api_server):
    """D15: the API server would delete them with it, were it made anew; other objects of the bundle go on."""
    group, options = f"{api_server.namespace}.example.org", {**OPTIONS, "pruneCRDs": True, "onImmutable": "recreate"}
    path = f"{EXTENSIONS}/widgets.{group}"
    await real_agent.release("web", [definition(group, "v1")], options=options)
    await real_agent.reported(generation=1, settled=True)
    uid = (await api_server.get(path))["metadata"]["uid"]
    changes = (definition(group, "v2"), definition(group, "v1", scope="Cluster"))
    failures = []
    for number, change in enumerate(changes, 2):
        await real_agent.release("web", [change, config_map(f"c{number}", api_server.namespace)], options=options)
        failures += (await real_agent.reported(generation=number, result="partial")).failures
    after = await api_server.get(path)
    await real_agent.release("web", removed=True, options=options)

    assert [each.code for each in failures] == ["UnsafeCRD", "UnsafeCRD"]
    assert after["metadata"]["uid"] == uid
    assert await api_server.get(api_server.path("c3"))


def stateful_set(place, size, **annotations):
    template = {
        "metadata": {"labels": {"app": "s"}},
        "spec": {"containers": [{"name": "c", "image": "registry.invalid/none:1"}]},
    }
    claim = {
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "s", "namespace": place, "annotations": annotations},
        "spec": {
            "replicas": 1,
            "serviceName": "s",
            "selector": {"matchLabels": {"app": "s"}},
            "template": template,
            "volumeClaimTemplates": [claim],
        },
    }


async def test_the_pods_of_a_stateful_set_that_is_made_anew_run_on(real_agent, api_server):
    """H6: by default the change fails with advice; with its own word on it only the StatefulSet is made anew."""
    place = api_server.namespace
    path, pod = api_server.path("s", "statefulsets", APPS), api_server.path("s-0", "pods")
    word = {"towline.dev/force": "enabled", "towline.dev/deletion-propagation": "orphan"}
    options = {**OPTIONS, "wait": False}
    await real_agent.release("web", [stateful_set(place, "1Gi")], options=options)
    await real_agent.reported(generation=1, settled=True)
    before = await until(lambda: api_server.get(pod), what="a pod")
    set_before = await api_server.get(path)
    await real_agent.release("web", [stateful_set(place, "2Gi")], options=options)
    refused = await real_agent.reported(generation=2)
    await real_agent.release("web", [stateful_set(place, "2Gi", **word)], options=options)
    report = await real_agent.reported(generation=3, settled=True)
    after, pod_after = await api_server.get(path), await api_server.get(pod)

    assert [each.code for each in refused.failures] == ["Immutable"]
    assert "orphan" in refused.failures[0].hint
    assert report.result == "succeeded"
    assert after["metadata"]["uid"] != set_before["metadata"]["uid"]
    assert after["spec"]["volumeClaimTemplates"][0]["spec"]["resources"]["requests"] == {"storage": "2Gi"}
    assert pod_after["metadata"]["uid"] == before["metadata"]["uid"]


async def test_what_was_in_the_way_and_goes_has_the_app_tried_again(real_agent, api_server, shared_control_plane):
    """E6: a stranger of the same name, long before the next attempt."""
    if shared_control_plane is None:
        pytest.skip("needs the audit log of our own control plane")
    place = api_server.namespace
    options = {**OPTIONS, "adopt": "never", "retry": {"first": "1h", "max": "1h"}}
    path = api_server.path("two")
    await api_server.make(path.rpartition("/")[0], {"metadata": {"name": "two"}, "data": {"a": "theirs"}})
    await real_agent.release("web", [config_map("one", place), config_map("two", place)], options=options)
    refused = await real_agent.reported(generation=1, result="partial")

    async def watched():
        asked = [each for each in shared_control_plane.asked("towline-applier/") if each["verb"] == "watch"]
        return any(each["objectRef"].get("namespace") == place for each in asked)

    await until(watched, what="the stranger is looked out for")
    await api_server.ask("DELETE", path)

    assert [each.code for each in refused.failures] == ["Conflict"]
    assert (await real_agent.reported(generation=1, result="succeeded")).counts.created >= 1


async def test_what_happened_stands_in_the_cluster_as_events(real_agent, api_server):
    """R4: one each for failure, drift and deletion, on the app's inventory, that kubectl finds."""
    place, home = api_server.namespace, f"towline-{real_agent.cluster}"
    bad = {"apiVersion": "nowhere.example.org/v1", "kind": "Thing", "metadata": {"name": "bad", "namespace": place}}
    await real_agent.release("web", [config_map("one", place), config_map("two", place), bad])
    await real_agent.reported(generation=1, result="partial")
    await real_agent.release("web", [config_map("one", place)])
    await real_agent.reported(generation=2, settled=True)
    theirs = {"data": {"a": "9"}}
    await api_server.ask("PATCH", api_server.path("one"), theirs, content_type=MERGE_PATCH, fieldManager="operator")
    await real_agent.reported(trigger="drift")

    async def events():
        found = (await api_server.get(f"/api/v1/namespaces/{home}/events"))["items"]
        return found if len(found) >= 3 else None

    found = await until(events, what="three events")
    inventory = await api_server.get(f"/api/v1/namespaces/{home}/secrets/towline-inventory-web-0")

    assert {each["reason"] for each in found} >= {"Failed", "Drift", "Pruned"}
    assert {each["involvedObject"]["name"] for each in found} == {"towline-inventory-web-0"}
    assert {each["involvedObject"]["uid"] for each in found} == {inventory["metadata"]["uid"]}
