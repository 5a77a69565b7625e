"""The real kubectl against a simulated cluster."""

import asyncio
import json
import sys
from pathlib import Path

import pytest
import yaml

KUBECTL = Path(sys.prefix) / "bin" / "kubectl"
MANIFESTS = """
apiVersion: v1
kind: Namespace
metadata: {name: web}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: conf, namespace: web}
data: {a: b}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: "nginx:1", ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
"""


@pytest.fixture
def kubectl(sim, tmp_path):
    """Return a function that runs kubectl and returns exit code, output and errors."""
    config = tmp_path / "kubeconfig"
    config.write_text(sim.kubeconfig())
    fixed = ("--kubeconfig", str(config), "--cache-dir", str(tmp_path / "cache"))

    async def run(*arguments, stdin=""):
        process = await asyncio.create_subprocess_exec(
            KUBECTL,
            *fixed,
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate(stdin.encode())
        return process.returncode, out.decode(), err.decode()

    return run


async def test_a_second_apply_changes_nothing(kubectl, sim):
    first = await kubectl("apply", "--server-side", "-f", "-", stdin=MANIFESTS)
    version = sim.state.store.version
    second = await kubectl("apply", "--server-side", "-f", "-", stdin=MANIFESTS)

    assert first == (
        0,
        "".join(
            f"{one} serverside-applied\n"
            for one in ("namespace/web", "configmap/conf", "deployment.apps/web", "service/web")
        ),
        "",
    )
    assert second == first
    assert sim.state.store.version == version


async def test_get_prints_tables_json_and_yaml(kubectl):
    await kubectl("apply", "--server-side", "-f", "-", stdin=MANIFESTS)
    _, table, _ = await kubectl("get", "deploy,svc", "-n", "web")
    _, as_json, _ = await kubectl("get", "deploy", "web", "-n", "web", "-o", "json")
    _, as_yaml, _ = await kubectl("get", "cm", "conf", "-n", "web", "-o", "yaml")

    lines = [line.split() for line in table.splitlines() if line]
    assert lines[0] == ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"]
    assert lines[1][:4] == ["deployment.apps/web", "2/2", "2", "2"]
    assert lines[3][0] == "service/web"
    assert json.loads(as_json)["status"]["readyReplicas"] == 2
    assert yaml.safe_load(as_yaml)["data"] == {"a": "b"}


async def test_a_conflict_is_reported_and_forced(kubectl, sim):
    await kubectl("apply", "--server-side", "-f", "-", stdin=MANIFESTS)
    other = MANIFESTS.split("---")[1].replace("a: b", "a: other")
    refused = await kubectl("apply", "--server-side", "--field-manager=me", "-f", "-", stdin=other)
    forced = await kubectl("apply", "--server-side", "--field-manager=me", "--force-conflicts", "-f", "-", stdin=other)

    assert refused[0] == 1
    assert 'conflict with "kubectl": .data.a' in refused[2]
    assert forced[0] == 0
    assert sim.store.get("v1", "ConfigMap", "web", "conf")["data"] == {"a": "other"}


async def test_label_annotate_scale_and_patch(kubectl, sim):
    await kubectl("apply", "--server-side", "-f", "-", stdin=MANIFESTS)
    place = ("-n", "web", "deploy")
    codes = [
        (await kubectl("label", *place, "web", "x=y"))[0],
        (await kubectl("annotate", *place, "web", "note=n"))[0],
        (await kubectl("scale", *place, "web", "--replicas=5"))[0],
        (await kubectl("patch", *place, "web", "-p", '{"spec":{"minReadySeconds":3}}'))[0],
        (await kubectl("patch", *place, "web", "--type=merge", "-p", '{"spec":{"paused":true}}'))[0],
        (await kubectl("patch", *place, "web", "--type=json", "-p", '[{"op":"remove","path":"/spec/paused"}]'))[0],
        (await kubectl("rollout", "status", "-n", "web", "deploy/web"))[0],
    ]
    live = sim.store.get("apps/v1", "Deployment", "web", "web")

    assert codes == [0] * 7
    assert live["metadata"]["labels"] == {"app": "web", "x": "y"}
    assert live["metadata"]["annotations"] == {"note": "n"}
    assert (live["spec"]["replicas"], live["spec"]["minReadySeconds"]) == (5, 3)
    assert "paused" not in live["spec"]
    managers = {(one["manager"], one.get("subresource", "")) for one in live["metadata"]["managedFields"]}
    assert {("kubectl-label", ""), ("kubectl", "scale"), ("kubectl-patch", "")} <= managers


async def test_create_delete_and_wait(kubectl, sim):
    created = await kubectl("create", "namespace", "foo")
    await kubectl("create", "configmap", "-n", "foo", "c", "--from-literal=a=b")
    await kubectl("create", "deployment", "-n", "foo", "d", "--image=nginx:1")
    listed = sim.store.list("apps/v1", "Deployment", "foo")
    deleted = await kubectl("delete", "namespace", "foo")
    waited = await kubectl("wait", "--for=delete", "namespace/foo", "--timeout=10s")

    assert created[:2] == (0, "namespace/foo created\n")
    assert listed[0]["spec"]["template"]["spec"]["containers"][0]["image"] == "nginx:1"
    assert (deleted[0], waited[0]) == (0, 0)
    assert sim.store.list("v1", "ConfigMap", "foo") == []


async def test_client_side_apply_and_its_migration(kubectl, sim):
    await kubectl("apply", "-f", "-", stdin=MANIFESTS)
    migrated = await kubectl("apply", "--server-side", "-f", "-", stdin=MANIFESTS)
    managers = sim.store.get("v1", "ConfigMap", "web", "conf")["metadata"]["managedFields"]

    assert migrated[0] == 0
    assert {one["manager"] for one in managers} == {"kubectl", "kubectl-last-applied"}


async def test_a_custom_kind_is_served_once_its_definition_is_applied(kubectl):
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.org"},
        "spec": {
            "group": "example.org",
            "scope": "Namespaced",
            "names": {"kind": "Widget", "plural": "widgets"},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {
                        "openAPIV3Schema": {
                            "type": "object",
                            "properties": {
                                "spec": {
                                    "type": "object",
                                    "properties": {"size": {"type": "integer", "default": 3}},
                                }
                            },
                        }
                    },
                }
            ],
        },
    }
    widget = {"apiVersion": "example.org/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {}}
    applied = await kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(definition))
    waited = await kubectl("wait", "--for=condition=Established", "crd/widgets.example.org", "--timeout=10s")
    created = await kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(widget))
    _, size, _ = await kubectl("get", "widget", "w", "-o", "jsonpath={.spec.size}")

    assert (applied[0], waited[0], created[0], size) == (0, 0, 0, "3")


async def test_a_schema_error_is_refused(kubectl):
    wrong = MANIFESTS.split("---")[1].replace("\ndata:", "\ndat:").replace("namespace: web", "namespace: default")
    code, _, err = await kubectl("apply", "--server-side", "-f", "-", stdin=wrong)

    assert code == 1
    assert ".dat: field not declared in schema" in err
