"""Custom kinds, missing permissions and a server that is not whole, asked of a simulated cluster without HTTP or over it."""

import aiohttp
import pytest

from services.kubesim.answers import RefusedError

LOOSE = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
ROWS = {
    "type": "array",
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["id"],
    "items": {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}, "n": {"type": "integer"}}},
}


def definition(**changes):
    spec = {
        "type": "object",
        "properties": {
            "size": {"type": "integer", "minimum": 1},
            "mode": {"type": "string", "enum": ["a", "b"], "default": "a"},
            "rows": ROWS,
            "port": {"x-kubernetes-int-or-string": True},
            "free": LOOSE,
        },
    }
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec, "status": LOOSE}}}
    version = {"name": "v1", "served": True, "storage": True, "schema": schema, "subresources": {"status": {}}}
    names = {"kind": "Widget", "plural": "widgets"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.org"},
        "spec": {"group": "example.org", "scope": "Namespaced", "names": names, "versions": [version], **changes},
    }


def widget(name="w", **spec):
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "example.org/v1", "kind": "Widget", "metadata": metadata, "spec": spec}


def deployment(**spec):
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "nginx:1"}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"selector": {"matchLabels": labels}, "template": template, **spec},
    }


@pytest.fixture
def store(sim):
    sim.store.apply(definition())
    return sim.store


async def test_a_definition_is_established_and_its_kind_served(store):
    live = store.get("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", "widgets.example.org")
    made = store.apply(widget(size=1, port="http", free={"x": [1]}))

    assert {one["type"]: one["status"] for one in live["status"]["conditions"]}["Established"] == "True"
    assert live["status"]["storedVersions"] == ["v1"]
    assert made["spec"] == {"size": 1, "mode": "a", "port": "http", "free": {"x": [1]}}
    assert made["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"] == {
        "f:free": {"f:x": {}},
        "f:port": {},
        "f:size": {},
    }


async def test_list_maps_of_custom_kinds_are_shared_between_managers(store):
    store.apply(widget(rows=[{"id": "a", "n": 1}]), manager="one")
    both = store.apply(widget(rows=[{"id": "b"}]), manager="two", force=False)

    assert both["spec"]["rows"] == [{"id": "a", "n": 1}, {"id": "b"}]


@pytest.mark.parametrize(
    ("spec", "reason", "text"),
    [
        ({"size": 0}, "FieldValueInvalid", "should be greater than or equal to 1"),
        ({"size": None}, "FieldValueTypeInvalid", 'must be of type integer: "null"'),
        ({"mode": "c"}, "FieldValueNotSupported", 'supported values: "a", "b"'),
    ],
)
async def test_values_outside_the_schema_are_invalid(store, spec, reason, text):
    with pytest.raises(RefusedError) as refused:
        store.apply(widget(**spec))

    assert (refused.value.code, refused.value.details["causes"][0]["reason"]) == (422, reason)
    assert text in refused.value.message


async def test_unknown_fields_of_an_apply_are_a_schema_error_and_of_a_create_are_pruned(store):
    with pytest.raises(RefusedError) as refused:
        store.apply(widget(nonsense=1))
    made = store.create(widget(nonsense=1, size=2))

    assert (refused.value.code, refused.value.reason) == (500, "")
    assert ".spec.nonsense: field not declared in schema" in refused.value.message
    assert "nonsense" not in made["spec"]


async def test_the_status_of_a_custom_kind_is_written_apart(store):
    made = store.apply({**widget(size=1), "status": {"phase": "ignored"}})
    written = store.set_status(widget(), {"phase": "Ready"})

    assert "status" not in made
    assert written["metadata"]["generation"] == 1


async def test_removing_a_definition_removes_its_objects_once_they_may_go(store):
    held = widget(size=1)
    held["metadata"]["finalizers"] = ["example.org/hold"]
    store.apply(held)
    store.apply(widget("other", size=1))
    store.delete("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", "widgets.example.org")
    waiting = store.get("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", "widgets.example.org")
    left = [one["metadata"]["name"] for one in store.list("example.org/v1", "Widget")]
    with pytest.raises(RefusedError, match="create not allowed while custom resource definition is terminating"):
        store.apply(widget("late", size=1))
    store.let_go(held, "example.org/hold")

    assert waiting["metadata"]["deletionTimestamp"]
    assert left == ["w"]
    assert store.get("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", "widgets.example.org") is None
    with pytest.raises(RefusedError):
        store.list("example.org/v1", "Widget")


async def test_a_definition_keeps_scope_and_stored_versions(store):
    with pytest.raises(RefusedError, match=r"spec\.scope: .*field is immutable"):
        store.apply(definition(scope="Cluster"))
    renamed = definition()
    renamed["spec"]["versions"][0]["name"] = "v2"
    with pytest.raises(RefusedError, match=r"status.storedVersions\[0\].*missing from spec.versions"):
        store.apply(renamed)


async def test_an_autoscaler_takes_replicas_over_without_them_falling_back(sim):
    sim.store.apply(deployment(replicas=2), manager="towline")
    sim.store.scale(deployment(), 5)
    with pytest.raises(RefusedError) as refused:
        sim.store.apply(deployment(replicas=2), manager="towline", force=False)
    dropped = sim.store.apply(deployment(), manager="towline", force=False)

    assert refused.value.message == (
        'Apply failed with 1 conflict: conflict with "kube-controller-manager" with subresource "scale" '
        "using apps/v1: .spec.replicas"
    )
    assert dropped["spec"]["replicas"] == 5


async def test_a_finalizer_that_its_owner_drops_ends_a_terminating_object(sim):
    held = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "default"}}
    held["metadata"]["finalizers"] = ["example.org/hold"]
    sim.store.apply(held)
    sim.store.delete("v1", "ConfigMap", "default", "c")
    more = {**held, "metadata": {**held["metadata"], "finalizers": ["example.org/hold", "example.org/more"]}}
    with pytest.raises(RefusedError, match="no new finalizers can be added if the object is being deleted"):
        sim.store.apply(more)
    sim.store.apply({**held, "metadata": {"name": "c", "namespace": "default"}})

    assert sim.store.get("v1", "ConfigMap", "default", "c") is None


async def test_an_object_too_large_for_the_store_is_refused(sim):
    huge = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "i", "namespace": "default"},
        "spec": {"rules": [{"host": "x" * 100}] * 20_000},
    }
    with pytest.raises(RefusedError) as refused:
        sim.store.apply(huge)

    assert (refused.value.code, refused.value.message) == (500, "etcdserver: request is too large")


async def asked(sim, method, path, **more):
    headers = {"Authorization": f"Bearer {sim.token}", **more.pop("headers", {})}
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, sim.url + path, headers=headers, **more) as got,
    ):
        return got.status, await got.json() if "json" in got.content_type else await got.text(), got.headers


async def test_missing_permissions_name_user_verb_and_resource(sim):
    lift = sim.faults.forbid(lambda seen: "/secrets" in seen.path)
    headers = {"Impersonate-User": "system:serviceaccount:team:deployer"}
    status, body, _ = await asked(sim, "GET", "/api/v1/namespaces/default/secrets", headers=headers)
    lift()
    allowed, _, _ = await asked(sim, "GET", "/api/v1/namespaces/default/secrets")

    assert (status, allowed) == (403, 200)
    assert body["message"] == (
        'secrets is forbidden: User "system:serviceaccount:team:deployer" cannot list resource "secrets" '
        'in API group "" in the namespace "default"'
    )
    assert sim.requests[0].impersonates == "system:serviceaccount:team:deployer"


async def test_a_starting_server_is_not_ready_and_lacks_groups(sim):
    sim.hide_groups("apps")
    ready, _, _ = await asked(sim, "GET", "/readyz")
    status, body, headers = await asked(sim, "GET", "/apis/apps/v1/deployments")

    assert (ready, status, headers["Retry-After"]) == (500, 503, "5")
    assert "before all known HTTP paths have been installed" in body["message"]


async def test_an_aggregated_group_whose_server_is_down_is_stale(sim):
    accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
    sim.stale_groups("policy")
    _, found, _ = await asked(sim, "GET", "/apis", headers={"Accept": accept})
    status, text, _ = await asked(sim, "GET", "/apis/policy/v1/poddisruptionbudgets")
    group = next(one for one in found["items"] if one["metadata"]["name"] == "policy")

    assert group["versions"] == [{"version": "v1", "freshness": "Stale"}]
    assert (status, text) == (503, "service unavailable\n")


async def test_a_deprecated_kind_comes_with_a_warning(sim):
    body = {"metadata": {"name": "e"}}
    _, _, headers = await asked(sim, "POST", "/api/v1/namespaces/default/endpoints", json=body)

    assert headers["Warning"].startswith('299 - "v1 Endpoints is deprecated in v1.33+')


async def test_an_access_review_says_what_is_forbidden(sim):
    sim.faults.forbid(lambda seen: "/secrets" in seen.path and seen.method == "PATCH")

    async def allowed(verb, resource):
        attributes = {"namespace": "default", "verb": verb, "resource": resource}
        body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        _, review, _ = await asked(sim, "POST", path, json={**body, "spec": {"resourceAttributes": attributes}})
        return review["status"]["allowed"]

    assert await allowed("get", "secrets")
    assert await allowed("patch", "configmaps")
    assert not await allowed("patch", "secrets")


async def test_kinds_that_are_only_made_cannot_be_listed(sim):
    status, body, _ = await asked(sim, "GET", "/api/v1/bindings")

    assert (status, body["reason"]) == (405, "MethodNotAllowed")


async def test_a_lingering_namespace_refuses_creates_and_keeps_its_contents_for_a_while(sim):
    sim.state.namespace_linger_s = 3600
    sim.store.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}})
    held = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "n"}}
    sim.store.apply(held)
    sim.store.delete("v1", "Namespace", "", "n")

    assert sim.store.get("v1", "Namespace", "", "n")["status"] == {"phase": "Terminating"}
    assert sim.store.apply({**held, "data": {"a": "b"}})["data"] == {"a": "b"}
    with pytest.raises(RefusedError, match="because it is being terminated"):
        sim.store.apply({**held, "metadata": {"name": "d", "namespace": "n"}})
