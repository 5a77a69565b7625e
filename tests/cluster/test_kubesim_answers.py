"""kubesim gives the same answers as the real server for everything the applier uses: each exchange is made with both.

Compared is the whole answer: status, body, warnings. Left out is what differs between any two clusters (UIDs, versions,
times, addresses), and what controllers write, which comes when it comes.
"""

import pytest

from services.applier.kube.session import APPLY, METADATA, METADATA_LIST
from tests.support.exchanges import (
    POD,
    Ask,
    apply,
    claim,
    config,
    core,
    delete,
    deployment,
    get,
    grouped,
    job,
    lease,
    merged,
    patched,
    pod_of,
    secret,
    service,
    thing,
    told,
)

pytestmark = pytest.mark.cluster

NOWHERE = "11111111-1111-1111-1111-111111111111"


CONF, SECRET, DEPLOYMENT = core("configmaps", "c"), core("secrets", "c"), grouped("apps/v1", "deployments", "c")
SERVICE, JOB, CLAIM = core("services", "c"), grouped("batch/v1", "jobs", "c"), core("persistentvolumeclaims", "c")
LEASES = grouped("coordination.k8s.io/v1", "leases")
NONE = "/api/v1/namespaces/{ns}-none/configmaps"
ONE = config({"a": "1"})

EXCHANGES = {
    "create, no-op, change": [apply(CONF, ONE), apply(CONF, ONE), apply(CONF, config({"a": "2"}))],
    "metadata only": [apply(CONF, ONE, accept=METADATA), get(CONF, accept=METADATA), get(CONF, accept=METADATA_LIST)],
    "labels and annotations": [
        apply(CONF, config({"a": "1"}, labels={"x": "1"}, annotations={"y": "2"})),
        apply(CONF, config({"a": "1"}, labels={"x": "1"})),
        apply(CONF, config({"a": "1"})),
    ],
    "a field of two": [
        apply(CONF, config({"a": "1", "b": "1"})),
        apply(CONF, config({"b": "1"}), manager="other"),
        apply(CONF, config({"c": "1"})),
    ],
    "nothing but a name": [apply(CONF, ONE), apply(CONF, config())],
    "dry run": [
        apply(CONF, ONE, dryRun="All"),
        get(CONF),
        apply(CONF, ONE),
        apply(CONF, config({"a": "2"}), dryRun="All"),
        get(CONF),
    ],
    "conflict": [
        apply(CONF, config({"a": "1", "b": "1"}), manager="other"),
        apply(CONF, config({"a": "2"})),
        apply(CONF, config({"a": "2", "b": "2"})),
        apply(CONF, config({"a": "2", "b": "2"}), force="true"),
    ],
    "conflict with an update": [
        apply(CONF, ONE),
        merged(CONF, {"data": {"a": "theirs"}}, fieldManager="kubectl-edit"),
        apply(CONF, ONE),
        apply(CONF, ONE, force="true"),
    ],
    "bound to a version": [
        apply(CONF, ONE),
        apply(CONF, config({"a": "2"}, resourceVersion="1")),
        apply(CONF, config({"a": "1"}, resourceVersion="1")),
        apply(CONF, config({"a": "3"}, resourceVersion="0")),
        apply(CONF, config({"a": "4"}, resourceVersion="")),
    ],
    "bound to a uid": [
        apply(CONF, config({"a": "1"}, uid=NOWHERE)),
        apply(CONF, ONE),
        apply(CONF, config({"a": "2"}, uid=NOWHERE)),
    ],
    "bound to a uid, dry run": [apply(CONF, config({"a": "1"}, uid=NOWHERE), dryRun="All")],
    "a version does not prevent creation": [apply(CONF, config({"a": "1"}, resourceVersion="1"))],
    "another name or namespace": [
        apply(CONF, thing("v1", "ConfigMap", "other")),
        apply(CONF, {**ONE, "metadata": {"name": "c", "namespace": "other"}}),
        apply(CONF, {**ONE, "metadata": {}}),
    ],
    "another type": [
        apply(CONF, thing("v1", "Secret")),
        apply(CONF, thing("v2", "ConfigMap")),
        apply(CONF, {"metadata": {"name": "c"}}),
    ],
    "managed fields in the body": [
        apply(CONF, config({"a": "1"}, managedFields=[{"manager": "x", "operation": "Apply"}])),
        apply(CONF, config({"a": "1"}, managedFields=None)),
    ],
    "no field manager": [Ask("PATCH", CONF, ONE, APPLY)],
    "unknown field": [apply(DEPLOYMENT, deployment(unknown=1)), apply(CONF, {**ONE, "nonsense": {"a": 1}})],
    "wrong type": [
        apply(DEPLOYMENT, deployment(replicas="many")),
        apply(CONF, config({"a": 1})),
        apply(CONF, config({"a": "1"}, labels={"x": 1})),
        apply(DEPLOYMENT, deployment(template=[])),
    ],
    "invalid value": [apply(DEPLOYMENT, deployment(replicas=-1)), apply(SERVICE, service(ports=[{"port": 70000}]))],
    "required value": [
        apply(DEPLOYMENT, deployment(selector=None)),
        apply(DEPLOYMENT, pod_of(image=None)),
        apply(SERVICE, service(ports=[])),
    ],
    "bad names": [
        apply(core("configmaps", "C_c"), thing("v1", "ConfigMap", "C_c")),
        apply(CONF, config({"a": "1"}, labels={"bad key!": "1"})),
        apply(CONF, config({"a": "1"}, labels={"x": "not a label value!"})),
        apply(CONF, config({"not/a key": "1"})),
    ],
    "nulls": [apply(CONF, config({"a": None}))],
    "list keys": [
        apply(DEPLOYMENT, pod_of(ports=[{"containerPort": 80}, {"containerPort": 80}])),
        apply(DEPLOYMENT, pod_of(env=[{"name": "A", "value": "1"}, {"name": "A", "value": "2"}])),
        apply(DEPLOYMENT, pod_of(args=["a", None])),
    ],
    "lists of two": [
        apply(DEPLOYMENT, pod_of(env=[{"name": "A", "value": "1"}, {"name": "B", "value": "1"}])),
        apply(DEPLOYMENT, pod_of(env=[{"name": "C", "value": "1"}]), manager="other"),
        apply(DEPLOYMENT, pod_of(env=[{"name": "B", "value": "1"}])),
    ],
    "bad base64": [apply(SECRET, secret(data={"a": "no base64!"}))],
    "string data": [apply(SECRET, secret(stringData={"a": "b"})), apply(SECRET, secret(data={"a": "Yg=="}))],
    "selector changed": [
        apply(DEPLOYMENT, deployment()),
        apply(
            DEPLOYMENT,
            deployment(
                selector={"matchLabels": {"app": "d"}}, template={"metadata": {"labels": {"app": "d"}}, "spec": POD}
            ),
        ),
    ],
    "selector and template differ": [apply(DEPLOYMENT, deployment(selector={"matchLabels": {"app": "d"}}))],
    "job changed": [
        apply(JOB, job()),
        apply(JOB, job(completions=3)),
        apply(JOB, job(template={"spec": {**POD, "restartPolicy": "OnFailure"}})),
    ],
    "secret's type changed": [apply(SECRET, secret(type="Opaque")), apply(SECRET, secret(type="example.org/other"))],
    "immutable config": [
        apply(CONF, {**ONE, "immutable": True}),
        apply(CONF, {**config({"a": "2"}), "immutable": True}),
        apply(CONF, ONE),
    ],
    "cluster IP changed": [
        apply(SERVICE, service(clusterIP="None")),
        apply(SERVICE, service(clusterIP="10.96.7.7")),
    ],
    "claim changed": [
        apply(CLAIM, claim()),
        apply(CLAIM, claim(storageClassName="other")),
        apply(CLAIM, claim(accessModes=["ReadOnlyMany"])),
    ],
    "role changed": [
        apply(
            grouped("rbac.authorization.k8s.io/v1", "rolebindings", "c"),
            thing(
                "rbac.authorization.k8s.io/v1",
                "RoleBinding",
                roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
            ),
        )
        for name in ("one", "two")
    ],
    "stateful set changed": [
        apply(
            grouped("apps/v1", "statefulsets", "c"),
            thing(
                "apps/v1",
                "StatefulSet",
                spec={
                    "replicas": 0,
                    "serviceName": name,
                    "selector": {"matchLabels": {"app": "c"}},
                    "template": {"metadata": {"labels": {"app": "c"}}, "spec": POD},
                },
            ),
        )
        for name in ("one", "two")
    ],
    "delete": [
        delete(CONF),
        apply(CONF, ONE),
        delete(CONF, {"preconditions": {"uid": NOWHERE}, "propagationPolicy": "Foreground"}),
        delete(CONF, {"preconditions": {"resourceVersion": "1"}}),
        delete(CONF, {"propagationPolicy": "Background"}),
        delete(CONF),
    ],
    "delete what waits for a finalizer": [
        apply(CONF, config({"a": "1"}, finalizers=["towline.dev/test"])),
        delete(CONF, {"propagationPolicy": "Background"}),
        delete(CONF, {"propagationPolicy": "Background"}),
        apply(CONF, config({"a": "2"}, finalizers=["towline.dev/test"])),
        apply(CONF, config({"a": "2"}, finalizers=["towline.dev/test", "towline.dev/other"])),
        apply(CONF, config({"a": "2"})),
        get(CONF),
    ],
    "dropped fields fall back": [
        apply(DEPLOYMENT, deployment(replicas=0, paused=True)),
        apply(DEPLOYMENT, deployment(replicas=0)),
        apply(DEPLOYMENT, {**deployment(), "spec": {**deployment()["spec"], "revisionHistoryLimit": 3}}),
    ],
    "quantities": [
        apply(DEPLOYMENT, pod_of(resources={"limits": {"cpu": "1000m", "memory": "1024Mi"}, "requests": {"cpu": 0.5}}))
    ],
    "service defaults": [apply(SERVICE, service()), apply(SERVICE, service(type="ClusterIP", sessionAffinity="None"))],
    "marks taken off": [
        apply(CONF, config({"a": "1"}, labels={"towline.dev/agent": "x"}, annotations={"towline.dev/owner": "y"})),
        merged(CONF, {"data": {"b": "1"}}, fieldManager="other"),
        patched(
            CONF,
            [
                {"op": "remove", "path": "/metadata/annotations/towline.dev~1owner"},
                {"op": "remove", "path": "/metadata/labels/towline.dev~1agent"},
            ],
            fieldManager="towline",
        ),
    ],
    "a patch that loses a race": [
        apply(CONF, ONE),
        patched(CONF, [{"op": "replace", "path": "/metadata/resourceVersion", "value": "1"}], fieldManager="towline"),
    ],
    "a patch of what is not there": [
        apply(CONF, ONE),
        patched(CONF, [{"op": "remove", "path": "/metadata/labels/none"}], fieldManager="towline"),
        patched(core("configmaps", "none"), [{"op": "remove", "path": "/data"}], fieldManager="towline"),
    ],
    "ownership reset": [
        apply(CONF, ONE),
        merged(CONF, {"metadata": {"managedFields": [{}]}}, fieldManager="other"),
        apply(CONF, config({"a": "2"})),
    ],
    "lease": [
        get(f"{LEASES}/c"),
        Ask("POST", LEASES, lease("one"), query={"fieldManager": "towline"}),
        Ask("POST", LEASES, lease("two"), query={"fieldManager": "towline"}),
        Ask("PUT", f"{LEASES}/c", lease("two", resourceVersion="1"), query={"fieldManager": "towline"}),
        Ask("PUT", f"{LEASES}/c", lease("two"), query={"fieldManager": "towline"}),
    ],
    "missing object": [get(CONF), get(CONF, accept=METADATA), get(DEPLOYMENT), get("/api/v1/nodes/none")],
    "missing kind": [
        get("/api/v1/namespaces/{ns}/nothings/c"),
        get("/apis/apps/v0/namespaces/{ns}/deployments/c"),
        get("/apis/apps/v1/namespaces/{ns}/nothings"),
        get("/apis/none.example.org/v1/namespaces/{ns}/things/c"),
        apply("/apis/none.example.org/v1/namespaces/{ns}/things/c", thing("none.example.org/v1", "Thing")),
    ],
    "missing namespace": [
        apply(f"{NONE}/c", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}),
        get(NONE),
        get(f"{NONE}/c"),
        delete(f"{NONE}/c"),
    ],
    "lists": [
        apply(CONF, config({"a": "1"}, labels={"here": "yes"})),
        get(core("configmaps"), labelSelector="here=yes"),
        get(core("configmaps"), accept=METADATA_LIST, labelSelector="here=yes"),
        get(core("configmaps"), accept=METADATA_LIST, labelSelector="here=no"),
        get(core("configmaps"), labelSelector="here=no"),
    ],
    "pages": [
        *(
            apply(core("configmaps", name), thing("v1", "ConfigMap", name, metadata={"labels": {"here": "yes"}}))
            for name in ("a", "b", "c")
        ),
        get(core("configmaps"), accept=METADATA_LIST, labelSelector="here=yes", limit="2"),
    ],
    "deprecated kind": [apply(core("endpoints", "c"), thing("v1", "Endpoints"))],
    "status is not owned": [apply(DEPLOYMENT, {**deployment(), "status": {"replicas": 7}})],
    "empties": [
        apply(CONF, config({})),
        apply(CONF, config({"a": "1"}, labels={}, annotations={})),
        apply(
            grouped("networking.k8s.io/v1", "networkpolicies", "c"),
            thing("networking.k8s.io/v1", "NetworkPolicy", spec={"podSelector": {}, "policyTypes": ["Ingress"]}),
        ),
    ],
    "too much data": [apply(CONF, config({"a": "x" * (1 << 20), "b": "x"}))],
    "too many annotations": [apply(CONF, config({"a": "1"}, annotations={"a": "x" * (1 << 18)}))],
    "a body that is too large": [apply(CONF, config({"a": "x" * (3 << 20)}))],
    "a namespace": [
        get("/api/v1/namespaces/{ns}"),
        apply("/api/v1/namespaces/{ns}", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "{ns}"}}),
        apply(
            "/api/v1/namespaces/{ns}",
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "{ns}", "labels": {"a": "b"}}},
        ),
    ],
    "a terminating namespace": [
        apply(CONF, config({"a": "1"}, finalizers=["towline.dev/test"])),
        delete("/api/v1/namespaces/{ns}", {"propagationPolicy": "Background"}),
        apply(core("configmaps", "new"), thing("v1", "ConfigMap", "new")),
        apply(core("configmaps", "new"), thing("v1", "ConfigMap", "new"), dryRun="All"),
    ],
}


# The client warns of bodies of a megabyte, which two exchanges are about.
@pytest.mark.filterwarnings("ignore:Sending a large body directly:ResourceWarning")
@pytest.mark.parametrize("exchange", EXCHANGES.values(), ids=EXCHANGES)
async def test_kubesim_answers_as_the_real_server(sim_server, api_server, exchange):
    exchange = list(exchange)
    simulated = await told(sim_server, exchange)
    real = await told(api_server, exchange)

    assert simulated == real
