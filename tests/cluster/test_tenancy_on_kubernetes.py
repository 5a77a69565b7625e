"""Service accounts of apps on a real API server: its texts, its permissions, its audit log."""

import pytest
import yaml

from tests.support.agents import OPTIONS, config_map, holding_pen, running
from tests.support.api_server import RBAC
from tests.support.clusters import cluster_of

pytestmark = pytest.mark.cluster

AGENT = "towline-applier/"
# What an agent needs for itself: to look, to keep its inventory, its lease and its namespace.
OWN_RIGHTS = [
    {"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch"]},
    {
        "apiGroups": ["", "coordination.k8s.io"],
        "resources": ["secrets", "leases", "namespaces"],
        "verbs": ["create", "patch", "update", "delete"],
    },
]


async def grant(api_server, hint):
    """Apply what a hint advises, as it stands."""
    for manifest in yaml.safe_load_all(hint.partition(":\n")[2]):
        metadata = manifest["metadata"]
        scope = f"/namespaces/{metadata['namespace']}" if "namespace" in metadata else ""
        path = f"{RBAC}{scope}/{manifest['kind'].lower()}s/{metadata['name']}"
        assert (await api_server.apply(manifest, path, manager="ann")).ok


async def led(pen, api_server):
    """Grant what each report advises until the app is well; return what was advised."""
    advised = []
    for number in range(20):
        report = await pen.until(lambda: pen.reports[number] if len(pen.reports) > number else None)  # noqa: B023
        if report.result == "succeeded":
            break
        for failure in report.failures:
            advised.append(failure.hint)
            await grant(api_server, failure.hint)
    return advised


async def test_advice_alone_leads_from_no_right_to_a_healthy_app(
    bus_server, api_server, cluster_access, shared_control_plane, tmp_path
):
    """O1, O3, O8: the server's refusals say what agent and account lack; all is then done as the account, of no group."""
    place = api_server.namespace
    access = await api_server.account(cluster_access, "agent", OWN_RIGHTS, everywhere=True)
    await api_server.make(api_server.path(plural="serviceaccounts"), {"metadata": {"name": "deployer"}})
    cluster = await cluster_of(api_server, access)
    options = {**OPTIONS, "namespace": place, "runAs": "deployer"}
    async with holding_pen(bus_server, cluster, tmp_path) as pen:
        async with running(pen.settings(cluster, namespace=f"towline-{cluster.name}")):
            await pen.release("web", [config_map("a", place)], options=options)
            advised = await led(pen, api_server)
        await api_server.ask("DELETE", f"/api/v1/namespaces/towline-{cluster.name}")

    assert advised[0].startswith("the agent itself lacks the right to act for this app")
    assert f"system:serviceaccount:{place}:deployer may not" in advised[-1]
    assert (await api_server.get(api_server.path("a")))["data"] == {"a": "1"}
    if shared_control_plane is not None:
        mine = [
            each for each in shared_control_plane.asked(AGENT) if each["user"]["username"].endswith(f"{place}:agent")
        ]
        written = [each for each in mine if (each.get("objectRef") or {}).get("namespace") == place]
        done = [each for each in written if each["verb"] == "patch" and each["responseStatus"]["code"] < 300]
        assert {each["impersonatedUser"]["username"] for each in done} == {f"system:serviceaccount:{place}:deployer"}
