"""The line end to end, as small as it gets: one source without fleet files, a few clusters."""

from tests.support.line import until

CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: greeting}}\ndata: {{text: {text}}}\n"


async def test_a_commit_reaches_every_cluster_and_the_next_one_changes_it(line, local_git):
    local_git.commit("fleet", {"greeting.yaml": CONFIG.format(text="hello")})
    running = await line(clusters=["c1", "c2"], sources={"fleet": str(local_git.path("fleet"))})

    first = str(local_git.open("fleet").references["refs/heads/main"].target)
    await running.wait(first)

    assert [
        running.cluster(name).store.get("v1", "ConfigMap", "default", "greeting")["data"] for name in ("c1", "c2")
    ] == [
        {"text": "hello"},
        {"text": "hello"},
    ]

    await running.wait(local_git.commit("fleet", {"greeting.yaml": CONFIG.format(text="goodbye")}))

    assert running.cluster("c2").store.get("v1", "ConfigMap", "default", "greeting")["data"] == {"text": "goodbye"}


async def test_a_manual_change_is_healed(line, local_git):
    commit = local_git.commit("fleet", {"greeting.yaml": CONFIG.format(text="hello")})
    running = await line(clusters=["c1"], sources={"fleet": str(local_git.path("fleet"))})
    await running.wait(commit)
    store = running.cluster("c1").store
    greeting = store.get("v1", "ConfigMap", "default", "greeting")

    store.patch(greeting, {"data": {"text": "changed by hand"}})

    await until(lambda: store.get("v1", "ConfigMap", "default", "greeting")["data"] == {"text": "hello"}, what="healed")
