"""Kinds that arrive, change and leave together with their objects, on an API server that learns of it a moment later."""

import pytest

from tests.support.agents import OPTIONS
from tests.support.definitions import definition_of

pytestmark = pytest.mark.cluster

CHANGES, OBJECTS = 30, 4
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
TEXT = {"type": "string"}


class Tunnels:
    """A kind of a test's own, and how its definition and its objects are written and found."""

    def __init__(self, server):
        self.group, self.place = f"{server.namespace}.example.org", server.namespace
        self.options = {**OPTIONS, "namespace": self.place, "retry": {"first": "1h", "max": "1h"}}

    def definition(self, *fields, versions=("v1",)):
        spec = {"type": "object", "properties": dict.fromkeys(fields, TEXT)}
        schema = {"type": "object", "properties": {"spec": spec}}
        return definition_of("Tunnel", self.group, schema, versions)

    def tunnel(self, number=0, version="v1", **spec):
        metadata = {"name": f"t{number}", "namespace": self.place}
        return {"apiVersion": f"{self.group}/{version}", "kind": "Tunnel", "metadata": metadata, "spec": spec}

    def path(self, number=0, version="v1"):
        return f"/apis/{self.group}/{version}/namespaces/{self.place}/tunnels/t{number}"

    @property
    def definition_path(self):
        return f"{DEFINITIONS}/tunnels.{self.group}"


@pytest.fixture
def tunnels(api_server):
    return Tunnels(api_server)


async def test_objects_may_use_what_their_definition_gains_with_the_same_bundle(real_agent, api_server, tunnels):
    """D16: whatever the moment in which the API server begins to go by it."""
    fields = [f"f{number}" for number in range(CHANGES)]
    for number in range(1, CHANGES + 1):
        spec = dict.fromkeys(fields[:number], str(number))
        objects = [tunnels.tunnel(each, **spec) for each in range(OBJECTS)]
        await real_agent.release("web", [*objects, tunnels.definition(*fields[:number])], options=tunnels.options)
        report = await real_agent.reported(generation=number)
        assert (report.result, report.failures) == ("succeeded", ())

    live = [await api_server.get(tunnels.path(number)) for number in range(OBJECTS)]
    assert [each["spec"] for each in live] == [dict.fromkeys(fields, str(CHANGES))] * OBJECTS


async def test_a_kind_moves_to_another_version_with_its_objects(real_agent, api_server, tunnels):
    """D15, D16: the new version counts at once; the old one cannot go while objects may be stored in it."""
    old, both = tunnels.definition("to"), tunnels.definition("to", versions=("v1", "v2"))
    await real_agent.release("web", [tunnels.tunnel(to="a"), old], options=tunnels.options)
    await real_agent.reported(generation=1, settled=True)
    before = await api_server.get(tunnels.path())
    await real_agent.release("web", [tunnels.tunnel(version="v2", to="b"), both], options=tunnels.options)
    await real_agent.reported(generation=2, result="succeeded")
    moved = await api_server.get(tunnels.path(version="v2"))
    alone = tunnels.definition("to", versions=("v2",))
    await real_agent.release("web", [tunnels.tunnel(version="v2", to="c"), alone], options=tunnels.options)
    report = await real_agent.reported(generation=3)

    assert (moved["spec"], moved["metadata"]["uid"]) == ({"to": "b"}, before["metadata"]["uid"])
    assert [(each.code, "v1" in each.message) for each in report.failures] == [("UnsafeCRD", True)]
    assert len((await api_server.get(tunnels.definition_path))["spec"]["versions"]) == 2
    assert (await api_server.get(tunnels.path(version="v2")))["spec"] == {"to": "b"}


async def test_a_definition_that_leaves_alone_stays_and_its_objects_with_it(real_agent, api_server, tunnels):
    """F9: even where it may be deleted, and a person said so."""
    options = {**tunnels.options, "pruneCRDs": True}
    await real_agent.release("web", [tunnels.tunnel(to="a"), tunnels.definition("to")], options=options)
    await real_agent.reported(generation=1, settled=True)
    before = await api_server.get(tunnels.path())
    await real_agent.release("web", [tunnels.tunnel(to="a")], options=options)
    held = await real_agent.reported(generation=2, result="held")
    await real_agent.change("web", approval=held.hold.approval)
    report = await real_agent.reported(generation=2, settled=True)
    definition = await api_server.get(tunnels.definition_path)

    assert await api_server.get(tunnels.path()) == before
    assert (report.result, report.counts.pruned, report.counts.kept) == ("succeeded", 0, 1)
    assert "towline.dev/agent" not in definition["metadata"].get("labels", {})
    assert any("still holds" in each for each in report.warnings)


async def test_a_definition_and_its_objects_leave_together(real_agent, api_server, tunnels):
    """C11, F9: what is kept by default goes where that is wanted, after its objects."""
    options = {**tunnels.options, "pruneCRDs": True}
    both = [tunnels.tunnel(to="a"), tunnels.tunnel(1, to="b"), tunnels.definition("to")]
    await real_agent.release("web", both, options=options)
    await real_agent.reported(generation=1, settled=True)
    await real_agent.release("web", [], options={**options, "allowEmpty": True})
    held = await real_agent.reported(generation=2, result="held")
    await real_agent.change("web", approval=held.hold.approval)
    report = await real_agent.reported(generation=2, settled=True)

    assert (report.result, report.counts.pruned) == ("succeeded", 3)
    assert await api_server.get(tunnels.definition_path) is None
