"""Documents that are not what the hub signed, sent with the releaser's own credential: refused by name, nothing moves."""

from base64 import b64decode, b64encode

import pytest

from shared.core.canonical import decode, encode
from tests.support.agents import config_map, eventually, running


def altered(envelope):
    """Return the envelope with another generation inside and the signature it had."""
    found = decode(envelope)
    inner = decode(b64decode(found["payload"]))
    payload = encode({**inner, "generation": inner["generation"] + 1})
    return encode({**found, "payload": b64encode(payload).decode()})


def unsigned(envelope):
    return encode({**decode(envelope), "signatures": []})


def data_of(sim):
    return sim.store.get("v1", "ConfigMap", "web", "one")["data"]


def writes(sim):
    return [each for each in sim.requests if each.method in {"PATCH", "DELETE", "PUT"} and "/configmaps/" in each.path]


async def test_after_a_restart_what_runs_is_healed_while_a_newer_release_is_refused(pen, sim):
    """A2, A14: the bundle that is refused stays so, and the one before counts."""
    async with running(pen.settings(sim)):
        await pen.release("web", [config_map("one")])
        await pen.reported(generation=1, settled=True)
        bad = config_map("one")
        await pen.release("web", [{name: bad[name] for name in ("apiVersion", "kind", "metadata")}])
        await pen.reported(generation=2, result="refused")
    async with running(pen.settings(sim)):
        await pen.until(lambda: len([each for each in pen.reports if each.result == "refused"]) > 1)
        sim.store.patch(config_map("one"), {"data": {"a": "9"}})
        await eventually(lambda: data_of(sim) == {"a": "1"})


@pytest.mark.parametrize(("forge", "code"), [(altered, "desired.signature"), (unsigned, "desired.malformed")])
async def test_a01_a_document_without_the_hubs_signature_is_refused_and_reported(agent, sim, forge, code):
    """A01: unsigned or altered on the way; the next right one is taken."""
    await agent.release("web", [config_map("one")])
    await agent.reported(generation=1)
    before = len(writes(sim))
    await agent.release("web", [config_map("one", a="evil")], publish=False)
    agent.generation += 1
    await agent.send(forge(await agent.envelope()))
    report = await agent.reported("", result="refused")

    assert report.reason == code
    assert (data_of(sim), len(writes(sim))) == ({"a": "1"}, before)
    await agent.release("web", [config_map("one", a="right")])
    await agent.reported(generation=3, result="succeeded")
    assert data_of(sim) == {"a": "right"}


async def test_a_bundle_that_is_not_what_was_signed_is_refused_and_reported(agent, sim):
    """A1: The release names a digest that the bundle does not have."""
    await agent.release("web", [config_map("one")])
    await agent.reported(generation=1)
    before = len(writes(sim))
    await agent.release("web", [config_map("one", a="evil")], publish=False)
    bundle = agent.releases["web"].bundle
    await agent.change("web", bundle=bundle.model_copy(update={"digest": agent.releases["web"].bundle.blob.digest}))
    report = await agent.reported(generation=2)

    assert report.reason == "bundle.digest"
    assert (data_of(sim), len(writes(sim))) == ({"a": "1"}, before)
    await agent.release("web", [config_map("one", a="right")])
    await agent.reported(generation=3, result="succeeded")
    assert data_of(sim) == {"a": "right"}
