"""Bad input on the running line: one clear error with its place, nothing lost, the rest goes on (rule 6, I7, I8)."""

import pytest

from tests.support.line import until

CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{text: v{text}}}\n"
FLEET = {
    "fleet.yaml": "version: 1\n",
    "clusters/all.yaml": "clusters:\n- {name: c1, labels: {env: dev}}\n- {name: c2, labels: {env: prod}}\n",
    "apps/web/app.yaml": "namespace: web\n",
    "apps/web/kustomization.yaml": "resources: [web.yaml]\n",
    "apps/web/web.yaml": CONFIG.format(name="web", text="0"),
    "apps/good/good.yaml": CONFIG.format(name="good", text="0"),
}
TWICE = "clusters:\n- {name: c1, labels: {env: dev}}\n- {name: c2, labels: {env: prod}}\n- {name: c2}\n"
BROKEN = {
    "unknown key": ({"apps/web/app.yaml": "namespace: web\nlayer: [x]\n"}, "apps/web/app.yaml:2:1"),
    "duplicate cluster": ({"clusters/all.yaml": TWICE}, "clusters/all.yaml:4:"),
    "missing kustomization": (
        {"apps/web/app.yaml": "namespace: web\nkustomize: {}\n", "apps/web/kustomization.yaml": None},
        "apps/web/app.yaml:",
    ),
    "missing member": (
        {"apps/web/kustomization.yaml": "resources:\n- web.yaml\n- gone.yaml\n"},
        "apps/web/kustomization.yaml:3",
    ),
    "invalid YAML": ({"apps/web/web.yaml": "apiVersion: v1\nkind: [\n"}, "apps/web/web.yaml:"),
    "stage that leaves a cluster out": (
        {"apps/web/app.yaml": "namespace: web\nrollout:\n  stages:\n  - {name: dev, match: {env: dev}}\n"},
        "clusters/all.yaml:3:",
    ),
    "same object twice": (
        {
            "apps/web/kustomization.yaml": "resources: [web.yaml, again.yaml]\n",
            "apps/web/again.yaml": CONFIG.format(name="web", text="again"),
        },
        "apps/web/",
    ),
}


def text_of(line, cluster, name):
    found = line.cluster(cluster).store.get("v1", "ConfigMap", "web" if name == "web" else "default", name)
    return found and found["data"]["text"]


def mended(changes):
    return {path: FLEET.get(path) for path in changes}


async def told(line, commit):
    """Return what is said about a commit once it is rendered."""
    last = {}

    async def there():
        nonlocal last
        last = await line.progress("applied", commits=commit)
        return last["state"] in {"failed", "done"} and not last["waiting"] and last

    return await until(there, what=lambda: f"{commit[:10]}: {last}\n{line.hub.tail(5)}", deadline_s=30)


@pytest.mark.slow
async def test_bad_input_is_named_and_everything_else_goes_on(line, local_git):
    """A05, I7: whatever is wrong with an app, its objects stay as they are, and the other app's change arrives."""
    commit = local_git.commit("fleet", FLEET)
    running = await line(clusters=["c1", "c2"], sources={"fleet": str(local_git.path("fleet"))})
    await running.wait(commit, "applied")
    for number, (case, (changes, place)) in enumerate(BROKEN.items(), start=1):
        before = text_of(running, "c2", "web")
        good = CONFIG.format(name="good", text=number)
        found = await told(running, local_git.commit("fleet", {**changes, "apps/good/good.yaml": good}))

        messages = {each["message"] for each in found["failures"]}
        assert len(messages) == 1, (case, messages)
        assert messages.pop().startswith(place), (case, found)
        assert text_of(running, "c1", "good") == f"v{number}", case
        assert text_of(running, "c2", "web") == before, case

        fix = {**mended(changes), "apps/web/web.yaml": CONFIG.format(name="web", text=number)}
        await running.wait(local_git.commit("fleet", fix), "applied", deadline_s=30)
        assert text_of(running, "c2", "web") == f"v{number}", case
