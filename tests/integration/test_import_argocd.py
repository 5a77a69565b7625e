"""`towline import argocd` as people run it, on a repository with most of what Argo CD knows."""

import pytest

from tests.support.command import written
from tests.support.imports import CONFIG, imported, read, states

URL = "https://git.example.org/gitops.git"
CLUSTERS = ("--cluster", "dev-1,env=dev", "--cluster", "prod-1,env=prod", "--cluster", "prod-2,env=prod")
APPLICATION = """
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata:
  name: {name}
  namespace: argocd
  annotations: {{argocd.argoproj.io/sync-wave: "{wave}"}}
  finalizers: [resources-finalizer.argocd.argoproj.io]
spec:
  project: {project}
  destination: {{name: in-cluster, namespace: {name}}}
  source: {source}
  syncPolicy:
    automated: {{prune: true, selfHeal: true}}
    syncOptions: [CreateNamespace=true]
"""
MANUAL = """
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: manual, namespace: argocd}
spec:
  destination: {server: "https://kubernetes.default.svc", namespace: manual}
  source:
    repoURL: https://git.example.org/gitops.git
    path: plain
    directory: {recurse: true, exclude: "below/*"}
  syncPolicy:
    syncOptions: [Replace=true, Validate=false]
    retry: {limit: 5, backoff: {duration: 5s, factor: 2, maxDuration: 3m}}
  ignoreDifferences:
  - {group: apps, kind: Deployment, jsonPointers: [/spec/replicas]}
  - {kind: ConfigMap, jqPathExpressions: [.data]}
"""
SET = """
apiVersion: argoproj.io/v1alpha1
kind: ApplicationSet
metadata: {name: web, namespace: argocd}
spec:
  goTemplate: true
  generators:
  - clusters: {selector: {matchLabels: {env: prod}}}
  template:
    metadata:
      name: 'web-{{.name}}'
      finalizers: [resources-finalizer.argocd.argoproj.io]
    spec:
      project: default
      destination: {name: '{{.name}}', namespace: web}
      source:
        repoURL: https://git.example.org/gitops.git
        path: charts/web
        helm:
          valueFiles: ['values/{{.name}}.yaml', 'values/{{index .metadata.labels "env"}}.yaml']
          parameters: [{name: image.tag, value: "1.0"}, {name: replicas, value: "3"}]
      syncPolicy: {automated: {prune: true, selfHeal: true}, syncOptions: [CreateNamespace=true]}
"""
LIST = """
apiVersion: argoproj.io/v1alpha1
kind: ApplicationSet
metadata: {name: shop, namespace: argocd}
spec:
  generators:
  - matrix:
      generators:
      - git: {repoURL: "https://git.example.org/gitops.git", directories: [{path: apps/*}, {path: apps/old, exclude: true}]}
      - list:
          elements:
          - {cluster: dev-1, env: dev}
          - {cluster: prod-1, env: prod}
  template:
    metadata: {name: '{{path.basename}}-{{cluster}}', finalizers: [resources-finalizer.argocd.argoproj.io]}
    spec:
      project: shop
      destination: {name: '{{cluster}}', namespace: shop}
      source: {repoURL: "https://git.example.org/gitops.git", path: '{{path}}/{{env}}', kustomize: {namePrefix: 'x-'}}
      syncPolicy: {automated: {prune: true, selfHeal: true}, syncOptions: [CreateNamespace=true]}
"""
PULLS = """
apiVersion: argoproj.io/v1alpha1
kind: ApplicationSet
metadata: {name: previews, namespace: argocd}
spec:
  generators:
  - pullRequest: {github: {owner: a, repo: b}}
  template: {metadata: {name: x}, spec: {}}
"""
PROJECT = """
apiVersion: argoproj.io/v1alpha1
kind: AppProject
metadata: {name: shop, namespace: argocd}
spec:
  sourceRepos: ["*"]
  destinations: [{name: dev-1, namespace: shop}, {name: prod-1, namespace: "shop-*"}]
  clusterResourceWhitelist: [{group: "", kind: Namespace}]
  syncWindows: [{kind: allow, schedule: "0 9 * * *", duration: 1h}]
"""
FILES = {
    "argo/a.yaml": APPLICATION.format(
        name="first", wave=-1, project="default", source=f"{{repoURL: '{URL}', path: kustom}}"
    ),
    "argo/b.yaml": APPLICATION.format(
        name="second",
        wave=2,
        project="default",
        source="{repoURL: 'https://charts.example.org', chart: redis, targetRevision: 1.2.3, helm: {valuesObject: {a: 1}}}",
    ),
    "argo/manual.yaml": MANUAL,
    "argo/web.yaml": SET,
    "argo/shop.yaml": LIST,
    "argo/previews.yaml": PULLS,
    "argo/project.yaml": PROJECT,
    "kustom/kustomization.yaml": "namePrefix: k-\nresources: [a.yaml]\n",
    "kustom/a.yaml": CONFIG % "a",
    "plain/a.yaml": CONFIG % "plain",
    "plain/json/b.json": '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "json"}}',
    "plain/below/c.yaml": CONFIG % "left-out",
    "charts/web/Chart.yaml": "apiVersion: v2\nname: web\nversion: 0.1.0\n",
    "charts/web/values/prod.yaml": "env: prod\n",
    "charts/web/values/prod-1.yaml": "one: 1\n",
    "charts/web/values/prod-2.yaml": "one: 2\n",
    "charts/web/templates/a.yaml": CONFIG.replace(
        "hello", "'{{ .Values.image.tag }} {{ .Values.replicas }} {{ .Values.one }} {{ .Values.env }}'"
    )
    % "{{ .Release.Name }}",
} | {
    f"apps/{app}/{env}/{file}": text
    for app in ("cart", "old", "search")
    for env in ("dev", "prod")
    for file, text in {"kustomization.yaml": "resources: [a.yaml]\n", "a.yaml": CONFIG % f"{app}-{env}"}.items()
}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("argocd")
    return imported("argocd", written(folder / "repo", FILES), folder / "fleet", *CLUSTERS), folder / "fleet"


def test_what_can_be_rendered_here_is_proven_equal_on_every_cluster(small):
    report, _ = small

    equal = [("first", "in-cluster"), ("manual", "in-cluster"), ("web-prod-1", "prod-1"), ("web-prod-2", "prod-2")]
    equal += [(app, cluster) for app in ("cart", "search") for cluster in ("dev-1", "prod-1")]
    assert states(report) == {**dict.fromkeys(equal, "equal"), ("second", "in-cluster"): "to prove"}
    assert report["errors"] == []


def test_what_a_set_makes_is_one_app_with_targets_and_layers(small):
    _, fleet = small

    assert read(fleet / "apps/cart/app.yaml")["targets"] == [{"cluster": ["dev-1", "prod-1"]}]


def test_options_of_argo_become_ours(small):
    _, fleet = small

    assert "sync" not in read(fleet / "apps/first/app.yaml")
    assert read(fleet / "apps/second/app.yaml")["sync"] == {"dependsOn": ["manual"]}
    assert read(fleet / "apps/manual/app.yaml")["sync"] == {
        "suspend": {"reason": "Argo CD did not sync it by itself"},
        "prune": False,
        "drift": "report",
        "createNamespace": False,
        "deletionPolicy": "orphan",
        "onImmutable": "recreate",
        "retry": {"first": "5s", "max": "3m"},
        "ignore": [{"target": {"group": "apps", "kind": "Deployment"}, "paths": ["/spec/replicas"]}],
        "dependsOn": ["first"],
    }
    assert read(fleet / "fleet.yaml")["projects"] == {
        "shop": {
            "namespaces": ["shop", "shop-*"],
            "clusterScoped": True,
            "clusters": {"cluster": ["dev-1", "prod-1"]},
        }
    }


def test_what_is_left_out_is_named_by_file_and_line_with_the_next_step(small):
    report, _ = small
    told = {(each["file"], each["line"]): each["message"] for each in report["leftOut"]}

    assert told == {
        (
            "argo/previews.yaml",
            7,
        ): "ApplicationSet 'previews' uses the generator 'pullRequest', which asks others than git",
        ("argo/project.yaml", 9): "AppProject 'shop' has syncWindows",
        ("argo/manual.yaml", 12): "Application 'manual' has the sync option Validate=false",
        ("argo/manual.yaml", 16): "Application 'manual' ignores differences that a jq expression finds",
    }
    assert all(each["hint"] for each in report["leftOut"])


def test_rollouts_and_workflows_are_taken_over_for_they_are_no_applications(tmp_path):
    """They are of Argo's group, but another controller runs them."""
    rollout = "apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {name: web}\nspec: {replicas: 2}\n"
    source = "{repoURL: https://git.example.org/gitops.git, path: plain}"
    application = APPLICATION.format(name="web", wave="0", project="default", source=source)
    files = {"web.yaml": application, "plain/a.yaml": CONFIG % "a", "plain/rollout.yaml": rollout}
    report = imported("argocd", written(tmp_path / "repo", files), tmp_path / "fleet")

    assert [(each["state"], each["objects"]) for each in report["apps"]] == [("equal", 2)]
    assert (tmp_path / "fleet/manifests/plain/rollout.yaml").read_text() == rollout
