"""Rollouts over the whole line: a stage that fails, a gate that waits for a person, a target that is left alone."""

from tests.support.line import until

WEB = """\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  replicas: 1
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec: {{containers: [{{name: web, image: "{image}"}}]}}
"""
CLUSTERS = """\
clusters:
  - {name: dev, labels: {env: dev}}
  - {name: eu, labels: {env: prod}}
  - {name: us, labels: {env: prod}}
"""
FLEET = """\
version: 1
rollouts:
  standard:
    stages:
      - {{name: dev, match: {{env: dev}}}}
      - {{name: prod, match: {{env: prod}}{gate}}}
defaults: {{rollout: standard}}
"""
NAMES = ("dev", "eu", "us")


def files(image="example.org/web:1", gate=""):
    return {
        "fleet.yaml": FLEET.format(gate=gate),
        "clusters/all.yaml": CLUSTERS,
        "apps/web/web.yaml": WEB.format(image=image),
        "apps/web/app.yaml": "namespace: web\n",
    }


def image_on(running, name):
    found = running.cluster(name).store.get("apps/v1", "Deployment", "web", "web")
    return found["spec"]["template"]["spec"]["containers"][0]["image"] if found else None


def images(running):
    return {name: image_on(running, name) for name in NAMES}


async def started(line, local_git, **how):
    commit = local_git.commit("fleet", files(**how))
    return await line(clusters=NAMES, sources={"fleet": str(local_git.path("fleet"))}), commit


async def test_what_fails_in_the_first_stage_never_reaches_the_next(line, local_git):
    running, first = await started(line, local_git)
    await running.wait(first)

    local_git.commit("fleet", files(image="example.org/web:fail"))

    async def paused():
        return [each for each in await running.items("rollouts") if each["app"] == "web" and each["state"] == "paused"]

    (rollout,) = await until(paused, what="the rollout pauses")
    assert images(running) == {"dev": "example.org/web:fail", "eu": "example.org/web:1", "us": "example.org/web:1"}
    assert "dev" in rollout["message"]

    await running.wait(local_git.commit("fleet", files(image="example.org/web:2")))

    assert images(running) == dict.fromkeys(NAMES, "example.org/web:2")


async def test_a_gate_waits_for_a_person(line, local_git):
    running, first = await started(line, local_git, gate=", approval: manual")
    await until(lambda: image_on(running, "dev"), what="the first stage")

    async def held():
        return (await running.get("/api/v1/holds"))["items"]

    (hold,) = await until(held, what="the gate is shown")
    assert [image_on(running, name) for name in ("eu", "us")] == [None, None]
    await running.command(
        "releaser", "approve", hold=hold["name"], cluster=hold["cluster"], app=hold["app"], approval=hold["digest"]
    )

    await running.wait(first)
    assert images(running) == dict.fromkeys(NAMES, "example.org/web:1")


async def test_a_suspended_target_stays_as_it_is_until_it_is_resumed(line, local_git):
    running, first = await started(line, local_git)
    await running.wait(first)
    await running.command("releaser", "suspend", app="web", cluster="eu", reason="incident 42")

    second = local_git.commit("fleet", files(image="example.org/web:2"))
    await until(lambda: image_on(running, "us") == "example.org/web:2", what="the others go on")
    target = await running.get("/api/v1/targets/eu/web")

    assert image_on(running, "eu") == "example.org/web:1"
    assert target["sync"] == "Suspended"

    await running.command("releaser", "resume", app="web", cluster="eu")

    await running.wait(second)
    assert image_on(running, "eu") == "example.org/web:2"
