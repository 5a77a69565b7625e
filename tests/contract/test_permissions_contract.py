"""What somebody who is impersonated may do, and in which words it is refused: asked of kubesim and of a real API server."""

import asyncio

import pytest

from services.applier.errors import ErrorClass
from services.applier.kube.session import APPLY, Request
from services.applier.rights import right_of
from shared.core.canonical import encode


@pytest.fixture(params=["sim_server", pytest.param("api_server", marks=pytest.mark.cluster)], ids=["kubesim", "real"])
def cluster(request):
    return request.getfixturevalue(request.param)


class Account:
    """A service account, asked for by the administrator in its name."""

    def __init__(self, cluster):
        self.cluster, self.user = cluster, f"system:serviceaccount:{cluster.namespace}:deployer"

    async def ask(self, verb, path, body=None):
        query = {"fieldManager": "towline"} if verb == "PATCH" else {}
        data = None if body is None else encode(body)
        request = Request(verb, path, query, data, content_type=APPLY, impersonate=self.user)
        return await self.cluster.session.send(request, retries=0)

    async def apply(self, name):
        return await self.ask("PATCH", self.cluster.path(name), self.cluster.body(name, {"a": "1"}))

    async def grant(self, *verbs):
        subject = {"kind": "ServiceAccount", "name": "deployer", "namespace": self.cluster.namespace}
        await self.cluster.grant(subject, [{"apiGroups": [""], "resources": ["configmaps"], "verbs": list(verbs)}])


@pytest.fixture
async def account(cluster):
    await cluster.make(cluster.path(plural="serviceaccounts"), {"metadata": {"name": "deployer"}})
    return Account(cluster)


def told(reply):
    """Return what a refusal says is missing."""
    assert (reply.status, reply.failure().error) == (403, ErrorClass.FORBIDDEN)
    right = right_of(reply.failure().message)
    return right.user, right.verb, right.resource, right.group, right.namespace, right.name


@pytest.mark.parametrize(
    ("verb", "path", "right"),
    [
        ("GET", "/api/v1/namespaces/{ns}/configmaps/c", ("get", "configmaps", "", "{ns}", "c")),
        ("GET", "/api/v1/namespaces/{ns}/secrets", ("list", "secrets", "", "{ns}", "")),
        ("GET", "/apis/apps/v1/deployments", ("list", "deployments", "apps", "", "")),
        ("DELETE", "/apis/apps/v1/namespaces/{ns}/deployments/d", ("delete", "deployments", "apps", "{ns}", "d")),
        ("GET", "/api/v1/namespaces/{ns}", ("get", "namespaces", "", "{ns}", "{ns}")),
        ("DELETE", "/api/v1/nodes/n", ("delete", "nodes", "", "", "n")),
    ],
)
async def test_a_refusal_names_who_what_and_where(cluster, account, verb, path, right):
    reply = await account.ask(verb, path.format(ns=cluster.namespace))

    assert told(reply) == (account.user, *(each.format(ns=cluster.namespace) for each in right))


async def test_an_apply_of_what_does_not_exist_needs_to_create_it(cluster, account):
    before = await account.apply("c")
    await account.grant("patch")
    # What was granted counts some milliseconds later.
    async with asyncio.timeout(5):
        while told(between := await account.apply("c"))[1] == "patch":
            continue
    await cluster.apply(cluster.body("there", {"a": "0"}))
    there = await account.apply("there")

    assert told(before) == (account.user, "patch", "configmaps", "", cluster.namespace, "c")
    assert told(between) == (account.user, "create", "configmaps", "", cluster.namespace, "c")
    assert there.ok
