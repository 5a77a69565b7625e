"""Whoever holds the releaser's bus credential, but not its key, cannot move a cluster (A01)."""

import json
from base64 import b64decode, b64encode

import pytest

from services.cli.hosting import credentials_file
from shared import subjects
from shared.bus.connection import Bus
from shared.core.canonical import decode, encode
from shared.runtime.settings import read_credentials
from tests.support.line import until

CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: one}}\ndata: {{text: {text}}}\n"


def altered(envelope):
    """Return the envelope with a higher number inside and the signature it had."""
    found = decode(envelope)
    inner = decode(b64decode(found["payload"]))
    payload = encode({**inner, "generation": inner["generation"] + 1})
    return encode({**found, "payload": b64encode(payload).decode()})


def unsigned(envelope):
    return encode({**decode(envelope), "signatures": []})


async def forged(line, forge):
    """Publish c1's document anew with the releaser's own credential, changed by `forge`."""
    credentials = read_credentials(credentials_file(line.data, "releaser"))
    urls = json.loads((line.data / "hub.json").read_text())["bus"]
    async with Bus.connect(urls, lambda: credentials, name="forger") as bus:
        await bus.wait_connected()
        stored = await bus.last(subjects.DESIRED, subjects.desired("c1"))
        await bus.publish(subjects.desired("c1"), forge(stored.data))


async def refused(line, code):
    """Return the event that tells of the refusal."""
    last = []

    async def there():
        nonlocal last
        last = await line.items("events", cluster="c1")
        return next((each for each in last if each["data"].get("reason") == code), None)

    return await until(there, what=lambda: f"{code}: {last[:3]}", deadline_s=20)


@pytest.mark.parametrize(("forge", "code"), [(altered, "desired.signature"), (unsigned, "desired.malformed")])
async def test_a01_a_document_without_the_hubs_signature_is_refused_and_told(line, local_git, forge, code):
    """A01: the event names the code, no object is touched, and the next commit arrives."""
    commit = local_git.commit("fleet", {"one.yaml": CONFIG.format(text="first")})
    running = await line(clusters=["c1"], sources={"fleet": str(local_git.path("fleet"))})
    await running.wait(commit, "applied")
    before = running.owned("c1")
    await forged(running, forge)
    event = await refused(running, code)

    assert event["data"]["severity"] == "error"
    assert event["data"]["message"]
    assert running.owned("c1") == before
    await running.wait(local_git.commit("fleet", {"one.yaml": CONFIG.format(text="second")}), "applied")
    assert running.cluster("c1").store.get("v1", "ConfigMap", "default", "one")["data"] == {"text": "second"}
