"""Take from a tree the files that an engine may see; what is no plain file is refused (S1)."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from services.renderer.inputs import AppInputs
from shared.core.trees import Entry, EntryKind, Tree
from shared.errors import Finding, FindingsError

MAX_FILES = 10_000
MAX_BYTES = 50_000_000
DEPTH = 64
_LFS = b"version https://git-lfs.github.com/spec/"
_REFUSED = {
    EntryKind.SYMLINK: ("render.symlink", "is a symbolic link, which engines do not follow", "commit the file itself"),
    EntryKind.SUBMODULE: ("render.submodule", "is a submodule, whose files are not fetched", "name it as a source"),
}


def collected(inputs: AppInputs) -> dict[str, bytes]:
    """Return the files below what the app reads, by path, in order. It blocks: the tree is read here.

    Raises:
        FindingsError: links, submodules, unsafe names, pointers to Git LFS, or more than an app may have.
    """
    findings: list[Finding] = []
    files: dict[str, bytes] = {}
    total = 0
    for path, entry in _entries(inputs):
        problem = _problem(path, entry)
        if problem is not None:
            findings.append(problem)
            continue
        files[path] = content = inputs.tree.read(path)
        total += len(content)
        if content.startswith(_LFS):
            text = "the file is a pointer to Git LFS, whose content is not fetched"
            findings.append(Finding("render.lfs-pointer", text, path, hint="store it in git itself"))
        if len(files) > MAX_FILES or total > MAX_BYTES:
            text = f"the app reads more than {MAX_FILES} files or {MAX_BYTES} bytes"
            hint = "move it into a folder that holds its own files only"
            raise FindingsError([Finding("render.too-large", text, inputs.path, hint=hint)])
    if findings:
        raise FindingsError(findings)
    return files


def _entries(inputs: AppInputs) -> Iterator[tuple[str, Entry]]:
    """Yield everything but folders below what the app reads; what hides in a folder with a dot is no part of it."""
    for path in inputs.reads:
        entry = inputs.tree.entry(path)
        if entry is None:
            continue
        if entry.kind is EntryKind.FOLDER:
            yield from _below(inputs.tree, path, DEPTH)
        else:
            yield path, entry


def _below(tree: Tree, folder: str, depth: int) -> Iterator[tuple[str, Entry]]:
    if depth == 0:
        raise FindingsError([Finding("render.too-large", f"folders are nested deeper than {DEPTH}", folder)])
    for entry in tree.folder(folder):
        path = posixpath.join(folder, entry.name)
        if entry.kind is not EntryKind.FOLDER:
            yield path, entry
        elif not entry.name.startswith("."):
            yield from _below(tree, path, depth - 1)


def _problem(path: str, entry: Entry) -> Finding | None:
    if entry.kind in _REFUSED:
        code, text, hint = _REFUSED[entry.kind]
        return Finding(code, f"{path} {text}", path, hint=hint)
    if any(not _is_safe(name) for name in path.split("/")):
        return Finding("render.unsafe-path", f"{path!r} is no safe path", path, hint="rename the file")
    return None


def _is_safe(name: str) -> bool:
    """Tell whether every tool and file system takes `name` for one file in its folder."""
    return (
        name.lower() not in {"", ".", "..", ".git"}
        and len(name.encode()) <= 255
        and not any(character in "\\/\x7f" or character < " " for character in name)
    )
