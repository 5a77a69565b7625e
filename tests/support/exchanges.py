"""Requests that can be made of any API server, and its answers without what differs between any two clusters."""

import asyncio
import re
from dataclasses import dataclass, field

from services.applier.kube.session import APPLY, JSON_PATCH
from tests.support.api_server import JSON, MERGE_PATCH

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
RECORD = re.compile(r"record \(\d+\)")
GO_VALUE = re.compile(r"Invalid value: \{.*?\}:(?= )")
CONTROLLED = frozenset({"deployment.kubernetes.io/revision"})
TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$")


@dataclass(frozen=True)
class Ask:
    """One request; `{ns}` in its path and body is the test's namespace."""

    verb: str
    path: str
    body: object = None
    content_type: str = JSON
    accept: str = JSON
    query: dict = field(default_factory=dict)
    patient: bool = False
    """Asked again while its kind is not served yet."""


def apply(path, body, manager="towline", accept=JSON, **query):
    query = {"fieldManager": manager, "fieldValidation": "Strict", **query}
    return Ask("PATCH", path, body, APPLY, accept, query)


def get(path, accept=JSON, **query):
    return Ask("GET", path, accept=accept, query=query)


def delete(path, body=None):
    return Ask("DELETE", path, body)


def patched(path, operations, **query):
    return Ask("PATCH", path, operations, JSON_PATCH, JSON, query)


def merged(path, body, **query):
    return Ask("PATCH", path, body, MERGE_PATCH, JSON, query)


def core(plural, name="", version="v1"):
    return f"/api/{version}/namespaces/{{ns}}/{plural}" + (f"/{name}" if name else "")


def grouped(group, plural, name=""):
    return f"/apis/{group}/namespaces/{{ns}}/{plural}" + (f"/{name}" if name else "")


def thing(api_version, kind, name="c", *, metadata=None, **fields):
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {"name": name, "namespace": "{ns}", **(metadata or {})},
        **fields,
    }


def config(data=None, **metadata):
    return thing("v1", "ConfigMap", metadata=metadata, **({} if data is None else {"data": data}))


def secret(**fields):
    return thing("v1", "Secret", **fields)


POD = {"containers": [{"name": "c", "image": "registry.invalid/none:1"}]}


def deployment(**spec):
    template = {"metadata": {"labels": {"app": "c"}}, "spec": POD}
    chosen = {"replicas": 0, "selector": {"matchLabels": {"app": "c"}}, "template": template, **spec}
    return thing("apps/v1", "Deployment", spec=chosen)


def pod_of(**container):
    pod = {"containers": [{"name": "c", "image": "registry.invalid/none:1", **container}]}
    return deployment(template={"metadata": {"labels": {"app": "c"}}, "spec": pod})


def service(**spec):
    return thing("v1", "Service", spec={"selector": {"app": "c"}, "ports": [{"port": 80}], **spec})


def job(**spec):
    pod = {**POD, "restartPolicy": "Never"}
    return thing("batch/v1", "Job", spec={"suspend": True, "template": {"spec": pod}, **spec})


def claim(**spec):
    return thing(
        "v1",
        "PersistentVolumeClaim",
        spec={
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
            "storageClassName": "none",
            **spec,
        },
    )


def lease(holder, **metadata):
    return thing(
        "coordination.k8s.io/v1",
        "Lease",
        metadata=metadata,
        spec={"holderIdentity": holder, "leaseDurationSeconds": 15, "renewTime": "2026-01-01T00:00:00.000000Z"},
    )


async def answered(server, ask, path, body):
    async with asyncio.timeout(10):
        while True:
            how = {"accept": ask.accept, "content_type": ask.content_type, **ask.query}
            reply = await server.ask(ask.verb, path, body, **how)
            if not ask.patient or reply.status not in {404, 429}:
                return reply
            await asyncio.sleep(0.02)


async def told(server, exchange):
    """Return the answers of one server, without what differs between any two clusters."""
    versions, answers = {}, []
    for ask in exchange:
        body = told_in(ask.body, "{ns}", server.namespace)
        path = ask.path.replace("{ns}", server.namespace)
        reply = await answered(server, ask, path, body)
        text = "" if reply.body is not None or reply.refused is None else reply.refused.body.decode()
        shown = neutral(told_in(reply.body, server.namespace, "{ns}"), versions)
        answers.append({"status": reply.status, "body": shown, "text": text, "warnings": reply.warnings})
    return answers


def told_in(value, old, new):
    """Return a document with a text replaced wherever it stands."""
    match value:
        case str():
            return value.replace(old, new)
        case list():
            return [told_in(each, old, new) for each in value]
        case dict():
            return {key: told_in(each, old, new) for key, each in value.items()}
    return value


def neutral(value, versions, name=""):
    """Return an answer without UIDs, versions, times, addresses, and what controllers write."""
    match value:
        case str():
            return neutral_text(value, versions, name)
        case list():
            shown = [neutral(each, versions) for each in value if not written_by_controllers(each)]
            # Writers of one second stand in the order of their names, others in that of their times.
            return sorted(shown, key=lambda each: each["manager"]) if name == "managedFields" else shown
        case dict():
            kept = {key: each for key, each in value.items() if not is_skipped(key, value)}
            return {key: neutral(each, versions, key) for key, each in sorted(kept.items())}
    return value


def neutral_text(value, versions, name):
    if name == "resourceVersion":
        return versions.setdefault(value, f"version {len(versions)}")
    if name == "continue":
        return "token"
    if TIME.match(value):
        return "time"
    # Values are printed as Go sees them, and compared over many lines: people get neither (rule P2).
    short = GO_VALUE.sub("Invalid value: {...}:", value.partition("\n@@")[0].partition("\n  {")[0])
    return RECORD.sub("record", UUID.sub("uid", short))


def written_by_controllers(entry):
    return isinstance(entry, dict) and entry.get("manager") in {"kube-controller-manager", "kube-apiserver"}


def is_skipped(key, parent):
    if key == "status":
        return isinstance(parent[key], dict)
    if key == "resourceVersion" and "uid" not in parent:
        return True  # of a list: other objects move it too
    if key == "annotations" and set(parent[key]) <= CONTROLLED:
        return True
    return key in CONTROLLED or (key in {"clusterIP", "clusterIPs"} and parent.get("clusterIP") != "None")
