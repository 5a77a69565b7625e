"""An app of another repository: allowed by the hub, fenced by its project, signed by a signer, or it stays as it is."""

import pytest

from tests.support.line import until

CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: web}}\ndata: {{text: {text}}}\n"
FLEET = """version: 1
sources:
  library: {{url: {url}, ref: 1.x, verify: {{mode: head, signers: [ops]}}}}
projects:
  shop: {{sources: [library], clusters: {{env: prod}}}}
"""


def texts(line):
    found = {name: line.cluster(name).store.get("v1", "ConfigMap", "default", "web") for name in ("prod", "dev")}
    return {name: each["data"]["text"] for name, each in found.items() if each}


@pytest.mark.slow
async def test_a_signed_library_reaches_the_clusters_of_its_project_and_an_unsigned_one_changes_nothing(
    line, local_git, ssh_signer, tmp_path
):
    """A33: nothing is deleted; and the fleet's other apps go on."""
    ops = ssh_signer("ops")
    keys = tmp_path / "hub" / "signers" / "ops.allowed_signers"
    keys.parent.mkdir(parents=True)
    keys.write_text(f"ops@example.org {ops.public}\n")
    first = local_git.commit("library", {"a.yaml": CONFIG.format(text="first")}, sign=ops)
    local_git.tag("library", "v1.0.0", first)
    fleet = {
        "fleet.yaml": FLEET.format(url=local_git.path("library")),
        "apps/web/app.yaml": "project: shop\nsource: library\n",
        "apps/own/a.yaml": CONFIG.format(text="one").replace("web", "own"),
    }
    local_git.commit("fleet", fleet)
    running = await line(
        clusters=["prod", "dev"],
        sources={"fleet": str(local_git.path("fleet"))},
        labels={"prod": {"env": "prod"}, "dev": {"env": "dev"}},
        environment={"TOWLINE_POLLER_ALLOW": str(local_git.root)},
    )

    async def shown(code):
        await running.command("poller", "sync", source="fleet")
        found = (await running.get("/api/v1/sources", all="true"))["items"]
        return [each for each in found if each["code"] == code and each["asked_ref"] == "1.x"]

    await until(lambda: texts(running) == {"prod": "first"}, what=lambda: texts(running))
    unsigned = local_git.commit("library", {"a.yaml": CONFIG.format(text="unsigned")})
    local_git.tag("library", "v1.1.0", unsigned, annotated=True)
    (told,) = await until(lambda: shown("source.unverified"), what="an unverified library")
    await running.wait(local_git.commit("fleet", {"apps/own/a.yaml": CONFIG.format(text="two").replace("web", "own")}))
    kept = texts(running)
    local_git.tag("library", "v1.1.1", unsigned, annotated=True, sign=ops)
    await until(lambda: texts(running) == {"prod": "unsigned"}, what=lambda: texts(running))

    assert (told["commit"], kept) == (first, {"prod": "first"})
    assert unsigned[:12] in told["message"]
    assert not [each for name in ("prod", "dev") for each in running.cluster(name).requests if each.method == "DELETE"]
