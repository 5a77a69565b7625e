"""Bundles and objects as large as they may be, and larger, on a real Kubernetes."""

import pytest

from shared.core.canonical import encode
from shared.core.objects import key_of
from tests.support.agents import OPTIONS, config_map
from tests.support.api_server import MERGE_PATCH
from tests.support.definitions import definition_of

pytestmark = pytest.mark.cluster

AGENT = "towline-applier/"
KIB = 1024
MANY = 10_000
WAIT_S = 600.0
FEW = 3
"""Secrets of the inventory that one changed object of very many writes: the claim, and what became of it."""
LATER = {"first": "1h", "max": "1h"}


def writes(control_plane, resource):
    """Return how the agent wrote objects of a kind."""
    return [
        (each["verb"], each["objectRef"]["name"])
        for each in control_plane.asked(AGENT)
        if each.get("objectRef", {}).get("resource") == resource and each["verb"] not in {"get", "list", "watch"}
    ]


@pytest.mark.long
async def test_a_bundle_of_ten_thousand_objects_is_written_once_and_halved_only_with_a_word(own_agent, control_plane):
    """D2, D3, F5, N9."""
    own_agent.wait_s = WAIT_S
    objects = [config_map(f"c-{number:05}", a=str(number)) for number in range(MANY)]
    await own_agent.release("web", objects)
    first = await own_agent.reported(generation=1, settled=True)
    await own_agent.instruct("sync")
    again = await own_agent.reported(trigger="sync")

    assert (first.result, first.counts.created, first.counts.failed) == ("succeeded", MANY + 1, 0)
    assert again.counts.unchanged == MANY + 1
    assert len(writes(control_plane, "configmaps")) == MANY

    objects[7] = config_map("c-00007", a="new")
    own = len(writes(control_plane, "secrets"))
    await own_agent.release("web", objects)
    changed = await own_agent.reported(generation=2, settled=True)

    assert (changed.counts.patched, changed.counts.unchanged) == (1, MANY)
    assert writes(control_plane, "configmaps")[MANY:] == [("patch", "c-00007")]
    assert len(writes(control_plane, "secrets")) - own <= FEW

    await own_agent.release("web", objects[: MANY // 2])
    held = await own_agent.reported(generation=3, result="held")
    assert len(writes(control_plane, "configmaps")) == MANY + 1
    await own_agent.change("web", approval=held.hold.approval)
    halved = await own_agent.reported(generation=3, settled=True)

    assert (held.hold.reason, held.hold.count) == ("PruneGuard", MANY // 2)
    assert halved.counts.pruned == MANY // 2
    assert set(writes(control_plane, "configmaps")[MANY + 1 :]) == {
        ("delete", each["metadata"]["name"]) for each in objects[MANY // 2 :]
    }


def text(size):
    return "towline " * (size // 8)


def register_of(group, names):
    """Return the definition of a kind whose objects hold a list by key, so that every item has its owner in managedFields."""
    item = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}
    items = {
        "type": "array",
        "items": item,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["name"],
    }
    fields = {f"field{number}": {"type": "string", "description": text(400)} for number in range(names)}
    spec = {"type": "object", "properties": {"items": items, **fields}}
    return definition_of("Register", group, {"type": "object", "properties": {"spec": spec}})


def register(group, place, name, count):
    return {
        "apiVersion": f"{group}/v1",
        "kind": "Register",
        "metadata": {"name": name, "namespace": place},
        "spec": {"items": [{"name": f"item-{number:05}"} for number in range(count)]},
    }


@pytest.fixture
def sized(api_server):
    """The group of a kind of the test's own, and the options of an app in the test's namespace."""
    group = f"{api_server.namespace}.example.org"
    return group, {**OPTIONS, "namespace": api_server.namespace, "retry": LATER}


async def test_objects_that_client_side_apply_could_not_take_are_applied_and_healed(real_agent, api_server, sized):
    """A10: no copy of an object goes into an annotation, so what a server can store is the only limit."""
    place, (group, options) = api_server.namespace, sized
    whole = config_map("large", place, text=text(900 * KIB))
    objects = [whole, register_of(group, 700), register(group, place, "long", 10_000)]
    long = f"/apis/{group}/v1/namespaces/{place}/registers/long"
    await real_agent.release("web", objects, options=options)
    first = await real_agent.reported(generation=1)
    before = [await api_server.get(path) for path in (api_server.path("large"), long)]
    await real_agent.instruct("sync")
    again = await real_agent.reported(trigger="sync")
    after = [await api_server.get(path) for path in (api_server.path("large"), long)]

    assert min(len(encode(each)) for each in objects) > 200 * KIB
    assert (first.result, first.counts.created, first.failures) == ("succeeded", len(objects), ())
    assert (again.counts.unchanged, after) == (again.counts.objects, before)

    await api_server.ask("PATCH", api_server.path("large"), {"data": {"text": "x"}}, content_type=MERGE_PATCH)
    await api_server.ask("PATCH", long, {"spec": {"items": []}}, content_type=MERGE_PATCH)
    await real_agent.until(
        lambda: sum(each.counts.patched for each in real_agent.reports if each.trigger == "drift") == 2
    )

    assert (await api_server.get(api_server.path("large")))["data"] == whole["data"]
    assert len((await api_server.get(long))["spec"]["items"]) == 10_000


async def test_an_object_that_the_server_cannot_store_fails_alone_with_its_size(real_agent, api_server, sized):
    """E2, E7: by what it takes to remember who owns each item, which nobody sees beforehand."""
    place, (group, options) = api_server.namespace, sized
    too_long = register(group, place, "long", 24_000)
    objects = [config_map("one", place), register_of(group, 1), too_long, register(group, place, "short", 3)]
    await real_agent.release("web", objects, options=options)
    report = await real_agent.reported(generation=1)
    (failure,) = report.failures

    assert (report.result, report.counts.created) == ("partial", 3)
    assert (failure.code, failure.key) == ("TooLarge", str(key_of(too_long)))
    assert f"{len(encode(too_long)) // 1000}" in failure.message
    assert "split" in failure.hint


async def test_an_object_that_others_filled_fails_alone_with_its_size(real_agent, api_server, sized):
    """E2, E7: what others keep in an object counts, too."""
    place, (_, options) = api_server.namespace, sized
    await api_server.make(api_server.path(), config_map("shared", place, theirs=text(700 * KIB)))
    await real_agent.release(
        "web", [config_map("one", place), config_map("shared", place, ours=text(700 * KIB))], options=options
    )
    report = await real_agent.reported(generation=1)
    (failure,) = report.failures

    assert (report.result, report.counts.created, failure.code) == ("partial", 1, "TooLarge")
    assert "1048576 bytes" in failure.message
    assert "what others keep in it" in failure.hint
    assert (await api_server.get(api_server.path("shared")))["data"] == {"theirs": text(700 * KIB)}


async def test_an_object_that_no_server_stores_is_refused_before_anything_is_written(real_agent, api_server, sized):
    """A10: with its size; what ran before goes on."""
    place, (_, options) = api_server.namespace, sized
    await real_agent.release("web", [config_map("one", place)], options=options)
    await real_agent.reported(generation=1, settled=True)
    await real_agent.release(
        "web", [config_map("one", place, a="2"), config_map("huge", place, text=text(1100 * KIB))], options=options
    )
    report = await real_agent.reported(generation=2)

    assert (report.result, report.reason) == ("refused", "object.too-large")
    assert f"huge has {1100 * KIB} bytes of data" in report.message
    assert "split it" in report.message
    assert (await api_server.get(api_server.path("one")))["data"] == {"a": "1"}
