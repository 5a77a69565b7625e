"""What the agent relies on in an API server (applier-rules.md, section 4), asked of kubesim and of a real one."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from services.applier.errors import ErrorClass
from services.applier.kube import mapper as mapping
from services.applier.kube.mapper import Mapper
from services.applier.kube.reflector import pages
from services.applier.kube.session import METADATA, METADATA_LIST
from shared.core.objects import ObjectKey


@pytest.fixture(params=["sim_server", pytest.param("api_server", marks=pytest.mark.cluster)], ids=["kubesim", "real"])
def cluster(request):
    return request.getfixturevalue(request.param)


async def test_an_apply_creates_then_writes_changes_only(cluster):
    """4.1: a no-op leaves the version as it is."""
    first = await cluster.apply(cluster.body(data={"a": "1"}))
    again = await cluster.apply(cluster.body(data={"a": "1"}))
    changed = await cluster.apply(cluster.body(data={"a": "2"}))

    assert (first.status, again.status, changed.status) == (201, 200, 200)
    versions = [each.body["metadata"]["resourceVersion"] for each in (first, again, changed)]
    assert versions[0] == versions[1] != versions[2]


async def test_what_an_apply_owns_stands_in_its_own_entry(cluster):
    made = await cluster.apply(cluster.body(data={"a": "1"}, labels={"x": "y"}))

    entry = next(each for each in made.body["metadata"]["managedFields"] if each["manager"] == "towline")
    assert (entry["operation"], entry["apiVersion"], entry["fieldsType"]) == ("Apply", "v1", "FieldsV1")
    assert entry["fieldsV1"]["f:data"] == {".": {}, "f:a": {}} or entry["fieldsV1"]["f:data"] == {"f:a": {}}
    assert "f:x" in entry["fieldsV1"]["f:metadata"]["f:labels"]


async def test_a_field_that_is_applied_no_longer_goes_unless_another_owns_it(cluster):
    await cluster.apply(cluster.body(data={"a": "1", "b": "1"}))
    await cluster.apply(cluster.body(data={"b": "1"}), manager="other")
    left = await cluster.apply(cluster.body(data={"c": "1"}))

    assert left.body["data"] == {"b": "1", "c": "1"}


async def test_a_dry_run_stores_nothing_and_a_create_shows_no_version(cluster):
    tried = await cluster.apply(cluster.body(data={"a": "1"}), dryRun="All")

    assert tried.status == 201
    assert "resourceVersion" not in tried.body["metadata"]
    assert (await cluster.ask("GET", cluster.path("c"))).status == 404


async def test_another_managers_value_is_a_conflict_until_it_is_forced(cluster):
    await cluster.apply(cluster.body(data={"a": "1"}), manager="other")
    refused = await cluster.apply(cluster.body(data={"a": "2"}))
    forced = await cluster.apply(cluster.body(data={"a": "2"}), force="true")

    failure = refused.failure(cluster.key("c"))
    assert (refused.status, failure.error) == (409, ErrorClass.CONFLICT)
    assert [(each.manager, each.field) for each in failure.conflicts] == [("other", ".data.a")]
    assert forced.body["data"] == {"a": "2"}


@pytest.mark.parametrize(
    ("metadata", "status", "error"),
    [
        ({"resourceVersion": "1"}, 409, ErrorClass.STALE),
        ({"uid": "11111111-1111-1111-1111-111111111111"}, 422, ErrorClass.REPLACED),
    ],
    ids=["version", "uid"],
)
async def test_an_apply_is_bound_to_what_it_names(cluster, metadata, status, error):
    await cluster.apply(cluster.body(data={"a": "1"}))
    refused = await cluster.apply(cluster.body(data={"a": "2"}, **metadata))

    assert (refused.status, refused.failure(cluster.key("c")).error) == (status, error)


async def test_an_apply_with_a_uid_never_creates(cluster):
    refused = await cluster.apply(cluster.body(data={}, uid="11111111-1111-1111-1111-111111111111"))

    assert (refused.status, refused.failure(cluster.key("c")).error) == (409, ErrorClass.REPLACED)
    assert (await cluster.ask("GET", cluster.path("c"))).status == 404


async def test_a_delete_is_bound_to_its_preconditions_and_says_what_it_deleted(cluster):
    made = await cluster.apply(cluster.body(data={"a": "1"}))
    uid = made.body["metadata"]["uid"]
    wrong = await cluster.ask("DELETE", cluster.path("c"), {"preconditions": {"uid": "another"}})
    right = await cluster.ask("DELETE", cluster.path("c"), {"preconditions": {"uid": uid}})

    assert (wrong.status, wrong.failure(cluster.key("c")).error) == (409, ErrorClass.REPLACED)
    assert (right.status, right.body["kind"], right.body["details"]["uid"]) == (200, "Status", uid)


async def test_a_finalizer_holds_an_object_that_is_deleted(cluster):
    await cluster.apply(cluster.body(data={"a": "1"}, finalizers=["towline.dev/test"]))
    deleted = await cluster.ask("DELETE", cluster.path("c"))
    still = await cluster.ask("GET", cluster.path("c"))
    await cluster.apply(cluster.body(data={"a": "1"}))

    assert (deleted.status, deleted.body["kind"]) == (200, "ConfigMap")
    assert still.body["metadata"]["deletionTimestamp"]
    assert (await cluster.ask("GET", cluster.path("c"))).status == 404


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("/api/v1/namespaces/{}/configmaps/none", ErrorClass.GONE),
        ("/api/v1/namespaces/{}/nothings/none", ErrorClass.UNKNOWN_KIND),
        ("/apis/apps/v0/namespaces/{}/deployments/none", ErrorClass.UNKNOWN_KIND),
        ("/apis/none.example.org/v1/namespaces/{}/things/none", ErrorClass.UNKNOWN_KIND),
    ],
    ids=["object", "resource", "version", "group"],
)
async def test_what_is_missing_is_told_apart(cluster, path, error):
    """4.2: an absent object is never taken for an absent kind, nor the other way round."""
    missed = await cluster.ask("GET", path.format(cluster.namespace))

    assert (missed.status, missed.failure(cluster.key("none")).error) == (404, error)


async def test_a_missing_namespace_is_said(cluster):
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "towline-none"}}
    refused = await cluster.apply(body, "/api/v1/namespaces/towline-none/configmaps/c")
    listed = await cluster.ask("GET", "/api/v1/namespaces/towline-none/configmaps")

    failure = refused.failure(ObjectKey("", "ConfigMap", "towline-none", "c"))
    assert (refused.status, failure.error) == (404, ErrorClass.NAMESPACE_MISSING)
    assert (listed.status, listed.body["items"]) == (200, [])


def deployment(cluster, selector="d", **fields):
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d", "namespace": cluster.namespace},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"app": selector}},
            "template": {
                "metadata": {"labels": {"app": selector}},
                "spec": {"containers": [{"name": "c", "image": "registry.invalid/none:1"}]},
            },
            **fields,
        },
    }


@pytest.mark.parametrize(
    ("fields", "status", "error"),
    [
        ({"unknown": 1}, 500, ErrorClass.SCHEMA),
        ({"replicas": "many"}, 500, ErrorClass.SCHEMA),
        ({"replicas": -1}, 422, ErrorClass.INVALID),
    ],
    ids=["unknown field", "wrong type", "bad value"],
)
async def test_a_bad_manifest_is_refused_for_good(cluster, fields, status, error):
    path = cluster.path("d", "deployments", "/apis/apps/v1")
    refused = await cluster.apply(deployment(cluster, **fields), path)

    failure = refused.failure(cluster.key("d", "Deployment", "apps"))
    assert (refused.status, failure.error, failure.transient) == (status, error, False)


async def test_a_field_that_cannot_change_says_so(cluster):
    path = cluster.path("d", "deployments", "/apis/apps/v1")
    await cluster.apply(deployment(cluster), path)
    refused = await cluster.apply(deployment(cluster, selector="other"), path, force="true")

    assert (refused.status, refused.failure(cluster.key("d", "Deployment", "apps")).error) == (
        422,
        ErrorClass.IMMUTABLE,
    )


async def test_lists_come_in_pages_of_metadata(cluster):
    for number in range(5):
        await cluster.apply(cluster.body(f"m{number}", data={"a": "1"}, labels={"here": "yes"}))
    query = {"limit": "2", "labelSelector": "here=yes"}
    first = await cluster.ask("GET", cluster.path(), accept=METADATA_LIST, **query)
    second = await cluster.ask(
        "GET", cluster.path(), accept=METADATA_LIST, **query, **{"continue": first.body["metadata"]["continue"]}
    )

    names = [each["metadata"]["name"] for each in (*first.body["items"], *second.body["items"])]
    assert (first.body["kind"], names) == ("PartialObjectMetadataList", ["m0", "m1", "m2", "m3"])
    assert all("data" not in each for each in first.body["items"])


async def test_the_agents_own_listing_finds_every_object_once(cluster):
    for number in range(3):
        await cluster.apply(cluster.body(f"m{number}", data={"a": "1"}))
    mapper = Mapper(cluster.session)
    await mapper.refresh()
    resource = mapper.find(cluster.key("m0"))
    found = [
        each["metadata"]["name"]
        async for page in pages(cluster.session, resource, {}, namespace=cluster.namespace)
        for each in page["items"]
        if each["metadata"]["name"].startswith("m")
    ]

    assert found == ["m0", "m1", "m2"]


async def test_discovery_names_scopes_and_kinds(cluster):
    mapper = Mapper(cluster.session)
    await mapper.refresh()
    scopes = mapper.scopes()

    assert not mapper.unsure
    assert scopes["", "ConfigMap"]
    assert scopes["apps", "Deployment"]
    assert not scopes["", "Namespace"]
    assert not scopes["apiextensions.k8s.io", "CustomResourceDefinition"]


async def test_a_kind_is_given_up_only_after_minutes_of_sure_answers(cluster, monkeypatch):
    """F11."""
    mapper = Mapper(cluster.session)
    ghost = cluster.key("m0")._replace(group="ghost.acme.io", kind="Ghost")

    assert not mapper.gone(ghost)
    await mapper.refresh()
    assert not mapper.gone(ghost)
    monkeypatch.setattr(mapping, "GONE_AFTER_S", 0.0)
    assert mapper.gone(ghost)
    assert not mapper.gone(cluster.key("m0"))


@asynccontextmanager
async def watching(cluster, **query):
    asked = {"watch": "true", "labelSelector": "here=yes", "timeoutSeconds": "20", **query}
    async with cluster.session.stream(cluster.path(), asked, accept=METADATA) as (head, values):
        assert head.ok, head
        yield values


async def test_a_watch_tells_of_changes_and_of_what_leaves_its_selection(cluster):
    listed = await cluster.ask("GET", cluster.path())
    async with watching(cluster, resourceVersion=listed.body["metadata"]["resourceVersion"]) as values:
        await cluster.apply(cluster.body(data={"a": "1"}, labels={"here": "yes"}))
        await cluster.apply(cluster.body(data={"a": "2"}, labels={"here": "yes"}))
        await cluster.apply(cluster.body(data={"a": "2"}))
        events = [await anext(values) for _ in range(3)]

    assert [each["type"] for each in events] == ["ADDED", "MODIFIED", "DELETED"]
    assert {each["object"]["kind"] for each in events} == {"PartialObjectMetadata"}


async def test_a_watch_from_a_forgotten_version_is_told_to_list_again(cluster):
    """4.4: of a kind that was defined since then no server remembers anything."""
    group = f"{cluster.namespace}.example.org"
    definition = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/things.{group}"
    things = f"/apis/{group}/v1/namespaces/{cluster.namespace}/things"
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
    names = {"kind": "Thing", "plural": "things"}
    spec = {"group": group, "scope": "Namespaced", "names": names, "versions": [version]}
    metadata = {"name": f"things.{group}"}
    body = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": metadata}
    await cluster.apply({**body, "spec": spec}, definition)
    async with asyncio.timeout(10):
        while not (await cluster.ask("GET", things)).ok:  # noqa: ASYNC110 - a new kind is served when it is
            await asyncio.sleep(0.02)
    asked = {"watch": "true", "resourceVersion": "1", "timeoutSeconds": "20"}
    async with cluster.session.stream(things, asked, accept=METADATA) as (_, values):
        event = await anext(values)
    await cluster.ask("DELETE", definition)

    assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 410, "Expired")


async def test_a_terminating_namespace_takes_nothing_new(cluster):
    await cluster.apply(cluster.body(data={"a": "1"}, finalizers=["towline.dev/test"]))
    await cluster.ask("DELETE", f"/api/v1/namespaces/{cluster.namespace}")
    refused = await cluster.apply(cluster.body("new", data={"a": "1"}))
    await cluster.apply(cluster.body(data={"a": "1"}))

    assert (refused.status, refused.failure(cluster.key("new")).error) == (403, ErrorClass.NAMESPACE_TERMINATING)
