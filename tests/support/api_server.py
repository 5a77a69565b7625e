"""One API server, simulated or real, asked as the agent asks it, in a namespace that is one test's alone."""

import secrets
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import orjson

from services.applier.kube.session import APPLY, ClusterUnreachableError, Request, Session
from shared.core.objects import ObjectKey

JSON = "application/json"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
MERGE_PATCH = "application/merge-patch+json"


class ApiServer:
    """An API server, and a namespace of it that is ours alone."""

    def __init__(self, session, namespace):
        self.session, self.namespace = session, namespace
        self.granted = []

    def path(self, name="", plural="configmaps", root="/api/v1"):
        return f"{root}/namespaces/{self.namespace}/{plural}" + (f"/{name}" if name else "")

    def key(self, name, kind="ConfigMap", group=""):
        return ObjectKey(group, kind, self.namespace, name)

    def body(self, name="c", data=None, **metadata):
        named = {"name": name, "namespace": self.namespace, **metadata}
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": named, **({} if data is None else {"data": data})}

    async def ask(self, verb, path, body=None, *, accept=JSON, content_type=JSON, **query):
        data = None if body is None else orjson.dumps(body)
        request = Request(verb, path, query, data, accept=accept, content_type=content_type)
        return await self.session.send(request, retries=0)

    async def apply(self, body, path="", *, manager="towline", **query):
        path = path or self.path(body["metadata"]["name"])
        return await self.ask("PATCH", path, body, content_type=APPLY, fieldManager=manager, **query)

    async def get(self, path):
        """Return the object there, None when there is none."""
        reply = await self.ask("GET", path)
        assert reply.ok or reply.status == 404, reply
        return reply.body if reply.ok else None

    async def make(self, path, body):
        """Create an object and return it."""
        reply = await self.ask("POST", path, body)
        assert reply.ok, reply
        return reply.body

    async def account(self, access, name, rules=(), *, everywhere=False):
        """Make a service account that may do what these RBAC rules say, and return its access by a token."""
        path = self.path(plural="serviceaccounts")
        await self.make(path, {"metadata": {"name": name}})
        subject = {"kind": "ServiceAccount", "name": name, "namespace": self.namespace}
        await self.grant(subject, rules, everywhere=everywhere)
        token = await self.make(f"{path}/{name}/token", {"spec": {}})
        authorization = f"Bearer {token['status']['token']}"
        return replace(access, certificate="", key="", authorization=authorization)

    async def grant(self, subject, rules, *, everywhere=False):
        """Let a subject do what these RBAC rules say, in our namespace or everywhere."""
        kind = "ClusterRole" if everywhere else "Role"
        root = RBAC if everywhere else f"{RBAC}/namespaces/{self.namespace}"
        name = f"{self.namespace}-{subject['name']}"
        await self.make(f"{root}/{kind.lower()}s", {"metadata": {"name": name}, "rules": list(rules)})
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name}
        bound = {"metadata": {"name": name}, "subjects": [subject], "roleRef": role}
        await self.make(f"{root}/{kind.lower()}bindings", bound)
        if everywhere:
            self.granted += [f"{root}/{plural}/{name}" for plural in ("clusterrolebindings", "clusterroles")]


@asynccontextmanager
async def asking(credentials, *, user_agent="towline-tests/1"):
    """Yield an API server with a namespace that lives as long as the block."""
    async with Session.connect(credentials, agent=user_agent) as session:
        server = ApiServer(session, f"towline-test-{secrets.token_hex(4)}")
        made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": server.namespace}}
        assert (await server.ask("POST", "/api/v1/namespaces", made)).ok
        try:
            yield server
        finally:
            # A server that a test has broken needs no tidying.
            with suppress(ClusterUnreachableError):
                for granted in server.granted:
                    await server.ask("DELETE", granted)
                await server.ask("DELETE", f"/api/v1/namespaces/{server.namespace}")
