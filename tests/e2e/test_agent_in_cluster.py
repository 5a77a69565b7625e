"""The agent as its own process in a cluster: the pod's service account, no data folder; and one that was stopped."""

import asyncio
import os
import signal
import ssl
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from services.applier.identity import FilePlace, SecretPlace
from services.applier.kube.access import Access
from services.applier.kube.credentials import FixedCredentials
from services.applier.kube.session import Session
from services.applier.vault import Vault
from services.kubesim.server import SimulatedClusters
from tests.support.agents import config_map, running
from tests.support.line import PROJECT, until


@pytest.fixture
async def sim(certificate):
    """A cluster as pods see it: TLS by the cluster's own CA, the API at the root."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate.certificate, certificate.key)
    async with SimulatedClusters(1, tls=tls) as clusters:
        yield clusters.clusters[0]


@pytest.fixture
async def pod(pen, sim, certificate, tmp_path):
    """A function that runs the agent's program as in a pod, with its identity in the cluster's Secret."""
    sim.store.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "towline"}})
    access = access_to(sim, certificate)
    async with Session.connect(FixedCredentials(access), agent="test") as session:
        await SecretPlace(Vault(session, "towline")).save(await FilePlace(pen.settings(sim).data).load())
    folder = tmp_path / "serviceaccount"
    folder.mkdir()
    (folder / "token").write_text(sim.token)
    (folder / "ca.crt").write_bytes(certificate.certificate.read_bytes())
    place = urlsplit(sim.url)
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(PROJECT),
        "KUBERNETES_SERVICE_HOST": place.hostname,
        "KUBERNETES_SERVICE_PORT": str(place.port),
        "TOWLINE_AGENT_POD_FOLDER": str(folder),
    }

    @asynccontextmanager
    async def started():
        log = tmp_path / "pod.log"
        with log.open("wb") as out:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "services.applier", env=environment, stdout=out, stderr=out, cwd=tmp_path
            )
        process.log = log
        try:
            yield process
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGCONT)
                process.terminate()
            assert await process.wait() == 0, log.read_text()

    return started


def access_to(sim, certificate):
    return Access(server=sim.url, ca=certificate.certificate.read_text(), authorization=f"Bearer {sim.token}")


def data_of(sim, name):
    found = sim.store.get("v1", "ConfigMap", "web", name)
    return found and found["data"]


async def test_the_pods_own_service_account_is_all_that_an_agent_needs(pod, pen, sim):
    async with pod():
        await pen.release("web", [config_map("one")])
        await pen.reported(result="succeeded")

    assert data_of(sim, "one") == {"a": "1"}
    assert sim.store.get("v1", "Secret", "towline", "towline-kept-desired")


@pytest.mark.slow
async def test_an_agent_that_slept_past_its_lease_writes_nothing_when_it_wakes(pod, pen, sim, certificate):
    """A29, M4: SIGSTOP, a standby takes over, SIGCONT: the first finds that it holds no lease and stands by."""
    async with pod() as first:
        await pen.release("web", [config_map("one"), config_map("two")])
        await pen.reported(result="succeeded")
        first.send_signal(signal.SIGSTOP)
        settings = pen.settings(sim, access=access_to(sim, certificate))
        async with running(settings):
            await pen.release("web", [config_map("one", a="2")])
            await until(lambda: data_of(sim, "two") is None, what="the standby deletes, a lease after its start")
            await pen.reported(generation=2, settled=True)
            before = [each for each in sim.requests if each.method != "GET" and "leases" not in each.path]
            first.send_signal(signal.SIGCONT)
            await until(lambda: "standby_started" in first.log.read_text(), what=first.log.read_text)
            after = [each for each in sim.requests if each.method != "GET" and "leases" not in each.path]

    assert after == before


@pytest.mark.slow
async def test_an_agent_stays_small_with_5000_objects_and_remembers_them_all(pod, pen, sim):
    """M1, N8, N9: an inventory in several Secrets, a restart that changes nothing, and what N8 allows for twice as many."""
    maps = [config_map(f"m{number:04d}") for number in range(5000)]
    async with pod() as process:
        await pen.release("web", maps)
        await until(lambda: pen.reports, what="the bundle applied")
        report = pen.reports[0]
        size_mib = resident_mib(process.pid)
    before = versions(sim)
    async with pod():
        first = report.session
        await until(lambda: pen.status.session != first and pen.status.apps["web"].sync == "Synced", what="in sync")

    shelves = [each for each in sim.store.list("v1", "Secret", "towline") if "inventory" in each["metadata"]["name"]]
    assert (report.counts.created, len(shelves)) == (5001, 4)
    assert versions(sim) == before
    assert size_mib <= 80


def resident_mib(pid):
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024


def versions(sim):
    """Return the versions of all objects but the lease: whoever writes changes one."""
    return {
        (each["kind"], each["metadata"]["name"]): each["metadata"]["resourceVersion"]
        for each in sim.store.objects()
        if each["kind"] != "Lease"
    }
