"""Find where in a repository something is written: an object by its kind and name, a field by its path."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from shared.core.kubeyaml import Document, documents
from shared.core.objects import group_of
from shared.core.trees import EntryKind, Tree
from shared.errors import Finding, FindingsError
from shared.fleet.read import yaml_files

Path = tuple[str | int, ...]


class Places:
    """All YAML documents of a tree; files that cannot be read are left out, for who needs them says so."""

    def __init__(self, tree: Tree) -> None:
        self.documents: list[Document] = []
        self._named: dict[tuple[str, str], list[Document]] = {}
        for path in yaml_files(tree, ""):
            try:
                self.documents += documents(tree.read(path), path)
            except FindingsError:
                continue
        for document in self.documents:
            kind, name = identity(document.value)
            if kind:
                self._named.setdefault((kind, name), []).append(document)

    def of_groups(self, *groups: str) -> list[Document]:
        """Return the documents that are objects of API groups with one of these endings."""
        return [each for each in self.documents if is_of(each.value, groups)]

    def left_out(self, manifest: Mapping[str, Any], path: Path, message: str, hint: str) -> Finding:
        """Return that a field of an object is not taken over, at the place where it is written, as far as that is known."""
        kind, name = identity(manifest)
        written = self._named.get((kind, name)) or self._named.get((kind, "_")) or []
        namespace = metadata_of(manifest).get("namespace")
        written = [each for each in written if metadata_of(each.value).get("namespace") in {None, namespace}] or written
        best = next((each for each in written if _has(each.value, path)), written[0] if written else None)
        line, column = best.at(path) if best else (0, 0)
        file = best.file if best else ""
        return Finding("import.left-out", f"{kind} {name!r} {message}", file, line, column, hint, severity="warning")


def identity(value: Any) -> tuple[str, str]:
    """Return kind and name of an object; empty texts where it is none."""
    if not isinstance(value, Mapping) or not isinstance(value.get("kind"), str):
        return "", ""
    return value["kind"], str(metadata_of(value).get("name") or "")


def metadata_of(value: Any) -> Mapping[str, Any]:
    """Return the metadata of an object, empty where it has none."""
    metadata = value.get("metadata") if isinstance(value, Mapping) else None
    return metadata if isinstance(metadata, Mapping) else {}


def is_of(value: Any, groups: Sequence[str]) -> bool:
    """Tell whether a value is an object of an API group with one of these endings."""
    version = value.get("apiVersion") if isinstance(value, Mapping) else None
    return isinstance(version, str) and group_of(version).endswith(tuple(groups))


def within(path: str, folder: str) -> bool:
    """Tell whether a path is a folder, or below it."""
    return not folder or path == folder or path.startswith(f"{folder}/")


def folders_below(tree: Tree, folder: str) -> Iterator[str]:
    """Yield every folder below `folder`, each before those in it, but none with a dot."""
    for entry in tree.folder(folder):
        if entry.kind is EntryKind.FOLDER and not entry.name.startswith("."):
            path = posixpath.join(folder, entry.name)
            yield path
            yield from folders_below(tree, path)


def files_below(tree: Tree, folder: str) -> Iterator[str]:
    """Yield every file below `folder`, in order, but not what hides in folders with a dot."""
    for entry in tree.folder(folder):
        path = posixpath.join(folder, entry.name)
        if entry.kind is EntryKind.FOLDER and not entry.name.startswith("."):
            yield from files_below(tree, path)
        elif entry.kind in {EntryKind.FILE, EntryKind.EXECUTABLE}:
            yield path


def files_at(tree: Tree, path: str) -> Iterator[str]:
    """Yield the files of a folder, or the file itself."""
    entry = tree.entry(path)
    is_folder = entry is not None and entry.kind is EntryKind.FOLDER
    yield from files_below(tree, path) if is_folder else (path,)


def _has(value: Any, path: Path) -> bool:
    for step in path:
        try:
            value = value[step]
        except (TypeError, LookupError):
            return False
    return True
