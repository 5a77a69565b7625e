"""A commit, a checkout and a store give the same tree; what is no file name never becomes a path."""

import subprocess
from pathlib import Path

import pygit2
import pytest

from shared.core.trees import Entry, EntryKind, Tree
from shared.git.folder import FolderTree
from shared.git.objects import BadObjectError, ObjectKind, UnsafeNameError, entries, object_id, tree_bytes
from shared.git.repositories import open_bare
from shared.git.trees import GitTree, MissingObjectError, reader_of


@pytest.fixture
def checkout(tmp_path) -> Path:
    """A checkout with every kind of entry, committed by git itself."""
    root = tmp_path / "checkout"
    for name in ("a", "a.b/c", "a/deep/er"):
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "a" / "deep" / "er" / "x.yaml").write_text("x: 1\n")
    (root / "a.b" / "c" / "ü.txt").write_bytes(b"\r\nraw\x00\n")
    (root / "a" / "run").write_text("#!/bin/sh\n")
    (root / "a" / "run").chmod(0o755)
    (root / "link").symlink_to("./a/../a/run")
    (root / "dangling").symlink_to("nowhere")
    (root / ".gitignore").write_text("ignored\n")
    (root / "empty" / "below").mkdir(parents=True)
    git(root, "init", "-q", "-b", "main")
    git(root, "add", "-A")
    git(root, "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "one")
    return root


def git(root: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, text=True).stdout.strip()


def git_tree(root: Path) -> GitTree:
    return GitTree(reader_of(pygit2.Repository(str(root))), git(root, "rev-parse", "HEAD^{tree}"))


def walk(tree: Tree, path: str = "") -> dict[str, tuple[EntryKind, str, bytes]]:
    found = {}
    for entry in tree.folder(path):
        place = f"{path}/{entry.name}" if path else entry.name
        found[place] = (entry.kind, entry.id, b"" if entry.kind is EntryKind.FOLDER else tree.read(place))
        found |= walk(tree, place)
    return found


def test_a_checkout_has_the_ids_that_git_gave(checkout):
    assert FolderTree(checkout).root_id == git(checkout, "rev-parse", "HEAD^{tree}")


def test_a_checkout_and_its_commit_read_the_same(checkout):
    assert walk(FolderTree(checkout)) == walk(git_tree(checkout))


def test_entries_are_sorted_by_name(checkout):
    assert [entry.name for entry in git_tree(checkout).folder("")] == [".gitignore", "a", "a.b", "dangling", "link"]


@pytest.mark.parametrize("make", [FolderTree, git_tree])
@pytest.mark.parametrize(
    "path", ["missing", "a/missing", "a/run/x", "../checkout/a", "/a", "a/", "a//deep", "link/x", "."]
)
def test_paths_that_are_not_there_are_nothing(checkout, make, path):
    tree = make(checkout)

    assert tree.entry(path) is None
    assert tree.folder(path) == ()
    with pytest.raises(FileNotFoundError):
        tree.read(path)


@pytest.mark.parametrize("make", [FolderTree, git_tree])
def test_a_folder_cannot_be_read_as_a_file(checkout, make):
    with pytest.raises(FileNotFoundError):
        make(checkout).read("a")


def test_a_repository_inside_a_checkout_is_a_submodule(checkout):
    (checkout / "inner" / ".git").mkdir(parents=True)

    assert FolderTree(checkout).entry("inner").kind is EntryKind.SUBMODULE


@pytest.mark.parametrize("name", ["..", ".", ".git", ".GIT", "a/b", ""])
def test_a_name_that_leads_elsewhere_is_refused(name):
    blob = object_id(ObjectKind.BLOB, b"")
    data = tree_bytes([Entry(name, EntryKind.FILE, blob)])

    with pytest.raises(UnsafeNameError, match="apps/x"):
        entries(data, "apps/x")


def test_a_name_that_is_no_text_is_refused():
    with pytest.raises(UnsafeNameError):
        entries(b"100644 \xff\xfe\x00" + bytes(20))


@pytest.mark.parametrize(
    "data", [b"1", b"100644 a", b"100644 a\x00short", b"999999 a\x00" + bytes(20), b"x a\x00" + bytes(20)]
)
def test_bytes_that_are_no_tree_are_refused(data):
    with pytest.raises(BadObjectError):
        entries(data)


def test_an_object_that_is_not_there_is_named(tmp_path):
    tree = GitTree(reader_of(open_bare(tmp_path / "r.git")), "a" * 40)

    with pytest.raises(MissingObjectError, match="a" * 40):
        tree.folder("")


def test_a_real_repository_reads_as_git_lists_it(replay):
    repository = replay("podinfo-deploy", 40)
    listed = git(repository, "ls-tree", "-rt", "HEAD").splitlines()
    tree = GitTree(reader_of(open_bare(repository)), git(repository, "rev-parse", "HEAD^{tree}"))

    assert {path: entry[1] for path, entry in walk(tree).items()} == {
        line.split("\t")[1]: line.split()[2] for line in listed
    }
