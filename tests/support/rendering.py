"""Inputs of engines as tests write them, and engines that end with their test."""

from collections.abc import AsyncIterator

import pygit2
import pytest
import pytest_asyncio

from services.renderer.engines import Engines
from services.renderer.inputs import AppInputs
from services.renderer.targets import plan_of
from shared.core.canonical import encode
from shared.errors import FindingsError
from shared.fleet.model import Cluster
from shared.fleet.read import read_app_folder
from shared.git.trees import GitTree, reader_of
from tests.support.mapping_tree import MappingTree

CONFIG_MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  text: {text}\n"


def config_map(name="web", text="hello"):
    return CONFIG_MAP.format(name=name, text=text)


def plain(files, *layers, template="", values=None, tree=None):
    """Inputs of plain manifests; `layers` are groups of paths, all files in one by default."""
    groups = layers or (tuple(sorted(files)),)
    return AppInputs(
        app="web",
        engine="plain",
        namespace="shop",
        tree=tree or MappingTree(files),
        path="",
        reads=tuple(sorted(path for group in groups for path in group)),
        files=tuple(tuple(group) for group in groups),
        template=template,
        values=encode(values).decode() if values else "",
    )


def kustomize(files, root="", *, layers=(), reads=("",), tree=None):
    return AppInputs(
        app="web",
        engine="kustomize",
        namespace="shop",
        tree=tree or MappingTree(files),
        path=root,
        reads=reads,
        root=root,
        layers=layers,
    )


def helm(files, root="chart", *, layers=(), tree=None, **parameters):
    return AppInputs(
        app="web",
        engine="helm",
        namespace="shop",
        tree=tree or MappingTree(files),
        path="",
        reads=("",),
        root=root,
        layers=layers,
        parameters=encode({"release": "web", **parameters}).decode(),
    )


async def findings(engines, inputs):
    """Return the findings that forbid a bundle of `inputs`."""
    try:
        bundle = await engines.bundle(inputs)
    except FindingsError as error:
        return error.findings
    raise AssertionError(f"rendered although it should not: {bundle.data.decode()}")


async def outcome(engines, files):
    """Return the code that an app fails with, or `rendered`, and all that people would read of it."""
    tree = MappingTree(files)
    fleet = read_app_folder(tree, "web")
    targets = plan_of(fleet, tree, (Cluster("c"),), {}).targets
    found = [*fleet.errors, *(each for target in targets for each in target.findings)]
    if found or not targets:
        return found[0].code, str(found)
    try:
        bundle = await engines.bundle(targets[0].inputs)
    except FindingsError as error:
        return error.findings[0].code, str(error)
    return "rendered", bundle.data.decode()


@pytest_asyncio.fixture
async def engines() -> AsyncIterator[Engines]:
    async with Engines(workers=1) as running:
        yield running


@pytest.fixture
def trees_of():
    """A function: path of a bare repository → the trees of its commits, oldest first."""

    def trees(path):
        repository = pygit2.Repository(str(path))
        order = pygit2.enums.SortMode.TOPOLOGICAL | pygit2.enums.SortMode.REVERSE
        for commit in repository.walk(repository.head.target, order):
            yield GitTree(reader_of(repository), str(commit.tree_id))

    return trees
