"""Variables of a cluster in plain manifests, kustomizations and charts, in a real confined child."""

from dataclasses import replace

from shared.core.canonical import encode
from tests.support.rendering import config_map, findings, helm, kustomize, plain

TEXT = config_map(text="${region}-${cluster_name:0:2}")
CHART = {"chart/Chart.yaml": "apiVersion: v2\nname: c\nversion: 1.0.0\n"}


def filled(inputs, *, strict=False, **variables):
    given = {"open": inputs.engine == "helm", "strict": strict, "vars": variables}
    return replace(inputs, substitute=encode(given).decode())


async def test_all_engines_fill_in_the_same(engines):
    kustomization = {"kustomization.yaml": "resources: [a.yaml]\n", "a.yaml": TEXT}
    chart = {**CHART, "chart/templates/a.yaml": TEXT.replace("${region", '{{ printf "${reg%s" "ion" }}')}
    for inputs in (plain({"a.yaml": TEXT}), kustomize(kustomization), helm(chart)):
        (manifest,) = await engines.render(filled(inputs, region="eu", cluster_name="prod-1"))

        assert manifest["data"] == {"text": "eu-pr"}


async def test_what_is_filled_in_is_yaml(engines):
    """As in Flux: a number becomes one, a variable may hold a list, and quotes do not keep a text one."""
    text = 'kind: A\napiVersion: a.io/v1\nmetadata: {name: a}\nspec: {i: "${i}", l: "${l}", k: "n: ${i}"}\n'

    (manifest,) = await engines.render(filled(plain({"a.yaml": text}), i="3", l="[a, 1]"))

    assert manifest["spec"] == {"i": 3, "l": ["a", 1], "k": "n: 3"}


async def test_an_object_may_stay_out(engines):
    off = TEXT.replace("metadata:\n", "metadata:\n  MARK: {kustomize.toolkit.fluxcd.io/substitute: disabled}\n")
    for mark in ("labels", "annotations"):
        (manifest,) = await engines.render(filled(plain({"a.yaml": off.replace("MARK", mark)}), region="eu"))

        assert manifest["data"] == {"text": "${region}-${cluster_name:0:2}"}


async def test_errors_name_object_file_and_line_and_come_at_once(engines):
    files = {"a.yaml": TEXT, "b.yaml": "# a comment\n" + config_map("b", "x ${region:}")}

    found = await findings(engines, filled(plain(files), strict=True, cluster_name="c"))

    assert [(each.code, each.file, each.line, each.column) for each in found] == [
        ("render.substitution", "a.yaml", 6, 9),
        ("render.substitution", "b.yaml", 7, 11),
    ]
    assert "ConfigMap web: the variable region is not set" in found[0].message


async def test_a_variable_that_breaks_its_object_is_named(engines):
    (finding,) = await findings(engines, filled(plain({"a.yaml": config_map(text="${x}")}), x="a: b: c"))

    assert (finding.code, finding.file, finding.line) == ("render.substitution", "a.yaml", 1)
    assert "no YAML any more" in finding.message


async def test_a_name_that_no_file_holds_is_refused_rather_than_empty(engines):
    """Only variables that files name reach the engine, so that clusters share renders; kustomize can make others."""
    files = {
        "kustomization.yaml": "resources: [a.yaml]\nnamePrefix: ${re\n",
        "a.yaml": config_map("gion}"),
    }

    (finding,) = await findings(engines, filled(kustomize(files)))

    assert "the variable region stands in no file" in finding.message
