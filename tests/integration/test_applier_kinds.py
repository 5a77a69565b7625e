"""Kinds that change, and kinds that a cluster does not have."""

import pytest

from tests.support.agents import OPTIONS, config_map
from tests.support.definitions import definition_of

SLOWLY = {**OPTIONS, "retry": {"first": "1h", "max": "1h"}}
SCHEMA = {
    "kind": "Status",
    "code": 500,
    "message": "failed to create typed patch object: .spec.b: not declared in schema",
}
INVALID = {"kind": "Status", "code": 422, "reason": "Invalid", "message": 'spec.b: Unsupported value: "x"'}


def widget(**spec):
    return {
        "apiVersion": "example.org/v1",
        "kind": "Widget",
        "metadata": {"name": "w", "namespace": "web"},
        "spec": spec,
    }


def with_fields(*names):
    spec = {"type": "object", "properties": {name: {"type": "string"} for name in names}}
    return definition_of("Widget", "example.org", {"type": "object", "properties": {"spec": spec}})


def is_widgets_apply(request):
    return request.method == "PATCH" and request.path.endswith("/widgets/w")


@pytest.mark.parametrize("refusal", [SCHEMA, INVALID], ids=["schema", "invalid"])
async def test_an_object_is_tried_again_while_an_api_server_goes_by_the_older_definition(agent, sim, refusal):
    """D16: it learns of a changed definition a moment after it has stored it."""
    await agent.release("web", [with_fields("a"), widget(a="1")], options=SLOWLY)
    await agent.reported(generation=1, result="succeeded")
    sim.fail_next(2, refusal["code"], refusal, match=is_widgets_apply)
    await agent.release("web", [with_fields("a", "b"), widget(a="1", b="x")], options=SLOWLY)
    report = await agent.reported(generation=2)

    assert (report.result, report.failures) == ("succeeded", ())
    assert sim.store.get("example.org/v1", "Widget", "web", "w")["spec"] == {"a": "1", "b": "x"}


async def test_an_object_that_its_own_new_definition_forbids_is_sent_once(agent, sim):
    """E5: a definition that nobody knew before cannot be an older one."""
    sim.fail_next(1, SCHEMA["code"], SCHEMA, match=is_widgets_apply)
    await agent.release("web", [with_fields("a"), widget(b="1")], options=SLOWLY)
    report = await agent.reported(generation=1)

    assert [each.code for each in report.failures] == ["Schema"]
    assert sum(map(is_widgets_apply, sim.requests)) == 1


async def test_of_a_version_that_is_gone_the_report_says_which_are_served(agent, sim):
    """E7: the rest of the bundle is applied, what is there stays as it is, and nothing is deleted."""
    await agent.release("web", [config_map("old"), config_map("one"), with_fields("a"), widget(a="1")], options=SLOWLY)
    await agent.reported(generation=1, result="succeeded")
    before = sim.store.get("example.org/v1", "Widget", "web", "w")
    older = {**widget(a="2"), "apiVersion": "example.org/v1beta1"}
    await agent.release("web", [config_map("one", a="2"), with_fields("a"), older], options=SLOWLY)
    report = await agent.reported(generation=2)
    (failure,) = report.failures

    assert (report.result, report.counts.patched, report.counts.pruned) == ("partial", 1, 0)
    assert failure.message == "the cluster serves no Widget in example.org/v1beta1"
    assert failure.hint == "write it for example.org/v1, which this cluster serves"
    assert sim.store.get("example.org/v1", "Widget", "web", "w") == before
    assert sim.store.get("v1", "ConfigMap", "web", "old")


async def test_a_kind_that_the_cluster_does_not_have_is_named_with_its_version(agent):
    await agent.release("web", [widget(a="1")], options=SLOWLY)
    report = await agent.reported(generation=1)

    assert [each.message for each in report.failures] == ["the cluster serves no Widget in example.org/v1"]
    assert "definition" in report.failures[0].hint
    assert "the cluster serves no Widget in example.org/v1" in report.message
