"""Simulated clusters for tests: one (`sim`), or as many as a test asks for (`sims`)."""

import contextlib

import pytest_asyncio

from services.kubesim.server import SimulatedClusters


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
