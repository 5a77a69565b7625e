"""Simulated clusters for tests: one (`sim`), or as many as a test asks for (`sims`)."""

import contextlib

import pytest
import pytest_asyncio

from services.applier.kube.access import Access
from services.applier.kube.credentials import FixedCredentials
from services.kubesim.server import SimulatedClusters
from tests.support.api_server import asking


@pytest_asyncio.fixture
async def sim():
    async with SimulatedClusters(1) as clusters:
        yield clusters.clusters[0]


@pytest_asyncio.fixture
async def sims():
    """Return a function that starts `count` clusters on one port and returns them."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(count, *, legacy=False):
            clusters = await stack.enter_async_context(SimulatedClusters(count, legacy=legacy))
            return clusters.clusters

        yield start


@pytest.fixture
async def sim_server(sim):
    """The simulated cluster's API server, with a namespace that is the test's alone."""
    known = Access(server=sim.url, authorization=f"Bearer {sim.token}")
    async with asking(FixedCredentials(known)) as server:
        yield server
