"""`towline import fleet` as people run it, on a repository with most of what Rancher's Fleet knows."""

import pytest

from tests.support.command import written
from tests.support.imports import CONFIG, imported, read, states

WEB = """
defaultNamespace: web
helm:
  releaseName: web
  chart: ./chart
  valuesFiles: [values.yaml]
  values: {replicas: 1, region: "${ .ClusterLabels.region }"}
  takeOwnership: true
targetCustomizations:
- name: prod
  clusterSelector: {matchLabels: {env: prod}}
  helm: {values: {replicas: 3}}
- name: never-reached
  clusterSelector: {matchLabels: {env: prod}}
  helm: {values: {replicas: 9}}
- name: none
  clusterSelector: {matchExpressions: [{key: env, operator: In, values: [test]}]}
  doNotDeploy: true
dependsOn: [{name: gitops-base}]
rolloutStrategy: {maxUnavailable: 1}
"""
KUSTOM = """
namespace: shop
kustomize: {dir: overlays/dev}
targetCustomizations:
- {name: prod, clusterSelector: {matchLabels: {env: prod}}, kustomize: {dir: overlays/prod}}
paused: true
correctDrift: {enabled: true}
keepResources: true
"""
RAW = """
namespace: base
targetCustomizations:
- {name: prod, clusterGroup: production, namespace: base-prod}
diff:
  comparePatches:
  - {apiVersion: apps/v1, kind: Deployment, name: web, jsonPointers: [/spec/replicas]}
"""
OVERLAID = """
targetCustomizations:
- {name: prod, clusterSelector: {matchLabels: {env: prod}}, yaml: {overlays: [prod]}}
"""
GROUP = """
apiVersion: fleet.cattle.io/v1alpha1
kind: ClusterGroup
metadata: {name: production, namespace: fleet-default}
spec: {selector: {matchLabels: {env: prod}}}
"""
TEMPLATE = CONFIG.replace("hello", "'{{ .Values.replicas }} {{ .Values.region }} {{ .Values.file }}'") % "web"
FILES = {
    "groups/production.yaml": GROUP,
    "web/fleet.yaml": WEB,
    "web/values.yaml": "file: values\n",
    "web/chart/Chart.yaml": "apiVersion: v2\nname: web\nversion: 0.1.0\n",
    "web/chart/templates/a.yaml": TEMPLATE,
    "kustom/fleet.yaml": KUSTOM,
    "kustom/overlays/dev/kustomization.yaml": "resources: [../../base]\nnamePrefix: dev-\n",
    "kustom/overlays/prod/kustomization.yaml": "resources: [../../base]\nnamePrefix: prod-\n",
    "kustom/base/kustomization.yaml": "resources: [a.yaml]\n",
    "kustom/base/a.yaml": CONFIG % "a",
    "base/fleet.yaml": RAW,
    "base/a.yaml": CONFIG % "a",
    "cache/fleet.yaml": "helm: {repo: 'https://charts.example.org', chart: redis, version: 1.2.3, values: {a: 1}}\n",
    "overlaid/fleet.yaml": OVERLAID,
    "overlaid/a.yaml": CONFIG % "a",
    "overlaid/overlays/prod/a.yaml": (CONFIG % "a").replace("hello", "prod"),
}
CLUSTERS = tuple(
    word
    for each in (
        "dev-1,env=dev,region=eu",
        "prod-1,env=prod,region=eu",
        "prod-2,env=prod,region=us",
        "test-1,env=test,region=eu",
    )
    for word in ("--cluster", each)
)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fleet")
    return imported("fleet", written(folder / "repo", FILES), folder / "fleet", *CLUSTERS), folder / "fleet"


def test_what_can_be_rendered_here_is_proven_equal_on_every_cluster(small):
    report, _ = small
    found = list(states(report).values())

    assert (found.count("equal"), found.count("to prove")) == (3 + 3 * 4, 4)
    assert len(found) == 3 + 4 * 4
    assert report["errors"] == []


def test_customizations_become_layers_by_label(small):
    _, fleet = small
    web = read(fleet / "apps/web/app.yaml")

    assert web["layers"] == ["../../manifests/web/values.yaml", "values/{cluster}.yaml"]
    assert web["targets"] == [{"cluster": ["dev-1", "prod-1", "prod-2"]}]
    assert web["sync"] == {"drift": "report", "adopt": "all", "dependsOn": ["base-dev-1", "base-prod-1", "base-prod-2"]}
    assert read(fleet / "apps/kustom/app.yaml")["layers"] == ["overlays/{env}"]


def test_what_is_left_out_is_named_by_file_and_line_with_the_next_step(small):
    report, _ = small
    told = {(each["file"], each["line"]): each["message"] for each in report["leftOut"]}

    assert told == {("web/fleet.yaml", 20): "the bundle web says rolloutStrategy"}
    assert all(each["hint"] for each in report["leftOut"])


def test_without_known_clusters_one_stands_for_each_set_of_labels(tmp_path):
    report = imported(
        "fleet",
        written(tmp_path / "repo", {name: text for name, text in FILES.items() if name.startswith("kustom")}),
        tmp_path / "fleet",
    )

    assert states(report) == {("kustom", "other"): "equal", ("kustom", "prod"): "equal"}


REPOSITORY = """
apiVersion: fleet.cattle.io/v1alpha1
kind: GitRepo
metadata: {name: gitops, namespace: fleet-default}
spec: {repo: "https://git.example.org/gitops.git", paths: [%s]}
"""


def test_a_path_with_bundles_below_it_is_none_itself_nor_is_the_root(tmp_path):
    files = {"web/fleet.yaml": "namespace: web\n", "web/a.yaml": CONFIG % "a", "b/b.yaml": CONFIG % "b"}
    repository = written(tmp_path / "repo", {"fleet-system/repo.yaml": REPOSITORY % "., web, b", **files})
    report = imported("fleet", repository, tmp_path / "fleet")

    assert [each["app"] for each in report["apps"]] == ["b", "web"]


def test_a_path_that_two_repositories_name_is_one_bundle(tmp_path):
    files = {"dev.yaml": REPOSITORY % "b", "prod.yaml": (REPOSITORY % "b").replace("gitops,", "other,")}
    repository = written(tmp_path / "repo", {**files, "b/b.yaml": CONFIG % "b"})
    report = imported("fleet", repository, tmp_path / "fleet")

    assert [each["app"] for each in report["apps"]] == ["b"]


def test_bundles_whose_paths_give_the_same_name_stay_apart(tmp_path):
    files = {
        f"{path}/{name}": text
        for path in ("a/b", "c/b", "x/a-b")
        for name, text in (("fleet.yaml", "{}\n"), ("a.yaml", CONFIG % path.replace("/", "-")))
    }
    report = imported("fleet", written(tmp_path / "repo", files), tmp_path / "fleet")

    assert sorted(states(report).values()) == ["equal"] * 3
    assert len({each["app"] for each in report["apps"]}) == 3
