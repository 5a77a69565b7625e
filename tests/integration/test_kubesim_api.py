"""What applier and tests rely on in a simulated cluster, asked over plain HTTP."""

import asyncio
import json
from contextlib import asynccontextmanager

import aiohttp
import pytest

APPLY = "application/apply-patch+yaml"
CONF = "/api/v1/namespaces/default/configmaps/c"


class Client:
    """A thin client: every call returns status and decoded body."""

    def __init__(self, session, cluster):
        self.session = session
        self.cluster = cluster

    async def call(self, method, path, body=None, *, headers=None, **query):
        heads = {"Authorization": f"Bearer {self.cluster.token}", "User-Agent": "test/1", **(headers or {})}
        content = None if body is None else json.dumps(body)
        url = self.cluster.url + path
        async with self.session.request(method, url, params=query, data=content, headers=heads) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if "json" in answer.content_type else text

    async def get(self, path, **query):
        return await self.call("GET", path, **query)

    async def apply(self, path, body, *, manager="me", **query):
        return await self.call("PATCH", path, body, headers={"Content-Type": APPLY}, fieldManager=manager, **query)

    @asynccontextmanager
    async def watch(self, path, **query):
        """Yield a function that returns the next event, None at the end."""
        heads = {"Authorization": f"Bearer {self.cluster.token}"}
        asked = {"watch": "true", **query}
        async with self.session.get(self.cluster.url + path, params=asked, headers=heads) as answer:

            async def following():
                line = await answer.content.readline()
                return json.loads(line) if line else None

            yield following


@pytest.fixture
async def api(sim):
    async with asyncio.timeout(30), aiohttp.ClientSession() as session:
        yield Client(session, sim)


def config(name="c", namespace="default", **data):
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def deployment(name="web", image="nginx:1", **spec):
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": image}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"selector": {"matchLabels": labels}, "template": template, **spec},
    }


DEPLOYMENT = "/apis/apps/v1/namespaces/default/deployments/web"


async def test_a_wrong_token_is_unauthorized(api):
    status, body = await api.call("GET", CONF, headers={"Authorization": "Bearer wrong"})

    assert (status, body["reason"], body["message"]) == (401, "Unauthorized", "Unauthorized")


async def test_apply_creates_then_writes_only_changes(api):
    created, first = await api.apply(CONF, config(a="1"))
    again, second = await api.apply(CONF, config(a="1"))
    changed, third = await api.apply(CONF, config(a="2"))

    assert (created, again, changed) == (201, 200, 200)
    assert second == first
    assert int(third["metadata"]["resourceVersion"]) > int(first["metadata"]["resourceVersion"])
    assert third["metadata"]["uid"] == first["metadata"]["uid"]


async def test_a_dry_run_stores_nothing_and_shows_no_version_for_a_create(api):
    created, would = await api.apply(CONF, config(a="1"), dryRun="All")
    missing, _ = await api.get(CONF)
    await api.apply(CONF, config(a="1"))
    _, changed = await api.apply(CONF, config(a="2"), dryRun="All")
    _, live = await api.get(CONF)

    assert (created, missing) == (201, 404)
    assert would["metadata"]["uid"]
    assert "resourceVersion" not in would["metadata"]
    assert (changed["data"], live["data"]) == ({"a": "2"}, {"a": "1"})


async def test_an_apply_locks_on_uid_and_version(api):
    unborn, body = await api.apply(CONF, {**config(), "metadata": {"name": "c", "uid": "u"}})
    _, first = await api.apply(CONF, config(a="1"))
    stale = {**config(a="1"), "metadata": {"name": "c", "resourceVersion": "1"}}
    lost, lost_body = await api.apply(CONF, stale)
    replaced, replaced_body = await api.apply(CONF, {**config(), "metadata": {"name": "c", "uid": "other"}})

    assert (unborn, body["reason"]) == (409, "Conflict")
    assert "uid mismatch" in body["message"]
    assert first["metadata"]["resourceVersion"] != "1"
    assert (lost, "causes" in lost_body["details"]) == (409, False)
    assert "the object has been modified" in lost_body["message"]
    assert (replaced, replaced_body["details"]["causes"][0]["field"]) == (422, "metadata.uid")


async def test_missing_things_are_told_apart(api):
    _, missing = await api.get(CONF)
    _, namespace = await api.apply("/api/v1/namespaces/no/configmaps/c", config(namespace="no"))
    _, unserved = await api.get("/apis/apps/v9/namespaces/default/deployments")
    status, unknown = await api.get("/apis/example.org/v1/widgets")

    assert missing["details"] == {"name": "c", "kind": "configmaps"}
    assert namespace["message"] == 'namespaces "no" not found'
    assert namespace["details"]["kind"] == "namespaces"
    assert (unserved["message"], unserved["details"]) == ("the server could not find the requested resource", {})
    assert (status, unknown) == (404, "404 page not found\n")


@pytest.mark.parametrize("wrong", ["uid", "resourceVersion"])
async def test_a_delete_keeps_to_its_preconditions(api, wrong):
    _, live = await api.apply(CONF, config(a="1"))
    good = {name: live["metadata"][name] for name in ("uid", "resourceVersion")}
    refused, body = await api.call("DELETE", CONF, {"preconditions": {**good, wrong: "7"}})
    gone, status = await api.call("DELETE", CONF, {"preconditions": good})

    assert (refused, body["reason"]) == (409, "Conflict")
    assert "in the precondition (7) does not match" in body["message"]
    assert (gone, status["status"], status["details"]["uid"]) == (200, "Success", live["metadata"]["uid"])


async def test_the_log_of_requests_tells_what_a_delete_asked_for(api, sim):
    options = {"preconditions": {"uid": "u"}, "propagationPolicy": "Foreground", "gracePeriodSeconds": 0}
    await api.apply(CONF, config(a="1"))
    await api.call("DELETE", CONF, options)
    await api.call("DELETE", f"{CONF}?propagationPolicy=Orphan")

    asked = [dict(each.deletion) for each in sim.requests]

    assert asked == [
        {},
        {name: options[name] for name in options if name != "gracePeriodSeconds"},
        {"propagationPolicy": "Orphan"},
    ]


async def test_generation_counts_changes_of_intent_only(api):
    _, first = await api.apply(DEPLOYMENT, deployment())
    _, labelled = await api.apply(DEPLOYMENT, {**deployment(), "metadata": {"name": "web", "labels": {"x": "y"}}})
    _, changed = await api.apply(DEPLOYMENT, deployment(image="nginx:2"))

    assert [one["metadata"]["generation"] for one in (first, labelled, changed)] == [1, 1, 2]
    assert changed["status"]["observedGeneration"] == 2


async def test_dropping_replicas_falls_back_to_the_default(api):
    await api.apply(DEPLOYMENT, deployment(replicas=3))
    _, dropped = await api.apply(DEPLOYMENT, deployment())

    assert dropped["spec"]["replicas"] == 1


async def test_immutable_fields_are_refused(api):
    await api.apply(DEPLOYMENT, deployment())
    other = deployment()
    other["spec"]["selector"] = {"matchLabels": {"app": "web", "x": "y"}}
    other["spec"]["template"]["metadata"]["labels"] = {"app": "web", "x": "y"}
    status, body = await api.apply(DEPLOYMENT, other)

    assert (status, body["reason"]) == (422, "Invalid")
    cause = body["details"]["causes"][0]
    assert (cause["reason"], cause["field"]) == ("FieldValueInvalid", "spec.selector")
    assert cause["message"].endswith("field is immutable")
    assert body["message"].startswith('Deployment.apps "web" is invalid: spec.selector: Invalid value: ')


async def test_a_workload_whose_image_fails_never_becomes_ready(api):
    _, live = await api.apply(DEPLOYMENT, deployment(image="app:fail"))
    reasons = {one["type"]: one["reason"] for one in live["status"]["conditions"]}

    assert reasons["Progressing"] == "ProgressDeadlineExceeded"
    assert "readyReplicas" not in live["status"]


async def test_lists_come_in_pages(api):
    for number in range(5):
        await api.apply(f"/api/v1/namespaces/default/configmaps/c{number}", config(f"c{number}"))
    path = "/api/v1/namespaces/default/configmaps"
    _, first = await api.get(path, limit="3")
    _, second = await api.get(path, limit="3", **{"continue": first["metadata"]["continue"]})
    refused, _ = await api.get(path, limit="3", **{"continue": "?"})

    names = [one["metadata"]["name"] for page in (first, second) for one in page["items"]]
    assert names == [f"c{number}" for number in range(5)]
    assert "kind" not in first["items"][0]
    assert "continue" not in second["metadata"]
    assert refused == 400


async def test_selectors(api):
    for name, labels in (("a", {"tier": "x"}), ("b", {"tier": "y"}), ("c", {})):
        body = config(name)
        body["metadata"]["labels"] = labels
        await api.apply(f"/api/v1/namespaces/default/configmaps/{name}", body)

    async def names(**query):
        _, found = await api.get("/api/v1/configmaps", **query)
        return [one["metadata"]["name"] for one in found["items"]]

    assert await names(labelSelector="tier") == ["a", "b"]
    assert await names(labelSelector="tier in (x,z)") == ["a"]
    assert await names(labelSelector="!tier") == ["c"]
    assert await names(labelSelector="tier!=x") == ["b", "c"]
    assert await names(fieldSelector="metadata.name=b") == ["b"]


async def test_metadata_only_answers(api):
    await api.apply(CONF, config(a="1"))
    accept = "application/json;as=PartialObjectMetadata{};g=meta.k8s.io;v=v1"
    _, found = await api.call("GET", "/api/v1/configmaps", headers={"Accept": accept.format("List")})
    _, empty = await api.call("GET", "/api/v1/pods", headers={"Accept": accept.format("List")})
    _, one = await api.call("GET", CONF, headers={"Accept": accept.format("")})
    wrong, _ = await api.call("GET", CONF, headers={"Accept": accept.format("List")})

    assert (found["kind"], found["items"][0]["kind"]) == ("PartialObjectMetadataList", "PartialObjectMetadata")
    assert "data" not in found["items"][0]
    assert found["items"][0]["metadata"]["managedFields"]
    assert empty["items"] is None
    assert one["metadata"]["name"] == "c"
    assert wrong == 406


async def test_a_watch_sends_the_state_the_mark_and_then_changes(api):
    await api.apply(CONF, config(a="1"))
    query = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}
    async with api.watch("/api/v1/namespaces/default/configmaps", **query) as following:
        initial, mark = await following(), await following()
        await api.apply(CONF, config(a="2"))
        changed = await following()
        await api.call("DELETE", CONF)
        deleted = await following()

    assert (initial["type"], initial["object"]["data"]) == ("ADDED", {"a": "1"})
    assert mark["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert (changed["type"], changed["object"]["data"]) == ("MODIFIED", {"a": "2"})
    assert deleted["type"] == "DELETED"


async def test_a_selected_watch_sees_objects_leave_as_deleted(api):
    body = config()
    body["metadata"]["labels"] = {"mine": "yes"}
    _, first = await api.apply(CONF, body)
    version = first["metadata"]["resourceVersion"]
    async with api.watch("/api/v1/configmaps", labelSelector="mine=yes", resourceVersion=version) as following:
        _, other = await api.apply(CONF, config())
        event = await following()

    assert event["type"] == "DELETED"
    assert event["object"]["metadata"]["labels"] == {"mine": "yes"}
    assert event["object"]["metadata"]["resourceVersion"] == other["metadata"]["resourceVersion"]


async def test_a_watch_from_a_forgotten_version_is_gone(api):
    _, first = await api.apply(CONF, config(a="1"))
    await api.apply(CONF, config(a="2"))
    api.cluster.store.compact()
    async with api.watch("/api/v1/configmaps", resourceVersion=first["metadata"]["resourceVersion"]) as following:
        event, end = await following(), await following()

    assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 410, "Expired")
    assert "too old resource version" in event["object"]["message"]
    assert end is None


async def test_a_watch_ends_with_a_bookmark_when_its_time_is_over(api):
    query = {"resourceVersion": str(api.cluster.state.store.version), "allowWatchBookmarks": "true"}
    async with api.watch("/api/v1/secrets", timeoutSeconds="1", **query) as following:
        await api.apply(CONF, config(a="1"))
        mark, end = await following(), await following()

    assert mark["type"] == "BOOKMARK"
    assert mark["object"]["metadata"]["resourceVersion"] == str(api.cluster.state.store.version)
    assert end is None


async def test_a_terminating_namespace_waits_for_finalizers_and_refuses_creates(api):
    await api.call("POST", "/api/v1/namespaces", {"metadata": {"name": "n"}})
    held = config(namespace="n")
    held["metadata"]["finalizers"] = ["example.org/hold"]
    await api.apply("/api/v1/namespaces/n/configmaps/c", held)
    status, namespace = await api.call("DELETE", "/api/v1/namespaces/n")
    refused, body = await api.apply("/api/v1/namespaces/n/configmaps/d", config("d", "n"))
    api.cluster.store.let_go(held, "example.org/hold")
    gone, _ = await api.get("/api/v1/namespaces/n")

    assert (status, namespace["status"]["phase"]) == (200, "Terminating")
    assert (refused, body["details"]["causes"][0]["reason"]) == (403, "NamespaceTerminating")
    assert gone == 404


@pytest.mark.parametrize(("policy", "left"), [("Background", 404), ("Foreground", 404), ("Orphan", 200)])
async def test_dependents_go_as_the_policy_says(api, policy, left):
    _, owner = await api.apply(CONF, config())
    reference = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "name": "c",
        "uid": owner["metadata"]["uid"],
        "blockOwnerDeletion": True,
    }
    child = config("child")
    child["metadata"]["ownerReferences"] = [reference]
    await api.apply("/api/v1/namespaces/default/configmaps/child", child)
    await api.call("DELETE", CONF, {"propagationPolicy": policy})
    gone, _ = await api.get(CONF)
    status, _ = await api.get("/api/v1/namespaces/default/configmaps/child")

    assert (gone, status) == (404, left)


async def test_a_lease_is_taken_by_one_of_two(api):
    path = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
    body = {"metadata": {"name": "l"}, "spec": {"holderIdentity": "a"}}
    created, lease = await api.call("POST", path, body)
    twice, exists = await api.call("POST", path, body)
    won, _ = await api.call("PUT", f"{path}/l", {**lease, "spec": {"holderIdentity": "b"}})
    lost, refused = await api.call("PUT", f"{path}/l", {**lease, "spec": {"holderIdentity": "c"}})

    assert (created, twice, won, lost) == (201, 409, 200, 409)
    assert exists["reason"] == "AlreadyExists"
    assert refused["details"] == {"name": "l", "group": "coordination.k8s.io", "kind": "leases"}


async def test_secret_string_data_becomes_data(api):
    path = "/api/v1/namespaces/default/secrets/s"
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"a": "b"}}
    _, live = await api.apply(path, body)

    assert (live["data"], live["type"]) == ({"a": "Yg=="}, "Opaque")
    assert "stringData" not in live
    assert live["metadata"]["managedFields"][0]["fieldsV1"] == {"f:stringData": {"f:a": {}}}


async def test_aggregated_discovery_can_be_partial_and_is_tagged(api):
    accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
    _, whole = await api.call("GET", "/apis", headers={"Accept": accept})
    api.cluster.hide_groups("apps")
    _, part = await api.call("GET", "/apis", headers={"Accept": accept})
    api.cluster.hide_groups()
    _, old = await api.get("/apis")

    apps = next(one for one in whole["items"] if one["metadata"]["name"] == "apps")
    deployments = next(one for one in apps["versions"][0]["resources"] if one["resource"] == "deployments")
    assert deployments["scope"] == "Namespaced"
    assert {one["subresource"] for one in deployments["subresources"]} == {"status", "scale"}
    assert "apps" not in {one["metadata"]["name"] for one in part["items"]}
    assert "apps" in {one["name"] for one in old["groups"]}


async def test_faults_on_demand(api):
    cluster = api.cluster
    cluster.fail_next(1, 429, "Too many requests, please try again later.", headers={"Retry-After": "1"})
    limited = await api.get(CONF)
    cluster.fail_next(1, 503, match=lambda seen: seen.method == "PATCH")
    read, _ = await api.get(CONF)
    failed, body = await api.apply(CONF, config())
    cluster.faults.reset_next()
    with pytest.raises(aiohttp.ClientError):
        await api.apply(CONF, config())
    worked, _ = await api.apply(CONF, config())

    assert limited == (429, "Too many requests, please try again later.")
    assert (read, failed, body["kind"], worked) == (404, 503, "Status", 201)
    assert [seen.method for seen in cluster.requests] == ["GET", "GET", "PATCH", "PATCH", "PATCH"]


async def test_a_frozen_server_answers_when_it_thaws(api):
    api.cluster.faults.freeze()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await api.get("/version")
    api.cluster.faults.thaw()
    status, _ = await api.get("/version")

    assert status == 200


async def test_an_old_cluster_shows_one_object_in_all_its_versions(sims):
    (cluster,) = await sims(1, legacy=True)
    async with aiohttp.ClientSession() as session:
        api = Client(session, cluster)
        old = "/apis/extensions/v1beta1/namespaces/default/ingresses/i"
        rule = {"http": {"paths": [{"path": "/", "backend": {"serviceName": "s", "servicePort": 80}}]}}
        body = {
            "apiVersion": "extensions/v1beta1",
            "kind": "Ingress",
            "metadata": {"name": "i"},
            "spec": {"rules": [rule]},
        }
        status, shown = await api.apply(old, body)
        _, new = await api.get("/apis/networking.k8s.io/v1/namespaces/default/ingresses/i")
        again, same = await api.apply(old, body)

    assert (status, again) == (201, 200)
    assert same["metadata"]["resourceVersion"] == new["metadata"]["resourceVersion"]
    assert new["metadata"]["uid"] == shown["metadata"]["uid"]
    backend = new["spec"]["rules"][0]["http"]["paths"][0]["backend"]
    assert backend == {"service": {"name": "s", "port": {"number": 80}}}
    assert shown["spec"]["rules"][0]["http"]["paths"][0]["backend"] == {"serviceName": "s", "servicePort": 80}


async def test_clusters_of_one_server_share_nothing_but_the_port(sims):
    first, second = await sims(2)
    first.store.apply(config(a="1"))

    assert second.store.get("v1", "ConfigMap", "default", "c") is None
    uids = {one.store.get("v1", "Namespace", "", "kube-system")["metadata"]["uid"] for one in (first, second)}
    assert len(uids) == 2
