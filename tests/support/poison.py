"""What a hostile or careless person may commit: apps that must fail alone, within their limits, and give nothing away.

Each is the folder of one app. `{port}` is that of a server that nobody may reach, `{out}` a folder outside of the source
which holds a perfectly good kustomization, chart and manifest with the canary.
"""

import gzip
import json
from dataclasses import dataclass

from tests.support.archives import archive, link
from tests.support.rendering import config_map

CANARY = "canary-7d1f0a"
CHART = "apiVersion: v2\nname: web\nversion: 0.1.0\n"
TEMPLATE = "plain: {template: jinja}\n"
REFUSED = frozenset({"refused"})
"""Whatever the code: an error with a code, and no bundle."""


@dataclass(frozen=True, slots=True)
class Poison:
    """One hostile app, and the codes one of which it must fail with."""

    files: dict
    codes: frozenset = REFUSED


def _plain(text, *codes):
    return Poison({"a.yaml": text}, frozenset(codes) or REFUSED)


def _template(text, *codes):
    return Poison({"app.yaml": TEMPLATE, "a.yaml": config_map(text=text)}, frozenset(codes) or REFUSED)


def _kustomize(text, *codes, **files):
    return Poison({"kustomization.yaml": text, "a.yaml": config_map(), **files}, frozenset(codes) or REFUSED)


def _chart(template, *codes, **files):
    own = {"Chart.yaml": CHART, "templates/a.yaml": template, **files}
    return Poison(own, frozenset(codes) or REFUSED)


def _nested_aliases(first, wrap, *, levels=12):
    lines = [f"a0: &a0 {first}"]
    lines += [f"a{i}: &a{i} {wrap(', '.join([f'*a{i - 1}'] * 10))}" for i in range(1, levels)]
    return "\n".join(lines)


def _packed(members, *entries):
    whole = {"web/Chart.yaml": CHART, "web/templates/a.yaml": config_map(), **members}
    return Poison({"app.yaml": "helm: {chart: web.tgz}\n", "web.tgz": archive(whole, *entries)})


def _yaml():
    size, syntax, key = "yaml.too-large", "yaml.syntax", "yaml.bad-key"
    deep, wrong = "yaml.too-deep", "object.invalid"
    return {
        "yaml aliases of lists": _plain(_nested_aliases("[x, x]", "[{}]".format), size),
        "yaml aliases of mappings": _plain(
            "a0: &a0 {k: v}\n"
            + "\n".join(f"a{i}: &a{i} {{{', '.join(f'k{n}: *a{i - 1}' for n in range(10))}}}" for i in range(1, 12)),
            size,
        ),
        "yaml merges": _plain(
            "a0: &a0 {k: v}\n"
            + "\n".join(
                f"a{i}: &a{i} {{{', '.join(f'k{n}: {{<<: *a{i - 1}}}' for n in range(10))}}}" for i in range(1, 12)
            ),
            size,
        ),
        "yaml cycle": _plain("a: &a [*a]\n"),
        "yaml brackets": _plain("[" * 50_000, deep),
        "yaml braces": _plain("{a: " * 20_000, deep),
        "yaml indented": _plain("\n".join(f"{' ' * n}a:" for n in range(500)), deep),
        "yaml dashes": _plain("- " * 20_000 + "a", deep),
        "yaml documents": _plain("---\na: 1\n" * 20_000, "yaml.too-many"),
        "yaml bytes": _plain("a: " + "x" * 11_000_000, size),
        "yaml nodes": _plain("[" + "1," * 1_100_000 + "1]", size, "render.timeout"),
        "yaml comments": _plain("#" * 10_500_000, size),
        "yaml python": _plain(config_map(text="!!python/object/apply:os.system ['touch {out}/touched']")),
        "yaml tag": _plain(config_map(text="!!javax.script.ScriptEngineManager [a]")),
        "yaml binary": _plain(config_map(text="!!binary '&&&'")),
        "yaml not a number": _plain(config_map(text=".nan"), "yaml.no-json", wrong),
        "yaml infinite": _plain(config_map(text=".inf"), "yaml.no-json", wrong),
        "yaml huge number": _plain(config_map(text="9" * 5000), "rendered"),
        "yaml keys twice": _plain(
            "apiVersion: v1\nkind: ConfigMap\nkind: Secret\nmetadata: {name: a}\n", "yaml.duplicate-key"
        ),
        "yaml key of a list": _plain("? [a, b]\n: c\n", key),
        "yaml key of nothing": _plain("? \n: c\n", key),
        "yaml in utf-16": Poison({"a.yaml": config_map().encode("utf-16")}, frozenset({"rendered"})),
        "yaml of zeros": Poison({"a.yaml": b"a: \0\0\0"}, frozenset({syntax})),
        "yaml no utf-8": Poison({"a.yaml": b"a: \xff\xfe"}, frozenset({syntax})),
        "yaml controls": Poison({"a.yaml": b"a: \x1b[2J"}, frozenset({syntax})),
        "yaml tabs": _plain("a:\n\tb: c\n", syntax),
        "yaml quote without end": _plain('a: "' + "x" * 100_000),
        "json nesting": _plain('{"a":' * 5_000 + "1" + "}" * 5_000, deep),
        "json lists": _plain("[" * 5_000 + "]" * 5_000, deep),
        "json keys twice": _plain('{"kind": "a", "kind": "b"}', "yaml.duplicate-key"),
        "json half a pair": _plain(
            '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"a": "\\ud800"}}'
        ),
        "json garbage behind": _plain('{"a": 1} }', syntax),
        "json number": _plain(
            '{"apiVersion": "a.io/v1", "kind": "A", "metadata": {"name": "a"}, "spec": {"a": 1e999}}',
            "yaml.no-json",
            "rendered",
        ),
        "lists of lists": _plain(
            json.dumps(_list_of(12, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}))
        ),
        "object too large": _plain(config_map(text="x" * 1_500_000), "object.too-large"),
        "objects too many": _plain(
            json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "ConfigMapList",
                    "items": [{"metadata": {"name": f"a{n}"}} for n in range(10_001)],
                }
            ),
            "render.too-large",
            "render.timeout",
        ),
    }


def _list_of(depth, value):
    for _ in range(depth):
        value = {"apiVersion": "v1", "kind": "List", "items": [value]}
    return value


def _templates():
    time, refused, memory = "render.timeout", "render.template", "render.memory"
    loop = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
    return {
        "template loop": _template(loop, time, refused),
        "template range": _template("{{ range(999999999) | list }}", refused),
        "template memory": _template("{{ 'a' * 3000000000 }}", memory, refused),
        "template padding": _template("{{ 'a'.center(3000000000) }}", memory, refused),
        "template classes": _template("{{ ''.__class__.__mro__ }}", refused),
        "template attribute": _template("{{ ''|attr('__class__') }}", refused),
        "template globals": _template("{{ cycler.__init__.__globals__.os.environ }}", refused),
        "template format": _template("{{ '{0.__class__.__init__.__globals__}'.format(cluster) }}", refused),
        "template include": _template("{% include '/etc/passwd' %}", refused, "render.crash"),
        "template import": _template("{% import 'os' as os %}{{ os }}", refused, "render.crash"),
        "template recursion": _template("{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}"),
        "template huge power": _template("{{ 9 ** (9 ** 9) }}", time, refused, memory),
    }


def _kustomizations():
    outside = {
        "resources of a folder": "resources: ['{out}']",
        "resources upwards": "resources: ['../../../../../../../../../..{out}']",
        "resources of a file": "resources: ['{out}/secret.yaml']",
        "components": "components: ['{out}']",
        "bases": "bases: ['{out}']",
        "crds": "resources: [a.yaml]\ncrds: ['{out}/secret.yaml']",
        "openapi": "resources: [a.yaml]\nopenapi: {path: '{out}/secret.yaml'}",
        "configurations": "resources: [a.yaml]\nconfigurations: ['{out}/secret.yaml']",
        "replacements": "resources: [a.yaml]\nreplacements: [{path: '{out}/secret.yaml'}]",
        "patches": "resources: [a.yaml]\npatches: [{path: '{out}/secret.yaml', target: {kind: ConfigMap}}]",
        "patches of json": "resources: [a.yaml]\npatchesJson6902: [{path: '{out}/secret.yaml', target: {version: v1, kind: ConfigMap, name: web}}]",
        "patches of merges": "resources: [a.yaml]\npatchesStrategicMerge: ['{out}/secret.yaml']",
        "transformers": "resources: [a.yaml]\ntransformers: ['{out}/secret.yaml']",
        "generators": "generators: ['{out}/secret.yaml']",
        "validators": "resources: [a.yaml]\nvalidators: ['{out}/secret.yaml']",
        "files of a map": "configMapGenerator: [{name: x, files: ['{out}/secret.yaml']}]",
        "files upwards": "configMapGenerator: [{name: x, files: ['k=../../../../../../../../../..{out}/secret.yaml']}]",
        "files of a secret": "secretGenerator: [{name: x, files: ['{out}/secret.yaml']}]",
        "variables of a map": "configMapGenerator: [{name: x, envs: ['{out}/secret.env']}]",
        "variable of a secret": "secretGenerator: [{name: x, env: '{out}/secret.env'}]",
    }
    remote = {
        "http": "http://127.0.0.1:{port}/x.yaml",
        "https": "https://127.0.0.1:{port}/repo.git?ref=main",
        "git over http": "git::http://127.0.0.1:{port}/repo.git",
        "ssh": "ssh://git@127.0.0.1:{port}/repo.git",
        "scp": "git@127.0.0.1:repo.git",
        "double slash": "127.0.0.1:{port}/repo//base?ref=v1",
        "decimal address": "http://2130706433:{port}/x.yaml",
        "mapped address": "http://[::ffff:127.0.0.1]:{port}/x.yaml",
        "redirect": "http://127.0.0.1:{port}/redirect",
    }
    found = {f"kustomize {name} outside": _kustomize(text) for name, text in outside.items()}
    found |= {
        f"kustomize {name}": _kustomize(f"resources: ['{url}']", "render.remote-base") for name, url in remote.items()
    }
    for field in (
        "patches: [{path: '{url}'}]",
        "crds: ['{url}']",
        "openapi: {path: '{url}'}",
        "configurations: ['{url}']",
    ):
        text = field.replace("{url}", remote["http"])
        found[f"kustomize {field.partition(':')[0]} from afar"] = _kustomize(
            f"resources: [a.yaml]\n{text}", "render.remote-base"
        )
    copies = "\n".join(f"- {{op: copy, from: /data, path: /data/k{n}}}" for n in range(40))
    found |= {
        "kustomize itself": _kustomize("resources: [.]"),
        "kustomize circle": _kustomize(
            "resources: [b]",
            **{"b/kustomization.yaml": "resources: [../c]", "c/kustomization.yaml": "resources: [../b]"},
        ),
        "kustomize aliases": _kustomize(_nested_aliases("[x, x]", "[{}]".format)),
        "kustomize aliases in a patch": _kustomize(
            "resources: [a.yaml]\npatches: [{path: p.yaml}]",
            **{"p.yaml": config_map() + _nested_aliases("[x, x]", "[{}]".format)},
        ),
        "kustomize aliases in a resource": _kustomize(
            "resources: [b.yaml]", **{"b.yaml": config_map() + _nested_aliases("[x, x]", "[{}]".format)}
        ),
        "kustomize nesting in a resource": _kustomize("resources: [b.yaml]", **{"b.yaml": "[" * 50_000}),
        "kustomize copies of copies": _kustomize(
            "resources: [b.yaml]\npatches:\n- target: {kind: Widget}\n  path: p.yaml\n",
            **{
                "b.yaml": "apiVersion: a.io/v1\nkind: Widget\nmetadata: {name: a}\ndata: {a: {}}\n",
                "p.yaml": copies,
            },
        ),
        "kustomize huge index": _kustomize(
            'resources: [a.yaml]\npatches: [{target: {kind: ConfigMap}, patch: \'[{"op": "add", "path": "/items/99999999999", "value": 1}]\'}]'
        ),
        "kustomize charts": _kustomize(
            "helmCharts: [{name: x, repo: 'http://127.0.0.1:{port}'}]", "render.helm-in-kustomize"
        ),
        "kustomize program": _kustomize(
            "resources: [a.yaml]\ntransformers: [t.yaml]",
            **{
                "t.yaml": "apiVersion: a\nkind: T\nmetadata: {name: t, annotations: {config.kubernetes.io/function: 'exec: {path: /bin/sh}'}}\n"
            },
        ),
        "kustomize plugin that fetches": _kustomize(
            "resources: [a.yaml]\ntransformers: [t.yaml]",
            **{
                "t.yaml": "apiVersion: builtin\nkind: PatchTransformer\nmetadata: {name: t}\npath: http://127.0.0.1:{port}/x.yaml\n"
            },
        ),
        "kustomize deep bases": Poison(
            {
                "kustomization.yaml": "resources: [b/0]",
                **{f"b/{n}/kustomization.yaml": f"resources: [../{n + 1}]" for n in range(300)},
                "b/300/kustomization.yaml": "resources: [gone.yaml]",
            }
        ),
    }
    return found


def _charts():
    helm, time, memory = "render.helm", "render.timeout", "render.memory"
    schema = {"$ref": "http://127.0.0.1:{port}/schema.json"}
    zeros = gzip.compress(b"\0" * (300 << 20), compresslevel=9)
    return {
        "chart loop": _chart("{{ range until 99999 }}{{ range until 99999 }}{{ end }}{{ end }}", time, helm),
        "chart memory": _chart(
            '{{ $s := "aaaaaaaaaaaaaaaa" }}{{ range until 40 }}{{ $s = print $s $s }}{{ end }}', memory, time
        ),
        "chart range": _chart("{{ until 2000000000 | toString }}", memory, time, helm),
        "chart repetition": _chart('{{ repeat 2000000000 "a" }}', memory, time, helm, "render.crash"),
        "chart width": _chart('a: {{ printf "%1000000000d" 1 }}', memory, time, helm, "render.helm-output"),
        "chart recursion": _chart(
            '{{ define "x" }}{{ include "x" . }}{{ end }}{{ include "x" . }}', helm, time, memory
        ),
        "chart of charts": _chart(
            '{{ define "x" }}{{ tpl "{{ include \\"x\\" . }}" . }}{{ end }}{{ include "x" . }}',
            helm,
            time,
            memory,
            "render.crash",
        ),
        "chart fails": _chart('{{ fail "no" }}', helm),
        "chart without end": _chart("{{ range", helm),
        "chart of hosts": _chart(
            config_map(text='"{{ getHostByName "localhost" }}"'), "rendered", "render.nondeterministic"
        ),
        "chart that looks": _chart(config_map(text='"{{ lookup "v1" "Secret" "kube-system" "a" }}"'), "rendered"),
        "chart of files": _chart(
            config_map(text='"{{ .Files.Get "{out}/secret.yaml" }}{{ .Files.Get "../../secret" }}"'), "rendered"
        ),
        "chart of globs": _chart(
            config_map(text='"{{ (.Files.Glob "../**").AsConfig }}{{ (.Files.Glob "/etc/*").AsConfig }}"'), "rendered"
        ),
        "chart of variables": _chart(config_map(text='"{{ env "HOME" }}{{ expandenv "$PATH" }}"'), helm),
        "chart schema from afar": _chart(
            config_map(), "rendered", helm, "render.values-schema", **{"values.schema.json": json.dumps(schema)}
        ),
        "chart schema from disk": _chart(
            config_map(),
            "rendered",
            helm,
            "render.values-schema",
            **{"values.schema.json": '{"$ref": "file://{out}/schema.json"}'},
        ),
        "chart schema of itself": _chart(
            config_map(),
            "rendered",
            helm,
            "render.values-schema",
            "render.crash",
            **{"values.schema.json": '{"$ref": "#"}'},
        ),
        "chart needs what is outside": _chart(
            config_map(),
            **{"Chart.yaml": CHART + "dependencies: [{name: x, version: 1.0.0, repository: 'file://{out}'}]\n"},
        ),
        "chart needs what is afar": _chart(
            config_map(),
            **{
                "Chart.yaml": CHART
                + "dependencies: [{name: x, version: 1.0.0, repository: 'http://127.0.0.1:{port}'}]\n"
            },
        ),
        "chart no yaml": _chart("a: b: c"),
        "chart yaml aliases": _chart(_nested_aliases("[x, x]", "[{}]".format).replace("{", "").replace("}", "")),
        "chart values aliases": _chart(config_map(), **{"values.yaml": _nested_aliases("[x, x]", "[{}]".format)}),
        "archive upwards": _packed({"web/../../../../tmp/x": b"a"}),
        "archive absolute": _packed({"/etc/x": b"a"}),
        "archive of links": _packed({}, link("web/templates/b.yaml", "{out}/secret.yaml")),
        "archive of zeros": Poison({"app.yaml": "helm: {chart: web.tgz}\n", "web.tgz": zeros}),
        "archive cut": Poison({"app.yaml": "helm: {chart: web.tgz}\n", "web.tgz": zeros[:1000]}),
        "archive none": Poison({"app.yaml": "helm: {chart: web.tgz}\n", "web.tgz": b"no archive"}),
        "archive of an archive": _packed({"web/charts/x.tgz": zeros}),
    }


CORPUS = {**_yaml(), **_templates(), **_kustomizations(), **_charts()}


def files_of(name, *, port, out):
    """Return the files of one hostile app, with the places that it tries to reach."""
    found = {}
    for path, content in CORPUS[name].files.items():
        if isinstance(content, str):
            content = content.replace("{port}", str(port)).replace("{out}", str(out))  # noqa: PLW2901  # with places
        found[path] = content
    return found


def outside(folder):
    """Write what nobody may read: a good kustomization, a chart's part, and variables, all with the canary."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "kustomization.yaml").write_text("resources: [secret.yaml]\n")
    (folder / "secret.yaml").write_text(config_map("web", CANARY))
    (folder / "secret.env").write_text(f"KEY={CANARY}\n")
    (folder / "schema.json").write_text(json.dumps({"title": CANARY, "type": "string"}))
    (folder / "Chart.yaml").write_text(CHART)
    return folder
