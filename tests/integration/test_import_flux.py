"""`towline import flux` as people run it: a small repository with most of what Flux knows, and real ones."""

import pytest

from tests.support.command import run, written
from tests.support.imports import CONFIG, imported, read, states

SYNC = """
apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: {{name: flux-system, namespace: flux-system}}
spec: {{interval: 1m, url: "https://git.example.org/fleet.git", ref: {{branch: main}}}}
---
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {{name: flux-system, namespace: flux-system}}
spec: {{interval: 10m, path: ./clusters/{cluster}, prune: true, sourceRef: {{kind: GitRepository, name: flux-system}}}}
"""
PARTS = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: source-controller, namespace: flux-system, labels: {app.kubernetes.io/part-of: flux}}
"""
INFRA = """
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: infra, namespace: flux-system}
spec:
  interval: 1h
  path: ./infra
  prune: false
  wait: true
  force: true
  timeout: 2m
  sourceRef: {kind: GitRepository, name: flux-system}
"""
WEB = """
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {{name: web, namespace: flux-system}}
spec:
  dependsOn: [{{name: infra}}]
  interval: 5m
  retryInterval: 1m
  path: ./web
  prune: true
  suspend: true
  serviceAccountName: deployer
  targetNamespace: shop
  commonMetadata: {{labels: {{team: web}}, annotations: {{owner: web}}}}
  images: [{{name: nginx, newTag: "1.{tag}"}}]
  patches:
    - patch: |
        - {{op: add, path: /metadata/labels/patched, value: "yes"}}
      target: {{kind: Deployment}}
    - patch: |
        - {{op: add, path: /spec/timeout, value: 9m}}
      target: {{group: helm.toolkit.fluxcd.io, kind: HelmRelease}}
  postBuild:
    substitute: {{replicas: "{tag}"}}
    substituteFrom: [{{kind: Secret, name: cluster-vars}}]
  sourceRef: {{kind: GitRepository, name: flux-system}}
"""
DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: ${replicas}
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "nginx:1.0"}]}
"""
CHARTS = """
apiVersion: source.toolkit.fluxcd.io/v1
kind: HelmRepository
metadata: {name: charts}
spec: {interval: 1h, url: "https://charts.example.org/"}
---
apiVersion: source.toolkit.fluxcd.io/v1
kind: OCIRepository
metadata: {name: packed}
spec: {interval: 1h, url: "oci://registry.example.org/charts/packed", ref: {tag: 3.2.1}}
---
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {name: packed}
spec: {interval: 1h, chartRef: {kind: OCIRepository, name: packed}}
---
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {name: cache}
spec:
  interval: 1h
  chart: {spec: {chart: redis, version: "1.2.x", sourceRef: {kind: HelmRepository, name: charts}}}
  dependsOn: [{name: own}]
  valuesFrom: [{kind: Secret, name: passwords}]
  values: {replicas: 2}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: defaults}
data: {values.yaml: "text: from the map\\nother: 1\\n"}
---
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {name: own}
spec:
  interval: 1h
  chart: {spec: {chart: ./charts/own, sourceRef: {kind: GitRepository, name: flux-system, namespace: flux-system}}}
  valuesFrom: [{kind: ConfigMap, name: defaults}]
  values: {text: hello}
---
apiVersion: notification.toolkit.fluxcd.io/v1
kind: Receiver
metadata: {name: hook}
"""


def repository():
    files = {
        "infra/a.yaml": CONFIG % "a" + "---\n" + CONFIG % "b",
        "infra/below/kustomization.yaml": "namePrefix: below-\nresources: [c.yaml]\n",
        "infra/below/c.yaml": CONFIG % "c",
        "web/kustomization.yaml": "resources: [web.yaml, charts.yaml]\n",
        "web/web.yaml": DEPLOYMENT,
        "web/charts.yaml": CHARTS,
        "charts/own/Chart.yaml": "apiVersion: v2\nname: own\nversion: 0.1.0\n",
        "charts/own/templates/a.yaml": CONFIG.replace("hello", "{{ .Values.text }} {{ .Values.other }}") % "own",
    }
    for cluster, tag in (("dev", 1), ("prod", 2)):
        folder = f"clusters/{cluster}"
        files |= {
            f"{folder}/flux-system/sync.yaml": SYNC.format(cluster=cluster),
            f"{folder}/flux-system/parts.yaml": PARTS,
            f"{folder}/infra.yaml": INFRA,
            f"{folder}/web.yaml": WEB.format(tag=tag),
        }
    return files


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("flux")
    return imported("flux", written(folder / "repo", repository()), folder / "fleet"), folder / "fleet"


def test_what_can_be_rendered_here_is_proven_equal_on_every_cluster(small):
    report, _ = small
    apps = ("web-{}", "own", "infra")

    equal = {(app.format(each), each): "equal" for app in apps for each in ("dev", "prod")}
    assert states(report) == equal | {
        (app, each): "to prove" for app in ("cache", "packed") for each in ("dev", "prod")
    }
    assert report["errors"] == []


def test_options_of_flux_become_ours(small):
    _, fleet = small
    infra, web = read(fleet / "apps/infra/app.yaml"), read(fleet / "apps/web-prod/app.yaml")

    assert infra["sync"] == {
        "timeout": "2m",
        "prune": False,
        "deletionPolicy": "orphan",
        "onImmutable": "recreate",
    }
    assert web["namespace"] == "shop"
    assert web["sync"] == {
        "interval": "5m",
        "wait": False,
        "retry": {"first": "1m", "max": "1m"},
        "runAs": "flux-system/deployer",
        "suspend": {"reason": "it was suspended in Flux"},
        "dependsOn": ["infra"],
    }
    assert web["substitute"] == {"vars": {"replicas": "2"}}


def test_charts_of_repositories_keep_their_names_and_versions(small):
    _, fleet = small
    cache, packed = (read(fleet / f"apps/{each}/app.yaml") for each in ("cache", "packed"))

    assert cache["helm"] == {
        "repo": "https://charts.example.org",
        "chart": "redis",
        "version": "1.2.x",
        "release": "cache",
    }
    assert cache["sync"] == {"timeout": "9m", "dependsOn": ["own"]}
    assert packed["helm"] == {
        "repo": "oci://registry.example.org/charts",
        "chart": "packed",
        "version": "3.2.1",
        "release": "packed",
    }


def test_values_of_a_chart_are_those_that_flux_merges(small):
    _, fleet = small

    assert read(fleet / "apps/own/values.yaml") == {"text": "hello", "other": 1}


def test_what_is_left_out_is_named_by_file_and_line_with_the_next_step(small):
    report, _ = small
    told = {(each["file"], each["line"]): each["message"] for each in report["leftOut"]}

    assert told == {
        (
            "clusters/dev/web.yaml",
            25,
        ): "Kustomization 'web' takes variables of the Secret 'cluster-vars', which is not in git",
        ("web/charts.yaml", 24): "HelmRelease 'cache' has values from the Secret 'passwords', which are not taken over",
        ("web/charts.yaml", 41): "Receiver 'hook' has no counterpart here",
        (
            "clusters/dev/flux-system/parts.yaml",
            2,
        ): "Deployment 'source-controller' is a part of Flux, and so are 0 other objects",
    }
    assert all(each["hint"] for each in report["leftOut"])


def test_what_is_shaped_otherwise_is_left_out_alone(tmp_path):
    odd = INFRA.replace("name: infra,", "name: odd,").replace(
        "sourceRef: {kind: GitRepository, name: flux-system}", "dependsOn: infra"
    )
    files = {"infra/a.yaml": CONFIG % "a", "c/infra.yaml": INFRA, "c/odd.yaml": odd}

    report = imported("flux", written(tmp_path / "repo", files), tmp_path / "fleet")

    assert states(report) == {("infra", "c"): "equal"}
    assert [(each["file"], each["message"]) for each in report["leftOut"]] == [
        ("c/odd.yaml", "Kustomization 'odd' has another spec.dependsOn than its tool takes")
    ]


def test_nothing_is_overwritten_and_nothing_found_is_an_error(tmp_path):
    source = written(tmp_path / "repo", {"a.yaml": CONFIG % "a"})

    nothing = run("import", "flux", source, "--out", tmp_path / "fleet", code=2)
    assert "[import.nothing]" in nothing.stderr

    taken = run("import", "flux", source, "--out", source, "--entry", "c=.", code=2)
    assert "[import.not-empty]" in taken.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("series", "options", "equal"),
    [
        ("flux2-kustomize-helm-example", (), 6),
        ("flux2-multi-tenancy", (), 4),
        ("podinfo-deploy", [f"--entry={each}=overlays/{each}" for each in ("dev", "staging", "production")], 3),
        ("bjw-s-home-ops", ("--below", "kubernetes"), 72),
    ],
)
def test_the_last_commits_of_real_repositories_are_taken_over(series, options, equal, replay, tmp_path):
    report = imported("flux", replay(series), tmp_path / "fleet", *options)
    found = [each["state"] for each in report["apps"]]

    assert found.count("equal") == equal
    assert set(found) <= {"equal", "to prove"}
    assert report["errors"] == []
