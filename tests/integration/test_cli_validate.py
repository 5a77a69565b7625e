"""`towline validate` finds before a push what clusters would refuse after it, all at once, where it is written."""

import json

import pytest

from tests.integration.test_cli_offline import CONFIG, WITHOUT_EXTRAS
from tests.support.command import run, written

DEFINITION = """\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.acme.io}
spec:
  group: acme.io
  names: {kind: Widget, plural: widgets}
  scope: Namespaced
  versions:
  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, properties: {spec: {
      type: object, properties: {size: {type: integer}}}}}}}
"""
WIDGET = "apiVersion: acme.io/v1\nkind: Widget\nmetadata: {name: one}\nspec:\n  size: big\n"
SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec:\n  ports:\n  - prot: TCP\n    port: 80\n"
OLD = "apiVersion: batch/v1beta1\nkind: CronJob\nmetadata: {name: old}\nspec: {schedule: '@daily', jobTemplate: {}}\n"
CLUSTERS = (
    "clusters:\n- {name: new-1}\n- {name: new-2, kubeVersion: 1.36.2}\n- {name: old-1, kubeVersion: v1.24.17-gke.1}\n"
)
FLEET = {"fleet.yaml": "version: 1\n", "clusters/all.yaml": CLUSTERS, "apps/good/a.yaml": CONFIG}


@pytest.fixture
def found(tmp_path):
    """A function: what is found in a fleet with these files more; place, severity, code and clusters of each."""

    def validated(files, code=1):
        listing = json.loads(run("validate", written(tmp_path, FLEET | files), "-o", "json", code=code).stdout)
        findings = [*listing["errors"], *listing["warnings"], *listing["notes"]]
        return [
            (f"{each['file']}:{each['line']}", each["severity"], each["code"], each["clusters"]) for each in findings
        ]

    return validated


EVERYWHERE = ["new-1", "new-2", "old-1"]


def test_what_a_schema_refuses_has_the_place_where_it_is_written(found):
    assert found(
        {
            "apps/plain/a.yaml": SERVICE,
            "apps/kust/kustomization.yaml": "resources: [base]\nnamePrefix: my-\n",
            "apps/kust/base/kustomization.yaml": "resources: [a.yaml]\n",
            "apps/kust/base/a.yaml": CONFIG.replace("greeting", "other") + "---\n" + SERVICE,
        }
    ) == [
        ("apps/kust/base/a.yaml:11", "error", "schema.unknown-field", EVERYWHERE),
        ("apps/plain/a.yaml:6", "error", "schema.unknown-field", EVERYWHERE),
    ]


def test_each_cluster_is_judged_by_its_own_version_of_kubernetes(found):
    assert found({"apps/jobs/a.yaml": OLD}) == [
        ("apps/jobs/a.yaml:1", "error", "schema.removed-version", ["new-1", "new-2"])
    ]


def test_the_definition_of_another_app_counts_and_a_kind_without_any_is_a_note(found):
    gadget = WIDGET.replace("Widget", "Gadget")

    assert found({"apps/crds/a.yaml": DEFINITION, "apps/user/a.yaml": f"{WIDGET}---\n{gadget}"}) == [
        ("apps/user/a.yaml:5", "error", "schema.bad-value", EVERYWHERE),
        (":0", "note", "schema.unknown-kind", EVERYWHERE),
    ]


def test_an_app_may_turn_it_off(found):
    assert found({"apps/plain/a.yaml": SERVICE, "apps/plain/app.yaml": "validate: none\n"}, code=0) == []


def test_the_same_object_in_two_apps_of_a_cluster_is_found(found):
    assert found({"apps/twin/a.yaml": CONFIG.replace("hello", "later")}) == [
        ("apps/twin:0", "error", "object.two-apps", EVERYWHERE)
    ]
    apart = {"apps/twin/a.yaml": CONFIG, "apps/twin/app.yaml": "namespace: elsewhere\n"}
    assert found(apart, code=0) == []


def test_what_a_project_forbids_is_found_as_an_agent_would_find_it(found):
    files = {
        "fleet.yaml": "version: 1\nprojects: {shop: {namespaces: [shop]}}\n",
        "apps/shop/app.yaml": "namespace: shop\nproject: shop\n",
        "apps/shop/a.yaml": CONFIG.replace("greeting", "greeting, namespace: kube-system") + "---\n" + CONFIG,
        "apps/shop/b.yaml": "apiVersion: v1\nkind: Namespace\nmetadata: {name: mine}\n---\n" + WIDGET,
    }

    assert found(files) == [
        ("apps/shop/app.yaml:1", "error", "object.fenced", EVERYWHERE),
        ("apps/shop/app.yaml:1", "error", "object.fenced", EVERYWHERE),
        (":0", "note", "schema.unknown-kind", EVERYWHERE),
    ]


def test_who_lacks_what_checks_schemas_is_told(tmp_path):
    folder = written(tmp_path / "plain", {"a.yaml": CONFIG})
    done = run("validate", folder, program=("-c", WITHOUT_EXTRAS))

    assert done.stdout.startswith("warning schema.not-checked: ")
    assert "pip install 'towline[hub]'" in done.stdout
