"""A32, I12: the same commits give the same digests, whoever renders them, wherever, and however often."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from services.renderer.engines import Engines
from services.renderer.targets import plan_of
from shared.git.folder import FolderTree
from tests.support.determined import CLUSTERS, fleet_of
from tests.support.mapping_tree import MappingTree
from tests.support.rendering import config_map, kustomize, plain

PROJECT = Path(__file__).resolve().parents[2]
SERIES = ("podinfo-kustomize", "podinfo-chart", "podinfo-deploy", "flux2-kustomize-helm-example")
"""Together 507 commits."""
ONE = {"PYTHONHASHSEED": "1", "TZ": "UTC", "LC_ALL": "C.UTF-8"}
OTHER = {"PYTHONHASHSEED": "4242", "TZ": "Pacific/Auckland", "LC_ALL": "C", "LANGUAGE": "de", "HOME": "/nowhere"}


def start(repository, step, folder, environment, *, python=sys.executable, before=()):
    words = [*before, str(python), "-m", "tests.support.determined", str(repository), str(step)]
    variables = {"PATH": os.environ["PATH"], "PYTHONPATH": str(PROJECT), "TMPDIR": str(folder), **environment}
    return subprocess.Popen(words, cwd=folder, env=variables, stdout=subprocess.PIPE, text=True)


def told(process):
    said, _ = process.communicate()
    assert process.returncode == 0
    return json.loads(said)


def as_another_user():
    """Return the words that run a program as another user of this machine, or none where that is not possible."""
    words = ("unshare", "--user", "--map-user=1234", "--map-group=1234")
    known = (
        shutil.which("unshare") and subprocess.run([*words, "true"], capture_output=True, check=False).returncode == 0
    )
    return words if known else ()


def twice(replay, series, step, tmp_path):
    """Render commits of a history in two processes that share nothing but the commits, and return what both say."""
    here, there = tmp_path / "a", tmp_path / "another folder, ä"
    here.mkdir()
    there.mkdir(mode=0o700)
    copy = there / "copy.git"
    subprocess.run(["git", "clone", "--quiet", "--bare", str(replay(series)), str(copy)], check=True)
    processes = (
        start(replay(series), step, here, ONE),
        start(copy, step, there, OTHER, before=as_another_user()),
    )
    return [told(each)["digests"] for each in processes]


@pytest.mark.slow
@pytest.mark.parametrize("series", SERIES[2:])
def test_two_users_in_two_places_get_the_same_digests(series, replay, tmp_path):
    one, other = twice(replay, series, 40, tmp_path)

    assert one == other
    assert any(len(digests[0]) == 64 for digests in one.values())


@pytest.mark.long
@pytest.mark.parametrize("series", SERIES)
def test_five_hundred_real_commits_give_the_same_digests_twice(series, replay, tmp_path):
    one, other = twice(replay, series, 1, tmp_path)

    assert one == other
    assert any(len(digests[0]) == 64 for digests in one.values())


@pytest.mark.slow
def test_the_oldest_and_the_newest_python_give_the_same_digests(replay, tmp_path):
    oldest = PROJECT / ".venv-oldest" / "bin" / "python"
    if not oldest.exists():
        pytest.skip("needs the environment of the oldest Python: .ci/oldest makes it")
    for series in SERIES:
        newest, old = (told(start(replay(series), 20, tmp_path, ONE, python=each)) for each in (sys.executable, oldest))

        assert newest["python"] != old["python"]
        assert newest["digests"] == old["digests"]


@pytest.fixture
def checkout(replay, tmp_path):
    """The last commit of a history as files."""
    subprocess.run(["git", "clone", "--quiet", str(replay("podinfo-deploy")), str(tmp_path / "checkout")], check=True)
    return FolderTree(tmp_path / "checkout")


async def test_a_checkout_gives_what_its_commit_gives(replay, checkout, engines, trees_of):
    *_, tree = trees_of(replay("podinfo-deploy"))

    for one, other in zip(
        *(plan_of(fleet_of(each), each, CLUSTERS, {}).targets for each in (tree, checkout)), strict=True
    ):
        assert (await engines.bundle(one.inputs)).data == (await engines.bundle(other.inputs)).data


@pytest.mark.parametrize("make", [plain, kustomize])
async def test_the_order_of_files_changes_nothing(make, engines):
    """What a file system, git or a directory's hash says comes first has no part in a bundle."""
    names = [f"{each}.yaml" for each in ("cat", "ant", "bee", "zoo")]
    files = {name: config_map(name.removesuffix(".yaml")) for name in names}
    if make is kustomize:
        files["kustomization.yaml"] = f"resources: [{', '.join(names)}]\n"
    backwards = MappingTree(dict(reversed(files.items())))

    assert (await engines.bundle(make(files))).data == (await engines.bundle(make(files, tree=backwards))).data


async def test_the_order_of_resources_changes_nothing(engines):
    files = {f"{each}.yaml": config_map(each) for each in "cab"}
    bundles = {
        (await engines.bundle(kustomize({**files, "kustomization.yaml": f"resources: [{', '.join(order)}]\n"}))).data
        for order in (sorted(files), sorted(files, reverse=True))
    }

    assert len(bundles) == 1


async def test_children_that_served_others_before_give_the_same(engines):
    """A child keeps nothing of the jobs before."""
    wanted = plain({"a.yaml": config_map()})
    async with Engines(workers=1) as fresh:
        first = await fresh.bundle(wanted)
    for text in ("one", "two", "three"):
        await engines.bundle(kustomize({"kustomization.yaml": "resources: [a.yaml]", "a.yaml": config_map(text=text)}))

    assert (await engines.bundle(wanted)).data == first.data
