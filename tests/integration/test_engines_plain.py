"""Plain manifests and templates, in a real confined child."""

import json
from base64 import b64decode

from shared.core.objects import key_of
from shared.errors import FindingsError
from tests.support.data import data_path
from tests.support.rendering import config_map, findings, plain


async def test_objects_get_the_namespace_of_the_app(engines):
    objects = await engines.render(plain({"a.yaml": config_map()}))

    assert objects == [
        {
            "apiVersion": "v1",
            "data": {"text": "hello"},
            "kind": "ConfigMap",
            "metadata": {"name": "web", "namespace": "shop"},
        }
    ]


async def test_an_object_of_a_later_layer_replaces_its_equal(engines):
    files = {"a.yaml": config_map(text="base"), "b.yaml": config_map("other"), "prod/a.yaml": config_map(text="prod")}

    objects = await engines.render(plain(files, ["a.yaml", "b.yaml"], ["prod/a.yaml"]))

    assert {each["metadata"]["name"]: each["data"]["text"] for each in objects} == {"web": "prod", "other": "hello"}


async def test_the_same_object_twice_in_one_layer_names_both_files(engines):
    files = {"a.yaml": config_map(text="one"), "b.yaml": "---\n" + config_map(text="two")}

    (finding,) = await findings(engines, plain(files))

    assert finding.code == "object.duplicate"
    assert "a.yaml:1 and b.yaml:2" in finding.message


async def test_documents_that_are_no_objects_are_named_in_a_warning(engines):
    bundle = await engines.bundle(plain({"a.yaml": config_map(), "notes.yaml": "some: [irrelevant, yaml]\n"}))

    assert [(each.file, each.line, each.severity) for each in bundle.warnings] == [("notes.yaml", 1, "warning")]


async def test_all_files_that_are_wrong_are_named_at_once_with_their_lines(engines):
    files = {"a.yaml": "a: [\n", "b.yaml": "a: 1\na: 2\n", "c.yaml": config_map()}

    found = await findings(engines, plain(files))

    assert {(each.file, each.line) for each in found} == {("a.yaml", 2), ("b.yaml", 2)}
    assert {each.app for each in found} == {"web"}


async def test_a_template_sees_its_cluster(engines):
    values = {"cluster": {"name": "eu-1", "labels": {"region": "eu"}, "values": {"replicas": 3}}}
    files = {"a.yaml": config_map(text="{{ cluster.name }}-{{ cluster.labels.region }}-{{ cluster.values.replicas }}")}

    (manifest,) = await engines.render(plain(files, template="jinja", values=values))

    assert manifest["data"] == {"text": "eu-1-eu-3"}


async def test_a_label_that_a_template_lacks_is_an_error_with_its_line(engines):
    values = {"cluster": {"name": "eu-1", "labels": {}, "values": {}}}
    files = {"a.yaml": config_map(text="{{ cluster.labels.region }}")}

    (finding,) = await findings(engines, plain(files, template="jinja", values=values))

    assert (finding.code, finding.file, finding.line) == ("render.template", "a.yaml", 6)
    assert "region" in finding.message


async def test_without_a_template_braces_are_text(engines):
    (manifest,) = await engines.render(plain({"a.yaml": config_map(text='"{{ cluster.name }}"')}))

    assert manifest["data"] == {"text": "{{ cluster.name }}"}


async def test_a_bundle_depends_on_its_content_only(engines):
    """I12, A32: other files, orders and processes give the same digest."""
    one = await engines.bundle(plain({"a.yaml": config_map("a") + "---\n" + config_map("b")}))
    other = await engines.bundle(plain({"z/b.yaml": config_map("b"), "z/a.yaml": config_map("a")}))

    assert one.digest == other.digest
    assert one.keys == ("/ConfigMap:shop/a", "/ConfigMap:shop/b")
    assert [key_of(each).name for each in await engines.render(plain({"a.yaml": config_map("a")}))] == ["a"]


async def test_folders_of_manifests_read_as_other_tools_read_them(engines):
    """The cases of Argo CD's own tests; where it takes objects without a name, we say that they lack one (A6)."""
    nameless = set()
    for line in data_path("dir_manifests_argo.jsonl").read_text().splitlines():
        case = json.loads(line)
        files = {path: given.get("text") or b64decode(given["b64"]) for path, given in case["input"]["files"].items()}
        read = [path for path in sorted(files) if path.endswith((".yaml", ".yml", ".json"))]
        if case["input"]["options"]:
            continue
        try:
            objects = await engines.render(plain(files, read))
        except FindingsError as error:
            nameless |= {case["case"]} if {each.code for each in error.findings} == {"object.incomplete"} else set()
            objects = None
        if case["case"] not in nameless:
            assert case["expected"].get("objects") == (None if objects is None else len(objects)), case["case"]

    assert nameless == {f"{name}/default" for name in ("irrelevant-yaml", "valid-json", "weird-list")}
