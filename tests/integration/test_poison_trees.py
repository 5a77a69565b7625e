"""S1, A17: trees that git stores and no file system should see, made as `git hash-object --literally` makes them.

Each stands beside an app, within a kustomization, and within a chart. None may be rendered with anything from outside of the
commit, and none may raise anything but an error with a code.
"""

import pygit2
import pytest

from services.renderer.engines import Engines
from services.renderer.targets import plan_of
from shared.errors import FindingsError, TowlineError
from shared.fleet.model import Cluster
from shared.fleet.read import read_app_folder
from shared.git.trees import GitTree, reader_of
from tests.support.poison import CANARY, CHART, outside
from tests.support.rendering import config_map

FILE, LINK, FOLDER, SUBMODULE = "100644", "120000", "40000", "160000"
MISSING = "deadbeef" * 5
LINKS = {
    "link upwards": "../../../../../../../../../..{out}/secret.yaml",
    "link to the root": "/etc/passwd",
    "link to the environment": "/proc/self/environ",
    "link to itself": "x.yaml",
    "link to a neighbour": "a.yaml",
    "link to a folder": "{out}",
    "link of zeros": "a\0b",
}
NAMES = {
    "dot": b".",
    "two dots": b"..",
    "none": b"",
    "git": b".git",
    "git in capitals": b".GIT",
    "slash": b"../x.yaml",
    "absolute": b"/etc/x.yaml",
    "backslash": b"..\\x.yaml",
    "newline": b"a\nb.yaml",
    "escape": b"\x1b[31m.yaml",
    "delete": b"a\x7f.yaml",
    "too long": b"a" * 300 + b".yaml",
    "no text": b"\xff\xfe.yaml",
}
ODD = {
    "submodule": (SUBMODULE, b"x.yaml", MISSING),
    "file that is missing": (FILE, b"x.yaml", MISSING),
    "folder that is missing": (FOLDER, b"x", MISSING),
    "unknown mode": ("777777", b"x.yaml", None),
    "mode of a device": ("20000", b"x.yaml", None),
    "mode that is none": ("abc", b"x.yaml", None),
    "file as a folder": (FOLDER, b"x", None),
}


class Objects:
    """A bare repository that is given objects as they are."""

    def __init__(self, path):
        self._repository = pygit2.init_repository(str(path), bare=True)

    def write(self, kind, data):
        """Return the id of an object of `kind`, whatever its bytes."""
        return str(self._repository.odb.write(kind, data))

    def tree(self, *members):
        """Return the id of a tree with these entries in this order: mode, name and id."""
        return self.write(
            pygit2.enums.ObjectType.TREE,
            b"".join(m.encode() + b" " + n + b"\0" + bytes.fromhex(i) for m, n, i in members),
        )

    def blob(self, text):
        """Return the id of a file."""
        return self.write(pygit2.enums.ObjectType.BLOB, text.encode())

    def read(self, root):
        """Return a tree as the renderer sees it."""
        return GitTree(reader_of(self._repository), root)


def entries(objects, out):
    """Yield each hostile entry by name."""
    content = objects.blob(config_map("x"))
    for name, target in LINKS.items():
        yield name, (LINK, b"x.yaml", objects.blob(target.replace("{out}", str(out))))
    for name, own in NAMES.items():
        yield f"name: {name}", (FILE, own, content)
    for name, (mode, own, target) in ODD.items():
        yield name, (mode, own, target or content)


def apps(objects, entry):
    """Yield the roots of three apps that hold an entry: plain manifests, a kustomization, a chart."""
    manifest = (FILE, b"a.yaml", objects.blob(config_map("a")))
    lists = (FILE, b"kustomization.yaml", objects.blob("resources: [a.yaml]\n"))
    named = (FILE, b"kustomization.yaml", objects.blob("resources: [a.yaml, x.yaml]\n"))
    chart = (FILE, b"Chart.yaml", objects.blob(CHART))
    yield "plain", objects.tree(manifest, entry)
    yield "kustomize", objects.tree(manifest, lists, entry)
    yield "kustomize by name", objects.tree(manifest, named, entry)
    yield "helm", objects.tree(chart, (FOLDER, b"templates", objects.tree(manifest, entry)))


async def ended(engines, tree):
    """Return the code that a tree ends with, or what is rendered of it."""
    try:
        fleet = read_app_folder(tree, "web")
        (target,) = plan_of(fleet, tree, (Cluster("c"),), {}).targets
        if target.inputs is None:
            return target.findings[0].code
        return (await engines.bundle(target.inputs)).data.decode()
    except FindingsError as error:
        return error.findings[0].code
    except TowlineError as error:
        return error.code


@pytest.mark.slow
async def test_hostile_trees_are_refused_or_harmless(tmp_path):
    """S1, A17."""
    out, objects, told = outside(tmp_path / "outside"), Objects(tmp_path / "repo.git"), {}
    async with Engines(workers=2) as engines:
        for name, entry in entries(objects, out):
            for kind, root in apps(objects, entry):
                told[name, kind] = await ended(engines, objects.read(root))

    rendered = {place: text for place, text in told.items() if text.startswith("{")}
    assert len(told) >= 60
    assert not any(CANARY in text or "root:" in text for text in told.values())
    # A link beside a kustomization or plain manifests that do not name it is no part of them.
    assert {name for name, _ in rendered} <= {*LINKS, "submodule"}


@pytest.mark.parametrize(
    "file", [b"app.yaml", b"kustomization.yaml", b"Chart.yaml", b"values.yaml", b".helmignore", b"templates"]
)
async def test_a_link_in_place_of_what_tools_read_first_is_never_followed(file, tmp_path, engines):
    """S1, A17."""
    out, objects = outside(tmp_path / "outside"), Objects(tmp_path / "repo.git")
    link = (LINK, file, objects.blob(str(out / "secret.yaml")))
    manifest = (FILE, b"a.yaml", objects.blob(config_map("a")))
    chart = (FILE, b"Chart.yaml", objects.blob(CHART))
    members = [link, *([chart] if file not in {b"Chart.yaml", b"app.yaml", b"kustomization.yaml"} else [manifest])]

    assert CANARY not in await ended(engines, objects.read(objects.tree(*members)))


async def test_a_tree_that_holds_itself_a_billion_times_ends(tmp_path, engines):
    """S1: ten folders, each ten times in the next, are ten objects of git and ten billion files."""
    objects = Objects(tmp_path / "repo.git")
    tree = objects.tree((FILE, b"a.yaml", objects.blob(config_map())))
    for _ in range(10):
        tree = objects.tree(*((FOLDER, b"%d" % n, tree) for n in range(10)))
    root = objects.tree((FILE, b"kustomization.yaml", objects.blob("resources: [a.yaml]\n")), (FOLDER, b"x", tree))

    assert await ended(engines, objects.read(root)) == "render.too-large"


async def test_folders_without_end_are_refused(tmp_path, engines):
    """S1."""
    objects = Objects(tmp_path / "repo.git")
    tree = objects.tree((FILE, b"a.yaml", objects.blob(config_map())))
    for _ in range(200):
        tree = objects.tree((FOLDER, b"x", tree))
    root = objects.tree((FILE, b"kustomization.yaml", objects.blob("resources: [a.yaml]\n")), (FOLDER, b"x", tree))

    assert await ended(engines, objects.read(root)) == "render.too-large"
