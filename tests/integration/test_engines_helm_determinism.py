"""Charts that give something else at each render are refused, and say which functions did it."""

import pytest

from tests.support.rendering import config_map, findings, helm

CHART = {"chart/Chart.yaml": "apiVersion: v2\nname: web\nversion: 0.1.0\n"}
DEFINES = '{{/* now */}}\n{{- define "a" }}{{ include "b" . }}{{ end }}\n{{- define "b" }}{{- /* randInt */ -}}{{ uuidv4 }}{{ end }}\n{{- define "c" }}{{ now }}{{ end }}\n'


def chart(text, **more):
    return CHART | {"chart/templates/a.yaml": config_map(text=text)} | more


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("{{ randAlphaNum 8 }}", "randAlphaNum (templates/a.yaml:6)"),
        ("'{{ now }}'", "now (templates/a.yaml:6)"),
        ('{{ (genCA "x" 1).Cert | b64enc }}', "genCA (templates/a.yaml:6)"),
        ("'{{ keys .Values.map }}'", "keys (templates/a.yaml:6)"),
        ('{{ date "a150405.000" "x" }}-{{ uuidv4 }}', "date (templates/a.yaml:6), uuidv4 (templates/a.yaml:6)"),
    ],
)  # fmt: skip
async def test_a_chart_that_differs_at_each_render_is_refused_unless_allowed(engines, text, names):
    values = {"map": dict.fromkeys("abcdefgh", 1)}

    (finding,) = await findings(engines, helm(chart(text), values=values))

    assert (finding.code, finding.file, finding.line) == ("render.nondeterministic", "chart/templates/a.yaml", 6)
    assert finding.message.endswith(f"because of {names}")
    assert "allowNondeterministic: true" in finding.hint
    assert await engines.render(helm(chart(text), values=values, allowNondeterministic=True))


async def test_only_what_the_template_includes_is_named(engines):
    files = chart('{{ include "a" . }}', **{"chart/templates/_x.tpl": DEFINES})

    (finding,) = await findings(engines, helm(files))

    assert finding.message.endswith("because of uuidv4 (templates/_x.tpl:3)")


async def test_functions_in_values_that_are_templates_are_named(engines):
    (finding,) = await findings(engines, helm(chart("{{ tpl .Values.x . }}"), values={"x": "{{ uuidv4 }}"}))

    assert finding.message.endswith("because of uuidv4 (values of the app:1)")


async def test_functions_of_a_chart_within_are_named(engines):
    files = chart("x") | {
        "chart/charts/sub/Chart.yaml": "apiVersion: v2\nname: sub\nversion: 0.1.0\n",
        "chart/charts/sub/templates/b.yaml": config_map("sub", "{{ randNumeric 9 }}"),
    }

    (finding,) = await findings(engines, helm(files))

    assert finding.file == "chart/charts/sub/templates/b.yaml"
    assert finding.message.endswith("because of randNumeric (charts/sub/templates/b.yaml:6)")


@pytest.mark.parametrize(
    "text",
    [
        '{{ define "x" }}{{ randAlphaNum 8 }}{{ end }}hello',
        "{{ keys .Values.map | sortAlpha | join `,` }}",
        '{{ derivePassword 1 "long" "password" "user" "example.org" | b64enc }}',
    ],
)
async def test_functions_that_change_nothing_are_no_hindrance(engines, text):
    assert await engines.render(helm(chart(text), values={"map": dict.fromkeys("abcdefgh", 1)}))


async def test_the_tests_of_a_chart_may_be_random(engines):
    test = "apiVersion: v1\nkind: Pod\nmetadata: {name: '{{ uuidv4 }}', annotations: {helm.sh/hook: test-success}}\n"

    assert await engines.render(helm(chart("x", **{"chart/templates/tests/a.yaml": test})))
