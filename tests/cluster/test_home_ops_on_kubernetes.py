"""A real cluster's whole repository in one bundle on a real Kubernetes: some 630 objects of 62 kinds, and 52 definitions.

Its custom resources have no controllers here, so nobody ever writes that they do well: Synced is all that there is to wait for.
"""

import pytest

from services.applier.kube.credentials import FixedCredentials
from services.applier.kube.mapper import Mapper
from shared.core.objects import ObjectKey, key_of
from tests.support.api_server import asking
from tests.support.home_ops import CLUSTER_SCOPED, definitions_for, home_ops_inputs

pytestmark = pytest.mark.cluster

AGENT = "towline-applier/"
LABEL, OWNER = "towline.dev/agent", "towline.dev/owner"


@pytest.fixture
async def server(control_plane):
    async with asking(FixedCredentials(control_plane.access)) as server:
        yield server


@pytest.fixture
async def home(own_agent, engines, trees_of, replay):
    """The agent, and the cluster's objects one commit ago and now."""
    trees = list(trees_of(replay("bjw-s-home-ops")))[-2:]
    before, now = [await engines.render(home_ops_inputs(tree)) for tree in trees]
    definitions = definitions_for([*before, *now])
    return own_agent, [*definitions, *before], [*definitions, *now]


def keys_of(objects):
    """Return where a cluster keeps these objects."""
    keys = map(key_of, objects)
    return {key._replace(namespace="") if key.kind in CLUSTER_SCOPED else key for key in keys}


async def owned(server):
    """Return every object of every kind that is marked as the app's own."""
    mapper, found = Mapper(server.session), set()
    await mapper.refresh()
    for resource in mapper:
        listed = await server.ask("GET", resource.path(), labelSelector=LABEL) if resource.watchable else None
        for each in listed.body["items"] if listed else ():
            metadata = each["metadata"]
            key = ObjectKey(resource.group, resource.kind, metadata.get("namespace", ""), metadata["name"])
            if metadata["annotations"].get(OWNER) == f"home:{key}":
                found.add(key)
    return found


def writes(control_plane):
    """Return what the agent wrote so far, but for its lease."""
    asked = [(each["verb"], each["objectRef"]) for each in control_plane.asked(AGENT) if "objectRef" in each]
    return [each for each in asked if each[0] not in {"get", "list", "watch"} and each[1]["resource"] != "leases"]


def deleted(control_plane):
    return {(each.get("namespace", ""), each["name"]) for verb, each in writes(control_plane) if verb == "delete"}


async def test_a_whole_cluster_arrives_changes_and_loses_exactly_what_leaves_its_repository(
    home, server, control_plane
):
    """B2, D2, D3, F5: written once and not again; only what changed is; claims go when a person says so."""
    agent, before, now = home
    await agent.release("home", before)
    first = await agent.reported("home", generation=1)
    written = len(writes(control_plane))
    await agent.instruct("sync")
    again = await agent.reported("home", trigger="sync")

    assert (first.failures, first.result, first.settled, first.sync) == ((), "succeeded", True, "Synced")
    assert await owned(server) == keys_of(before)
    assert (again.counts.unchanged, len(writes(control_plane))) == (len(before), written)

    changed = [each for each in now if each not in before]
    await agent.release("home", now)
    report = await agent.reported("home", generation=2, settled=True)

    assert changed
    assert (report.counts.patched, report.counts.unchanged) == (len(changed), len(now) - len(changed))

    rules = [each for each in now if each["kind"] == "PrometheusRule"]
    await agent.release("home", [each for each in now if each not in rules])
    report = await agent.reported("home", generation=3, settled=True)

    assert report.counts.pruned == len(rules)
    assert deleted(control_plane) == {(key.namespace, key.name) for key in keys_of(rules)}

    left = [each for each in now if each not in rules and each["metadata"]["name"] != "open-webui"]
    gone = keys_of(now) - keys_of(left) - keys_of(rules)
    await agent.release("home", left)
    held = await agent.reported("home", generation=4, result="held")
    assert len(deleted(control_plane)) == len(rules)
    await agent.change("home", approval=held.hold.approval)
    report = await agent.reported("home", generation=4, settled=True)

    assert (held.hold.reason, held.hold.count) == ("PruneGuard", len(gone))
    assert {"PersistentVolumeClaim", "HelmRelease", "SnapshotPolicy"} < {key.kind for key in gone}
    assert report.counts.pruned == len(gone)
    assert await owned(server) == keys_of(left)
