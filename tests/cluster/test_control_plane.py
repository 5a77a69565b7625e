"""What tests rely on in their own Kubernetes: it can be broken and comes back, knows its users, ends with its process."""

import asyncio
import os
import select
import signal
import sys

import pytest

from services.applier.kube.access import Access
from services.applier.kube.credentials import FixedCredentials, ask_child
from services.applier.kube.session import ClusterUnreachableError, Request, Session
from tests.support.api_server import asking
from tests.support.clusters import need_control_plane
from tests.support.control_plane import ETCD, PROGRAMS
from tests.support.data import PROJECT

pytestmark = pytest.mark.cluster

CHILD = """
import asyncio, sys
from pathlib import Path
from tests.support.control_plane import ControlPlane

async def main():
    plane = ControlPlane(Path(sys.argv[1]))
    await plane.start()
    print(*(program.pid for program in plane.programs.values()), flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_it_is_stopped_killed_and_restored_from_an_older_copy(control_plane):
    async with asking(FixedCredentials(control_plane.access)) as server:
        await server.make(server.path(), server.body("before"))
        copy = control_plane.copy_etcd()
        await server.make(server.path(), server.body("after"))
        control_plane.pause()
        with pytest.raises(ClusterUnreachableError):
            await server.session.send(Request("GET", "/readyz", timeout_s=0.5), retries=0)
        control_plane.resume()
        await control_plane.restart()
        await control_plane.restart(ETCD)
        kept = await server.get(server.path("after"))
        await control_plane.restore_etcd(copy)

        assert kept is not None
        assert await server.get(server.path("after")) is None
        assert await server.get(server.path("before")) is not None


async def test_users_may_do_what_rbac_grants_them(control_plane):
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}]
    async with asking(FixedCredentials(control_plane.access)) as server:
        account = await server.account(control_plane.access, "reader", rules)
        user = control_plane.user("ann", "readers")
        kubeconfig = control_plane.kubeconfig_of("ann", user)
        await server.grant({"kind": "User", "name": "ann", "apiGroup": "rbac.authorization.k8s.io"}, rules)
        for access in (account, user, await ask_child(kubeconfig, "ann")):
            assert await _statuses(access, server.path(), server.path(plural="secrets")) == [200, 403]


async def _statuses(access: Access, *paths):
    async with Session.connect(FixedCredentials(access), agent="test") as session:
        return [(await session.send(Request("GET", path), retries=0)).status for path in paths]


async def test_it_ends_when_the_process_that_started_it_is_killed(tmp_path):
    need_control_plane()
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", CHILD, str(tmp_path / "plane")), stdout=asyncio.subprocess.PIPE, cwd=PROJECT
    )
    pids = [int(pid) for pid in (await child.stdout.readline()).split()]
    handles = [os.pidfd_open(pid) for pid in pids]
    child.send_signal(signal.SIGKILL)
    await child.wait()

    try:
        assert len(handles) == len(PROGRAMS)
        for handle in handles:
            assert select.select([handle], [], [], 10)[0], "a program outlived the process that started it"
    finally:
        for handle in handles:
            os.close(handle)
