"""A program: render commits of a repository for some clusters, and print the digest of every target.

It runs as a process of its own, so that a test can give it another user, folder, locale, time zone, hash seed and Python.
"""

import asyncio
import json
import sys
from pathlib import Path

import pygit2

from services.renderer.engines import Engines
from services.renderer.targets import plan_of
from shared.errors import FindingsError
from shared.fleet.files import AppFile
from shared.fleet.model import App, Cluster, Fleet
from shared.fleet.read import read_fleet
from shared.git.trees import GitTree, reader_of

CLUSTERS = tuple(Cluster(env, {"env": env}) for env in ("dev", "production", "staging"))
# Folders of the histories that differ by environment; where none is there, the repository is one app.
LAYERS = ("overlays/{env}", "apps/{env}", "clusters/{env}")


async def main(path, step):
    """Print the digests of every `step`th commit, and the last."""
    repository = pygit2.Repository(path)
    order = pygit2.enums.SortMode.TOPOLOGICAL | pygit2.enums.SortMode.REVERSE
    commits = list(repository.walk(repository.head.target, order))
    chosen = {each.id: each for each in [*commits[::step], commits[-1]]}.values()
    known, found = {}, {}
    async with Engines(workers=1) as engines:
        for commit in chosen:
            tree = GitTree(reader_of(repository), str(commit.tree_id))
            for target in plan_of(fleet_of(tree), tree, CLUSTERS, {}).targets:
                key = target.inputs.key if target.inputs else ""
                if key not in known or not key:
                    known[key] = await told(engines, target)
                found[f"{commit.id} {target.cluster}/{target.app}"] = known[key]
    sys.stdout.write(json.dumps({"python": list(sys.version_info[:2]), "digests": found}))


def fleet_of(tree):
    """Return the fleet of a tree: its own, or one app of the layers that it has."""
    fleet = read_fleet(tree, "app")
    layers = tuple(each for each in LAYERS if tree.entry(each.partition("/")[0]) is not None)
    if fleet.file is not None or not layers:
        return fleet
    return Fleet(
        "app", apps=tuple(App(name(each), "", "", AppFile(layers=(each,)), layer_places=((1, 1),)) for each in layers)
    )


def name(layer):
    """Return the name of the app of a layer."""
    return layer.partition("/")[0]


async def told(engines, target):
    """Return the digest of a target, or everything that is wrong with it."""
    if target.inputs is None:
        return [str(each) for each in target.findings]
    try:
        bundle = await engines.bundle(target.inputs)
    except FindingsError as error:
        return [str(each) for each in error.findings]
    return [bundle.digest, *map(str, bundle.warnings)]


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
