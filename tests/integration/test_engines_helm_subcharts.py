"""Charts within charts: declared, absent, switched off, given values."""

import pytest

from tests.support.archives import archive
from tests.support.rendering import config_map, findings, helm

CHART = "apiVersion: v2\nname: web\nversion: 0.1.0\n"
SUB = "apiVersion: v2\nname: sub\nversion: 0.1.0\n"
CRD = (
    "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: xs.example.org}\n"
    "spec: {group: example.org, scope: Namespaced, names: {kind: X}}\n"
)
TEXT = "'{{ .Values.a }} {{ .Values.global.g }} {{ .Release.Name }} {{ .Chart.Name }}'"


def parent(dependency="", **more):
    return {
        "chart/Chart.yaml": CHART + (f"dependencies: [{{{dependency}}}]\n" if dependency else ""),
        "chart/charts/sub/Chart.yaml": SUB,
        "chart/charts/sub/values.yaml": "a: default\n",
        "chart/charts/sub/templates/a.yaml": config_map("{{ .Chart.Name }}", TEXT),
        **{f"chart/{path}": text for path, text in more.items()},
    }


async def test_a_chart_within_gets_its_values_and_the_global_ones(engines):
    values = {"sub": {"a": "mine"}, "global": {"g": "all"}}

    (manifest,) = await engines.render(helm(parent("name: sub, version: 0.1.0"), values=values))

    assert manifest["data"]["text"] == "mine all web sub"


@pytest.mark.parametrize(
    ("dependency", "values", "names"),
    [
        ("name: sub, version: 0.1.0, condition: sub.on", {"sub": {"on": False}}, []),
        ("name: sub, version: 0.1.0, condition: sub.on", {"sub": {"on": True}}, ["sub"]),
        ("name: sub, version: 0.1.0, tags: [extra]", {"tags": {"extra": False}}, []),
        ("name: sub, version: 0.1.0, condition: sub.on, tags: [x]", {"sub": {"on": True}, "tags": {"x": False}}, ["sub"]),
        ("name: sub, version: 0.1.0, alias: other", {"other": {"a": "x"}}, ["other"]),
    ],
)  # fmt: skip
async def test_conditions_tags_and_aliases_decide_about_charts_within(engines, dependency, values, names):
    bundle = await engines.bundle(helm(parent(dependency), values={"global": {}, **values}))

    assert bundle.keys == tuple(f"/ConfigMap:shop/{name}" for name in names)


async def test_a_chart_takes_values_from_one_within(engines):
    dependency = "name: sub, version: 0.1.0, import-values: [{child: exported, parent: taken}]"
    files = parent(dependency, **{"templates/b.yaml": config_map(text="{{ .Values.taken.x }}")})
    files["chart/charts/sub/values.yaml"] = "exported: {x: from-sub}\n"

    objects = await engines.render(helm(files, values={"global": {}}))

    assert {each["metadata"]["name"]: each["data"]["text"] for each in objects}["web"] == "from-sub"


async def test_the_definitions_of_a_chart_that_is_switched_off_stay_away(engines):
    files = parent("name: sub, version: 0.1.0, condition: sub.on", **{"charts/sub/crds/x.yaml": CRD})

    off = await engines.bundle(helm(files, values={"sub": {"on": False}}))
    on = await engines.bundle(helm(files, values={"sub": {"on": True}, "global": {}}))

    assert off.keys == ()
    assert "apiextensions.k8s.io/CustomResourceDefinition:/xs.example.org" in on.keys


async def test_a_disabled_chart_within_stays_enabled_for_the_next_render(engines):
    """A render changes the chart that the library has loaded: each must load its own."""
    files = parent("name: sub, version: 0.1.0, condition: sub.on", **{"values.yaml": "sub: {on: true}\nglobal: {}\n"})

    off = await engines.bundle(helm(files, values={"sub": {"on": False}}))
    on = await engines.bundle(helm(files))

    assert (off.keys, on.keys) == ((), ("/ConfigMap:shop/sub",))


async def test_dependencies_that_are_not_in_git_are_named(engines):
    """Helm renders without them, and what they made would be deleted."""
    files = parent("name: redis, version: 18.x, repository: 'https://charts.example.org'")

    (finding,) = await findings(engines, helm(files))

    assert (finding.code, finding.file) == ("render.helm-dependency", "chart/Chart.yaml")
    assert "redis 18.x from https://charts.example.org" in finding.message
    assert "helm dependency build" in finding.hint


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "archive"])
async def test_a_chart_within_may_lack_nothing_either(engines, packed):
    sub = {
        "sub/Chart.yaml": SUB + "dependencies: [{name: gone, version: 1.0.0}]\n",
        "sub/templates/a.yaml": config_map("sub"),
    }
    files = {"chart/Chart.yaml": CHART}
    if packed:
        files["chart/charts/sub-0.1.0.tgz"] = archive(sub)
    else:
        files |= {f"chart/charts/{path}": text for path, text in sub.items()}

    (finding,) = await findings(engines, helm(files))

    assert finding.code == "render.helm-dependency"
    assert "the chart sub depends on gone 1.0.0" in finding.message


async def test_requirements_of_helm_2_count(engines):
    files = {
        "chart/Chart.yaml": "apiVersion: v1\nname: web\nversion: 0.1.0\n",
        "chart/requirements.yaml": "dependencies: [{name: redis, version: 1.0.0}]\n",
    }

    (finding,) = await findings(engines, helm(files))

    assert finding.code == "render.helm-dependency"


async def test_another_version_than_is_declared_is_told(engines):
    bundle = await engines.bundle(helm(parent("name: sub, version: 2.x"), values={"global": {}}))

    (warning,) = bundle.warnings
    assert (warning.code, warning.severity) == ("render.helm-dependency", "warning")
    assert "holds version 0.1.0" in warning.message
