"""What git says about a cluster's Kubernetes reaches CLUSTERS, for the renders of other sources."""

from services.releaser.registering import VERSION, untold
from shared.messages.renders import DeclaredCluster, FleetPart
from tests.support.releaser import rendered


def declared(**said):
    return FleetPart(clusters=(DeclaredCluster(name="c1", **said),))


async def test_what_git_says_of_a_clusters_kubernetes_is_told_and_counts_as_a_change(registry):
    versions = []
    for number, said in enumerate(({}, {"kube_version": "v1.33.0"}, {"kube_version": "v1.33.0"}, {}), start=1):
        await registry.take(rendered(number, {("c1", "web"): "a"}, part=declared(**said)))
        async with registry.store.deciding() as tx:
            (told,), _, _ = await untold(tx)
            versions.append((told.kube_version, await tx.value(VERSION)))

    assert versions == [("", 1), ("v1.33.0", 2), ("v1.33.0", 2), ("", 3)]
