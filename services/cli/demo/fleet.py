"""The fleet of the demo as files: three environments, and one app for each way to write manifests."""

from __future__ import annotations

from dataclasses import dataclass

Files = dict[str, str]

FLEET = """\
version: 1
rollouts:
  standard:
    stages:
      - {name: dev, match: {env: dev}}
      - {name: staging, match: {env: staging}}
      - {name: prod, match: {env: prod}, batch: 50%, maxFailures: 1}
defaults: {rollout: standard}
"""

WEB = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
        - {name: web, image: "example.org/web:1.0.0", ports: [{containerPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080}]
"""

API = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: {{ .Release.Name }}}
spec:
  replicas: {{ .Values.replicas }}
  selector: {matchLabels: {app: {{ .Release.Name }}}}
  template:
    metadata: {labels: {app: {{ .Release.Name }}}}
    spec:
      containers:
        - {name: api, image: "example.org/api:{{ .Values.version }}"}
"""

SETTINGS = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data:
  cluster: "{{ cluster.name }}"
  region: "{{ cluster.labels.region }}"
"""

APPS: Files = {
    "apps/web/app.yaml": 'namespace: web\nlayers: ["overlays/{env}"]\n',
    "apps/web/base/kustomization.yaml": "resources: [web.yaml]\nimages: [{name: example.org/web, newTag: 1.0.0}]\n",
    "apps/web/base/web.yaml": WEB,
    "apps/api/app.yaml": 'namespace: api\nhelm: {chart: ./chart}\nlayers: [values.yaml, "values/{env}.yaml"]\n',
    "apps/api/chart/Chart.yaml": "apiVersion: v2\nname: api\nversion: 1.0.0\n",
    "apps/api/chart/templates/api.yaml": API,
    "apps/api/values.yaml": "replicas: 1\nversion: 2.4.0\n",
    "apps/api/values/prod.yaml": "replicas: 3\n",
    "apps/settings/app.yaml": "namespace: settings\nplain: {template: jinja}\n",
    "apps/settings/settings.yaml": SETTINGS,
}
_REPLICAS = {"dev": 1, "staging": 2, "prod": 3}
_REGIONS = ("eu", "us")


@dataclass(frozen=True, slots=True)
class Member:
    """A cluster of the demo."""

    name: str
    env: str
    region: str


def members_of(count: int) -> list[Member]:
    """Return `count` clusters: a third in dev, a fifth in staging, the others in prod."""
    dev, staging = max(1, count // 3), max(1, count // 5)
    sizes = {"dev": min(dev, count), "staging": min(staging, max(0, count - dev))}
    sizes["prod"] = max(0, count - sum(sizes.values()))
    return [
        Member(f"{env}-{number:02d}", env, _REGIONS[number % len(_REGIONS)])
        for env, size in sizes.items()
        for number in range(1, size + 1)
    ]


def clusters_commit(members: list[Member]) -> Files:
    """Return the files that declare the clusters, and how a revision moves over them."""
    files: Files = {"fleet.yaml": FLEET}
    for env in _REPLICAS:
        lines = [f"  - {{name: {each.name}, labels: {{region: {each.region}}}}}" for each in members if each.env == env]
        if lines:
            files[f"clusters/{env}.yaml"] = "\n".join([f"labels: {{env: {env}}}", "clusters:", *lines, ""])
    return files


def apps_commit() -> Files:
    """Return the files of all apps."""
    overlays = {
        f"apps/web/overlays/{env}/kustomization.yaml": (
            f"resources: [../../base]\nreplicas: [{{name: web, count: {replicas}}}]\n"
        )
        for env, replicas in _REPLICAS.items()
    }
    return {**APPS, **overlays}


def web_release(version: str) -> Files:
    """Return the change that releases a version of `web`."""
    content = f"resources: [web.yaml]\nimages: [{{name: example.org/web, newTag: {version}}}]\n"
    return {"apps/web/base/kustomization.yaml": content}


def broken_web() -> Files:
    """Return a change after which `web` cannot be rendered: it names a file that nobody committed."""
    return {"apps/web/base/kustomization.yaml": "resources: [web.yaml, cache.yaml]\n"}
