"""Apps that depend on each other, over the whole line."""

from tests.support.line import until

MONITORING = """\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: monitoring}}
spec:
  replicas: 1
  selector: {{matchLabels: {{app: monitoring}}}}
  template:
    metadata: {{labels: {{app: monitoring}}}}
    spec: {{containers: [{{name: monitoring, image: "{image}"}}]}}
"""
API = 'apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: api}}\ndata: {{version: "{version}"}}\n'


def files(image, version):
    return {
        "fleet.yaml": "version: 1\n",
        "clusters/all.yaml": 'clusters: [{name: eu, labels: {watch: "yes"}}, {name: us}]\n',
        "apps/monitoring/app.yaml": 'targets: {watch: "yes"}\n',
        "apps/monitoring/monitoring.yaml": MONITORING.format(image=image),
        "apps/api/app.yaml": "sync: {dependsOn: [monitoring]}\n",
        "apps/api/api.yaml": API.format(version=version),
    }


def version_on(running, name):
    found = running.cluster(name).store.get("v1", "ConfigMap", "default", "api")
    return found and found["data"]["version"]


async def test_an_app_waits_for_what_it_depends_on_where_that_is_c10(line, local_git):
    """C10: where it is not, it goes on; where it fails, it stays as it is and says why."""
    first = local_git.commit("fleet", files("a:1", 1))
    running = await line(clusters=("eu", "us"), sources={"fleet": str(local_git.path("fleet"))})
    await running.wait(first)

    local_git.commit("fleet", files("a:fail", 2))

    async def told():
        target = await running.get("/api/v1/targets/eu/api")
        return target["message"] == "waiting for monitoring: Failed"

    await until(told, what="the app says what it waits for")
    await until(lambda: version_on(running, "us") == "2", what="the other cluster goes on")
    progress = await running.get("/api/v1/progress?stage=applied&clusters=eu&apps=api")

    assert version_on(running, "eu") == "1"
    assert (progress["waiting"], progress["message"]) == (["eu/api"], "eu/api: waiting for monitoring: Failed")

    await running.wait(local_git.commit("fleet", files("a:2", 2)))

    assert version_on(running, "eu") == "2"
