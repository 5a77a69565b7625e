"""Clusters and apps that several tests of the releaser release to."""

import pytest

from tests.support.releaser import a_registry, fleet, rendered

THREE = {"c1": {"env": "dev"}, "c2": {"env": "prod"}, "c3": {"env": "prod"}}
APPS = ("web", "api", "db")
ALL = {(cluster, app): "a" for cluster in THREE for app in APPS}


@pytest.fixture
async def registry(tmp_path):
    async with a_registry(tmp_path) as opened:
        yield opened


@pytest.fixture
async def three(registry):
    """Three clusters that joined, each running bundle a of three apps, settled."""
    await registry.take(rendered(1, ALL, part=fleet(THREE)))
    await registry.join(*THREE)
    for cluster, app in ALL:
        await registry.report(cluster, app)
    await registry.facts()
    return registry
