"""A chart gives what Helm's own command gives, object by object and field by field."""

import pytest
import yaml

from shared.fleet.read import is_file
from tests.support.mapping_tree import MappingTree
from tests.support.rendering import config_map, helm

EVERY = 10
PIECES = {
    "Chart.yaml": "apiVersion: v2\nname: zoo\nversion: 1.2.3\nappVersion: '7.0'\nkubeVersion: '>=1.20.0-0'\n"
    "dependencies:\n"
    "- {name: animal, version: 0.1.0, alias: lion, condition: lion.enabled}\n"
    "- {name: animal, version: 0.1.0, alias: bear, condition: bear.enabled, tags: [wild]}\n"
    "- {name: keeper, version: 0.x, import-values: [{child: shift, parent: hours}, exported]}\n",
    "values.yaml": "lion: {enabled: true, food: meat, noise: roar}\nbear: {enabled: false}\nglobal: {place: north}\n"
    "hours: {open: 9}\nextra: |\n  note: {{ .Release.Name }}-{{ .Values.global.place }}\ngone: {a: 1, b: 2}\nlist: [1, 2, 3]\n",
    "values.schema.json": '{"properties": {"hours": {"properties": {"open": {"type": "integer"}}}}}',
    "crds/x.yaml": "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: xs.example.org}\n"
    "spec: {group: example.org, scope: Namespaced, names: {kind: X}}\n",
    "files/a.conf": "one\ntwo {{ not a template }}\n",
    "templates/_h.tpl": '{{- define "zoo.labels" }}\napp: {{ .Chart.Name }}\nversion: {{ .Chart.AppVersion | quote }}\n{{- end }}\n',
    "templates/a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}-all\n"
    '  labels: {{- include "zoo.labels" . | nindent 4 }}\n'
    "data:\n  file: {{ .Files.Get `files/a.conf` | quote }}\n  glob: {{ (.Files.Glob `files/*`).AsConfig | quote }}\n"
    "  minor: {{ .Capabilities.KubeVersion.Minor | quote }}\n"
    "  has: {{ .Capabilities.APIVersions.Has `example.org/v9` | quote }}\n"
    "  looked: {{ lookup `v1` `Secret` `a` `b` | toJson | quote }}\n  dns: {{ getHostByName `localhost` | quote }}\n"
    "  hours: {{ .Values.hours | toJson | quote }}\n  gone: {{ .Values.gone | toJson | quote }}\n"
    "  list: {{ .Values.list | join `,` | quote }}\n  sum: {{ .Values | toJson | sha256sum | quote }}\n"
    "  {{- tpl .Values.extra . | nindent 2 }}\n",
    "templates/hooks.yaml": "".join(
        f"---\napiVersion: batch/v1\nkind: Job\nmetadata:\n  name: {event}\n  annotations: {{helm.sh/hook: {event}, helm.sh/hook-weight: '{weight}'}}\n"
        "spec: {template: {spec: {restartPolicy: Never, containers: [{name: a, image: a}]}}}\n"
        for weight, event in enumerate(("pre-install", "post-upgrade", "pre-delete", "post-rollback", "test"), start=-2)
    ),
    "templates/list.yaml": "apiVersion: v1\nkind: ConfigMapList\nitems:\n- metadata: {name: listed}\n  data: {a: b}\n",
    "templates/NOTES.txt": "Thank you for {{ .Release.Name }}",
    "templates/empty.yaml": "{{ if .Values.no }}x{{ end }}\n",
    "charts/animal/Chart.yaml": "apiVersion: v2\nname: animal\nversion: 0.1.0\n",
    "charts/animal/values.yaml": "food: grass\nnoise: ''\n",
    "charts/animal/crds/y.yaml": "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\n"
    "metadata: {name: ys.example.org}\nspec: {group: example.org, scope: Namespaced, names: {kind: Why}}\n",
    "charts/animal/templates/a.yaml": config_map(
        "{{ .Release.Name }}-{{ .Chart.Name }}", "'{{ .Values.food }} {{ .Values.noise }} {{ .Values.global.place }}'"
    ),
    "charts/keeper/Chart.yaml": "apiVersion: v1\nname: keeper\nversion: 0.3.0\n",
    "charts/keeper/values.yaml": "shift: {close: 17}\nexports: {exported: {fromKeeper: true}}\n",
    "charts/keeper/templates/a.yaml": config_map("keeper", "'{{ .Values.global.place }}'"),
}
VALUES = (
    "{}",
    "bear: {enabled: true, food: honey}\nglobal: {place: south}\n",
    "lion: {enabled: false}\ntags: {wild: true}\ngone: null\nlist: []\n",
    "gone: {a: null}\nhours: {open: 10, extra: [{x: 1}]}\nlion: null\n",
)


def written(files, folder):
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def plain(value, *, top=True):
    """Return an object without what a bundle leaves out: nulls, empty labels and annotations, our own notes."""
    if isinstance(value, list):
        return [plain(each, top=False) for each in value]
    if not isinstance(value, dict):
        return value
    kept = {key: plain(each, top=False) for key, each in value.items() if each is not None}
    for name in ("labels", "annotations") if "metadata" in kept or not top else ():
        notes = kept.get(name)
        if isinstance(notes, dict):
            kept[name] = {key: each for key, each in notes.items() if not key.startswith("towline.dev/")}
            if not kept[name]:
                del kept[name]
    return kept


def by_name(objects, namespace):
    found = {}
    for each in objects:
        shown = plain(each)
        if shown["metadata"].get("namespace") == namespace:
            del shown["metadata"]["namespace"]
        # Helm prints a definition once for each chart that has it.
        assert found.setdefault((shown["kind"], shown["metadata"]["name"]), shown) == shown
    return found


def single(documents):
    """Yield objects, those of lists too."""
    for each in documents:
        if each and each["kind"].endswith("List"):
            kind = each["kind"].removesuffix("List")
            yield from ({"apiVersion": each["apiVersion"], "kind": kind, **item} for item in each["items"])
        elif each:
            yield each


async def assert_equal(engines, helm_command, folder, tree, *, root, values="{}", **known):
    """Assert that both give the same for a chart in `folder`, which is `root` of `tree`."""
    file = folder.parent / "values.yaml"
    file.write_text(values)
    options = ["--kube-version", known["kubeVersion"]] if known.get("kubeVersion") else []
    options += [each for version in known.get("apiVersions", ()) for each in ("--api-versions", version)]
    printed = helm_command(
        "template", "web", folder, "-n", "shop", "--include-crds", "--skip-tests", "-f", file, *options
    )
    wanted = by_name(list(single(yaml.load_all(printed, yaml.CSafeLoader))), "shop")

    found = by_name(
        await engines.render(helm({}, root, tree=tree, values=yaml.safe_load(values) or {}, **known)), "shop"
    )

    assert found == wanted


@pytest.mark.parametrize("values", VALUES)
@pytest.mark.parametrize(
    "known", [{}, {"kubeVersion": "v1.29.3", "apiVersions": ["example.org/v9"]}], ids=["", "known"]
)
async def test_a_chart_with_everything_is_as_helm_makes_it(engines, helm_command, tmp_path, values, known):
    folder = written(PIECES, tmp_path / "zoo")
    tree = MappingTree({f"zoo/{path}": text for path, text in PIECES.items()})

    await assert_equal(engines, helm_command, folder, tree, root="zoo", values=values, **known)


def switched_on(values):
    """Return values that switch everything on, wherever a chart says `enabled: false`."""
    if not isinstance(values, dict):
        return None
    found = {key: True if key == "enabled" else switched_on(each) for key, each in values.items()}
    return {key: each for key, each in found.items() if each is not None and each != {}}


async def test_real_charts_are_as_helm_makes_them(engines, helm_command, replay, trees_of, tmp_path):
    """Every tenth commit of a real chart, as it is and with all that it can switch on."""
    path = replay("podinfo-chart")
    compared = 0
    for number, tree in enumerate(trees_of(path)):
        if number % EVERY or not is_file(tree, "Chart.yaml"):
            continue
        folder = written(dict(_files(tree, "")), tmp_path / str(number) / "podinfo")
        default = yaml.safe_load(tree.read("values.yaml"))
        for values in ({}, switched_on(default)):
            await assert_equal(engines, helm_command, folder, tree, root="", values=yaml.safe_dump(values))
            compared += 1

    assert compared >= 30


def _files(tree, folder):
    for entry in tree.folder(folder):
        path = f"{folder}/{entry.name}".lstrip("/")
        if entry.kind == "folder":
            yield from _files(tree, path)
        else:
            yield path, tree.read(path)
