"""Sources beside each other: what happens in one is no work, and no loss, for the other (I7, I8)."""

CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{text: {text}}}\n"
LINES = ("source_rendered", "render_taken")


def app(number, text="first"):
    return {f"apps/app-{number}/config.yaml": CONFIG.format(name=f"many-{number}", text=text)}


def writes(line):
    return [each for each in line.cluster("c1").requests if each.method != "GET" and "leases" not in each.path]


def worked(line, source):
    """Return how often a source was rendered and released."""
    text = line.hub.log.read_text()
    return sum(f'"source":"{source}"' in each and any(name in each for name in LINES) for each in text.splitlines())


async def test_a_commit_in_one_source_is_no_work_for_the_other(line, local_git):
    """Two sources, of 1 and of 50 targets, on one cluster."""
    many = {"fleet.yaml": "version: 1\n"}
    for number in range(50):
        many |= app(number)
    first = [
        local_git.commit("many", many),
        local_git.commit("single", {"one.yaml": CONFIG.format(name="one", text="first")}),
    ]
    running = await line(clusters=["c1"], sources={name: str(local_git.path(name)) for name in ("many", "single")})
    for commit in first:
        await running.wait(commit)
    versions = {key: each["metadata"]["resourceVersion"] for key, each in running.owned("c1").items()}
    before, count = worked(running, "many"), len(writes(running))

    await running.wait(local_git.commit("single", {"one.yaml": CONFIG.format(name="one", text="second")}))

    assert worked(running, "many") == before
    after = {key: each["metadata"]["resourceVersion"] for key, each in running.owned("c1").items()}
    assert {key for key in after if after[key] != versions[key]} == {"/ConfigMap:default/one"}
    assert all("/many-" not in each.path for each in writes(running)[count:])
