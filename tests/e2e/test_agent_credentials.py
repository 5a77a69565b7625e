"""An agent's credential over its life, with a real hub: renewed by HTTP, refused, revoked; and a bus that moved."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from tests.support.line import until

CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: greeting}}\ndata: {{text: {text}}}\n"


def identity_of(running, name):
    return json.loads((running.folder / "agents" / name / "identity.json").read_text())


def change_identity(running, name, **fields):
    file = running.folder / "agents" / name / "identity.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **fields}))


def greeting(running, name):
    return running.cluster(name).store.get("v1", "ConfigMap", "default", "greeting")


async def test_an_agent_helps_itself_by_http_and_goes_on_healing_when_it_is_revoked(line, local_git):
    """trust.md: the key's proof renews a credential without the bus; N2: who is refused still heals."""
    commit = local_git.commit("fleet", {"greeting.yaml": CONFIG.format(text="hello")})
    running = await line(clusters=["c1"], sources={"fleet": str(local_git.path("fleet"))})
    running.pace = replace(running.pace, refused_s=0.2)
    await running.wait(commit)
    await running.stop_agent("c1")
    place = identity_of(running, "c1")["bus"]

    # The bus moved while nobody said so: the hub is asked where it is.
    change_identity(running, "c1", bus=["nats://127.0.0.1:9"])
    running.start_agent("c1")
    await until(lambda: identity_of(running, "c1")["bus"] == place, what="the bus found")
    await running.wait(local_git.commit("fleet", {"greeting.yaml": CONFIG.format(text="found")}))
    await running.stop_agent("c1")

    # The credential ends soon: the hub gives another for the same key.
    soon = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    change_identity(running, "c1", expires=soon)
    running.start_agent("c1")
    await until(lambda: identity_of(running, "c1")["expires"] > soon, what="a new credential")
    await running.wait(local_git.commit("fleet", {"greeting.yaml": CONFIG.format(text="renewed")}))

    # Revoked while it runs: it is cut off, and its cluster stays as it is.
    await running.command("releaser", "cluster-revoke", cluster="c1")

    async def gone():
        return not await running.items("clusters", state="connected")

    await until(gone, what="the agent cut off")
    running.cluster("c1").store.patch(greeting(running, "c1"), {"data": {"text": "by hand"}})
    await until(lambda: greeting(running, "c1")["data"] == {"text": "renewed"}, what="healed")
