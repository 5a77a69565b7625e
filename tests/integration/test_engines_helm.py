"""Charts, rendered by Helm's library in a confined child."""

import io
import tarfile

import pytest

from services.renderer.engines.kubeversion import satisfies
from shared.core.objects import key_of
from shared.errors import FindingsError
from tests.support.rendering import config_map, findings, helm

CHART = {"chart/Chart.yaml": "apiVersion: v2\nname: web\nversion: 0.1.0\n"}


def chart(text="hello", **more):
    return CHART | {"chart/templates/a.yaml": config_map(text=text)} | more


def hook(name, events, weight="0"):
    notes = f"  annotations: {{helm.sh/hook: '{events}', helm.sh/hook-weight: '{weight}'}}\n"
    return f"---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n{notes}"


async def test_values_merge_over_the_layers_and_the_last_wins(engines):
    files = chart(
        "'{{ .Values.a }} {{ .Values.b.c }} {{ .Values.b.d }} {{ .Values.list }} {{ .Values.gone }}'",
        **{
            "chart/values.yaml": "a: chart\nb: {c: chart, d: chart}\nlist: [1, 2]\ngone: chart\n",
            "values/all.yaml": "b: {c: all}\nlist: [3]\ngone: null\n",
            "values/prod.yaml": "a: prod\n",
        },
    )
    layers = ("values/all.yaml", "values/prod.yaml")

    (manifest,) = await engines.render(helm(files, layers=layers, values={"b": {"d": "inline"}}))

    assert manifest["data"]["text"] == "prod all inline [3] "


async def test_a_chart_knows_its_release_namespace_and_kubernetes(engines):
    text = "'{{ .Release.Name }} {{ .Release.Namespace }} {{ .Capabilities.KubeVersion.Minor }} {{ .Capabilities.APIVersions.Has \"x/v1\" }}'"

    (manifest,) = await engines.render(helm(chart(text), release="api", kubeVersion="v1.29.3", apiVersions=["x/v1"]))

    assert manifest["data"]["text"] == "api shop 29 true"


async def test_crds_of_a_chart_are_part_of_it_and_notes_are_not(engines):
    crd = (
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: xs.example.org}\n"
        "spec: {group: example.org, scope: Namespaced, names: {kind: X}}\n"
    )
    files = chart(**{"chart/crds/x.yaml": crd, "chart/templates/NOTES.txt": "Thank you"})
    files["chart/templates/x.yaml"] = "apiVersion: example.org/v1\nkind: X\nmetadata: {name: x}\n"

    keys = [key_of(each) for each in await engines.render(helm(files))]

    assert {(key.kind, key.namespace) for key in keys} == {
        ("ConfigMap", "shop"),
        ("CustomResourceDefinition", ""),
        ("X", "shop"),
    }


async def test_hooks_get_their_place_and_tests_have_none(engines):
    hooks = [
        hook("before", "pre-install,pre-upgrade", "-5"),
        hook("after", "post-upgrade", "7"),
        hook("test", "test"),
        hook("leaving", "pre-delete"),
        hook("back", "pre-rollback"),
    ]

    objects = await engines.render(helm(chart(**{"chart/templates/hooks.yaml": "".join(hooks)})))

    notes = {each["metadata"]["name"]: each["metadata"].get("annotations", {}) for each in objects}
    waves = {name: each.get("towline.dev/wave") for name, each in notes.items()}
    assert waves == {"before": "-10005", "web": None, "after": "10007", "leaving": None, "back": None}
    assert (notes["leaving"]["towline.dev/hook"], notes["leaving"]["towline.dev/hook-weight"]) == ("PreDelete", "0")
    assert (notes["back"]["towline.dev/hook"], notes["back"]["towline.dev/hook-on-rollback"]) == ("PreSync", "only")


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("{{ .Values.x.y }}", 6, "nil pointer"),
        ("{{ if }}", 6, "missing value"),
        ('{{ fail "no such thing" }}', 6, "no such thing"),
        ('{{ required "name it" .Values.name }}', 6, "name it"),
    ],
)
async def test_errors_of_templates_name_file_and_line(engines, text, line, words):
    (finding,) = await findings(engines, helm(chart(text)))

    assert (finding.code, finding.file, finding.line) == ("render.helm", "chart/templates/a.yaml", line)
    assert words in finding.message


async def test_output_that_is_no_yaml_names_its_template(engines):
    (finding,) = await findings(engines, helm(chart("[")))

    assert (finding.code, finding.file) == ("render.helm-output", "chart/templates/a.yaml")


SCHEMA = """{"required": ["host"], "properties": {
  "port": {"type": "integer"}, "mode": {"enum": ["a", "b"]}, "list": {"items": {"properties": {"x": {"type": "string"}}}}}}"""


async def test_values_that_the_schema_forbids_name_the_value_where_it_was_written(engines):
    files = chart(
        **{
            "chart/values.schema.json": SCHEMA,
            "values/all.yaml": "mode: c\nport: x\nlist:\n- {}\n- x: 7\n",
            "values/prod.yaml": "replicas: 1\nport: z\n",
        }
    )

    found = await findings(engines, helm(files, layers=("values/all.yaml", "values/prod.yaml")))

    assert {(each.code, each.file, each.line) for each in found} == {
        ("render.values-schema", "chart", 0),
        ("render.values-schema", "values/all.yaml", 1),
        ("render.values-schema", "values/all.yaml", 5),
        ("render.values-schema", "values/prod.yaml", 2),
    }
    texts = {each.message for each in found}
    assert "the chart web does not take the value port: got string, want integer" in texts
    assert "the chart web does not take the value (top level): missing property 'host'" in texts


async def test_the_schema_of_a_chart_within_names_its_value(engines):
    files = chart(
        **{
            "chart/charts/redis/Chart.yaml": "apiVersion: v2\nname: redis\nversion: 0.1.0\n",
            "chart/charts/redis/values.schema.json": '{"properties": {"port": {"type": "integer"}}}',
            "values.yaml": "redis:\n  port: x\n",
        }
    )

    (finding,) = await findings(engines, helm(files, layers=("values.yaml",)))

    assert (finding.file, finding.line) == ("values.yaml", 2)
    assert "the chart redis does not take the value redis.port" in finding.message


async def test_a_chart_for_another_kubernetes_is_refused(engines):
    files = chart() | {"chart/Chart.yaml": CHART["chart/Chart.yaml"] + "kubeVersion: '>=1.30.0-0'\n"}

    (finding,) = await findings(engines, helm(files, kubeVersion="v1.29.3-eks-1"))

    assert finding.code == "render.helm-kube-version"
    assert await engines.render(helm(files, kubeVersion="v1.31.0"))


async def test_without_a_version_of_kubernetes_the_one_of_helm_counts(engines):
    files = chart() | {"chart/Chart.yaml": CHART["chart/Chart.yaml"] + "kubeVersion: '<1.25.0-0'\n"}

    (finding,) = await findings(engines, helm(files))

    assert finding.code == "render.helm-kube-version"
    assert "`kubeVersion` beside their names" in finding.hint


async def test_a_packed_chart_renders_and_helmignore_counts(engines):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for path, text in chart().items():
            entry = tarfile.TarInfo(path)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    ignoring = chart(**{"chart/.helmignore": "*.bak.yaml\n", "chart/templates/b.bak.yaml": config_map("old")})

    folder = await engines.bundle(helm(ignoring))

    assert (await engines.bundle(helm({"charts/web-0.1.0.tgz": packed.getvalue()}, "charts/web-0.1.0.tgz"))) == folder


async def test_a_real_chart_renders_at_every_commit(engines, replay, trees_of):
    failed = []
    for number, tree in enumerate(trees_of(replay("podinfo-chart"))):
        try:
            assert (await engines.bundle(helm({}, "", tree=tree))).keys
        except FindingsError as error:
            failed.append((number, error.findings[0].code))

    assert failed == [(0, "render.no-chart")]


@pytest.mark.parametrize(
    ("version", "constraint", "fits"),
    [
        ("v1.29.3", ">=1.19.0-0", True),
        ("v1.29.3-gke.100", ">= 1.29.3", True),
        ("1.18.0", ">=1.19.0-0", False),
        ("1.22.1", ">= 1.19 < 1.22", False),
        ("1.21.9", ">=1.19, <1.22.0-0", True),
        ("1.21.0", "<1.19 || >1.20", True),
        ("1.20.5", ">1.20", False),
        ("1.25.7", "^1.20.0", True),
        ("2.0.0", "^1.20.0", False),
        ("0.3.0", "^0.2.3", False),
        ("1.20.9", "~1.20", True),
        ("1.21.0", "~1.20.3", False),
        ("1.21.0", "1.21.x", True),
        ("1.22.0", "1.19 - 1.21", False),
        ("1.21.4", "1.19 - 1.21", True),
        ("1.21.4", "!=1.21.4", False),
        ("1.21.4", "*", True),
    ],
)
def test_versions_of_kubernetes_compare_as_helm_compares_them(version, constraint, fits):
    assert satisfies(version, constraint) is fits
