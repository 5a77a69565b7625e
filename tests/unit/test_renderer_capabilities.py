"""What is said about a cluster's Kubernetes counts in git only, and only where a chart asks for it."""

from datetime import UTC, datetime

import pytest

from services.renderer.capabilities import asked
from services.renderer.listing import fleet_part
from services.renderer.targets import effective, plan_of
from shared.core.canonical import decode
from shared.fleet.read import read_fleet
from shared.messages.releases import Cluster, Membership
from tests.support.mapping_tree import MappingTree

CLUSTERS = (
    "kubeVersion: v1.33.0\n"
    "apiVersions: [monitoring.coreos.com/v1]\n"
    "clusters:\n"
    "- name: old\n"
    "  kubeVersion: v1.29.3\n"
    "- name: new\n"
    "  apiVersions: [gateway.networking.k8s.io/v1]\n"
    "- name: newer\n"
)
FLEET = {
    "fleet.yaml": "version: 1\n",
    "clusters/all.yaml": CLUSTERS,
    "apps/web/Chart.yaml": "apiVersion: v2\nname: web\nversion: 0.1.0\n",
    "apps/web/templates/a.yaml": "a: b\n",
}
VERSION = "{{ .Capabilities.KubeVersion.Minor }}"
HAS = '{{ $.Capabilities.APIVersions.Has "monitoring.coreos.com/v1" }}'
ALL = ["gateway.networking.k8s.io/v1", "monitoring.coreos.com/v1"]


def parameters(**changes):
    """Return by cluster: the version and the API versions for which the app is rendered."""
    tree = MappingTree(FLEET | changes)
    plan = plan_of(fleet := read_fleet(tree, "fleet"), tree, effective(fleet, ()), {})
    assert not plan.findings
    found = {each.cluster: decode(each.inputs.parameters.encode()) for each in plan.targets}
    return {name: (each["kubeVersion"], each["apiVersions"]) for name, each in found.items()}


def test_a_chart_that_asks_for_nothing_is_rendered_once():
    assert set(map(str, parameters().values())) == {str(("", []))}


@pytest.mark.parametrize(
    "changes",
    [
        {"apps/web/templates/a.yaml": VERSION},
        {"apps/web/charts/sub/templates/_x.tpl": VERSION},
        {"apps/web/Chart.yaml": FLEET["apps/web/Chart.yaml"] + "kubeVersion: '>=1.20'\n"},
        {"apps/web/values.yaml": f"x: '{VERSION}'\n"},
        {"apps/web/app.yaml": f"helm: {{values: {{x: '{VERSION}'}}}}\n"},
    ],
)
def test_a_chart_that_asks_for_the_version_gets_that_of_its_cluster(changes):
    found = parameters(**changes)

    assert found == {"old": ("v1.29.3", []), "new": ("v1.33.0", []), "newer": ("v1.33.0", [])}


def test_a_chart_that_asks_for_api_versions_gets_those_of_file_and_cluster():
    found = parameters(**{"apps/web/templates/a.yaml": HAS})

    assert found == {"old": ("", ALL[1:]), "new": ("", ALL), "newer": ("", ALL[1:])}


@pytest.mark.parametrize(
    "changes",
    [
        {"apps/web/templates/a.yaml": '{{ include "x" .Capabilities }}'},
        {"apps/web/charts/sub-0.1.0.tgz": "packed"},
    ],
)
def test_a_chart_that_may_ask_for_anything_gets_everything(changes):
    assert parameters(**changes)["new"] == ("v1.33.0", ALL)


def test_the_app_says_the_version_first_and_adds_api_versions():
    app = "helm: {kubeVersion: v1.31.0, apiVersions: [example.org/v1]}\n"

    found = parameters(**{"apps/web/app.yaml": app, "apps/web/templates/a.yaml": VERSION + HAS})

    assert found["old"] == ("v1.31.0", ["example.org/v1", "monitoring.coreos.com/v1"])


def test_a_file_is_read_once_whatever_tree_it_is_in():
    text = f"{VERSION} only here"
    first, second = (MappingTree({"a": text, "b": other}) for other in "xy")

    assert asked(first, ("a",)) == asked(second, ("a",))
    assert (first.reads, second.reads) == (1, 0)


def test_the_same_text_asks_as_a_chart_file_only():
    text = "apiVersion: v2\nname: twice\nversion: 0.1.0\nkubeVersion: '>=1.20'\n"
    tree = MappingTree({"a/Chart.bak": text, "b/Chart.yaml": text})

    assert [asked(tree, (folder,)).version for folder in "ab"] == [False, True]


def test_what_git_says_reaches_the_renders_of_other_sources():
    fleet = read_fleet(MappingTree(FLEET), "fleet")
    declared = {each.name: each for each in fleet_part(fleet).clusters}
    registered = Cluster(
        cluster="old",
        membership=Membership.JOINED,
        kube_version=declared["old"].kube_version,
        api_versions=declared["old"].api_versions,
        updated_at=datetime(2026, 1, 1, tzinfo=UTC),
    )

    (known,) = effective(read_fleet(MappingTree({"fleet.yaml": "version: 1\n"}), "apps"), [registered])

    assert (known.kube_version, known.api_versions) == ("v1.29.3", ("monitoring.coreos.com/v1",))


@pytest.mark.parametrize("version", ["latest", "1", "v1.2.3.4"])
def test_a_version_that_is_none_is_refused_by_line(version):
    tree = MappingTree(FLEET | {"clusters/all.yaml": f"clusters:\n- name: a\n  kubeVersion: {version!r}\n"})

    (finding,) = read_fleet(tree, "fleet").errors

    assert (finding.file, finding.line) == ("clusters/all.yaml", 3)
