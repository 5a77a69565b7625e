"""Real clusters for tests: a control plane that all share, one of a test's own, or a context of the user's kubeconfig.

TOWLINE_TEST_CLUSTER names that context. Without it and without the built control plane the tests are skipped;
TOWLINE_REQUIRE_CLUSTER=1 makes them fail instead.
"""

import os
import secrets
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from services.applier.kube.credentials import FixedCredentials, ask_child
from tests.support import control_plane_build
from tests.support.agents import QUICK_AGENT, RealCluster, holding_pen, running
from tests.support.api_server import asking
from tests.support.control_plane import running_control_plane

CONTEXT = "TOWLINE_TEST_CLUSTER"
REQUIRED = "TOWLINE_REQUIRE_CLUSTER"
WAIT_S = 120.0
"""A real API server that shares two cores with its etcd and the tests has its bad moments."""
PACE = replace(QUICK_AGENT, wait_kind_s=60.0)


def need_control_plane():
    """Skip the test where no control plane was built; fail it where that is no excuse."""
    if why := control_plane_build.missing():
        (pytest.fail if os.environ.get(REQUIRED) else pytest.skip)(why)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared_control_plane(tmp_path_factory):
    """The control plane that tests share, keeping to names of their own; None where the user's cluster serves."""
    if os.environ.get(CONTEXT):
        yield None
        return
    need_control_plane()
    async with running_control_plane(tmp_path_factory.mktemp("control-plane")) as plane:
        yield plane


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def cluster_access(shared_control_plane):
    """An administrator's access to the cluster that tests share."""
    if shared_control_plane is not None:
        return shared_control_plane.access
    kubeconfig = os.environ.get("KUBECONFIG") or Path.home() / ".kube" / "config"
    return await ask_child(Path(kubeconfig), os.environ[CONTEXT])


@pytest.fixture
async def control_plane(tmp_path):
    """A control plane of the test's own, to be stopped, killed and restored."""
    need_control_plane()
    async with running_control_plane(tmp_path / "control-plane") as plane:
        yield plane


@pytest.fixture
async def api_server(cluster_access):
    """The shared cluster's API server, with a namespace that is the test's alone."""
    async with asking(FixedCredentials(cluster_access)) as server:
        yield server


async def cluster_of(server, access):
    """Return a cluster as its agent needs to know it, under a name of its own: several tests share one."""
    uid = (await server.get("/api/v1/namespaces/kube-system"))["metadata"]["uid"]
    return RealCluster(f"real-{secrets.token_hex(4)}", access, uid)


@pytest.fixture
async def real_agent(bus_server, api_server, cluster_access, tmp_path):
    """The pen of an agent that runs in the shared cluster; its things are in a namespace of the test's own."""
    cluster = await cluster_of(api_server, cluster_access)
    async with holding_pen(bus_server, cluster, tmp_path) as pen:
        pen.wait_s = WAIT_S
        async with running(pen.settings(cluster, namespace=f"towline-{cluster.name}", pace=PACE)):
            yield pen
        await api_server.ask("DELETE", f"/api/v1/namespaces/towline-{cluster.name}")


@pytest.fixture
async def own_agent(bus_server, control_plane, tmp_path):
    """The pen of an agent that runs in the test's own control plane."""
    async with asking(FixedCredentials(control_plane.access)) as server:
        cluster = await cluster_of(server, control_plane.access)
    async with holding_pen(bus_server, cluster, tmp_path) as pen, running(pen.settings(cluster, pace=PACE)):
        pen.wait_s = WAIT_S
        yield pen
