"""Find what a kustomization reaches: its own folder, and every folder and file that it takes in from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from services.renderer.layers import joined
from shared.core.kubeyaml import documents
from shared.core.trees import EntryKind, Tree
from shared.errors import FindingsError
from shared.fleet.read import KUSTOMIZATIONS, is_file

# Every field whose entries may stand outside of the folder.
_MEMBERS = (
    "resources",
    "bases",
    "components",
    "generators",
    "transformers",
    "validators",
    "crds",
    "configurations",
    "patchesStrategicMerge",
)
_WITH_PATH = ("patches", "patchesJson6902", "replacements")


class Reach:
    """What kustomizations of one tree reach; each is read once."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._read: dict[str, Mapping[str, Any] | None] = {}

    def kustomization(self, folder: str) -> Mapping[str, Any] | None:
        """Return the kustomization in `folder`; empty if it cannot be read, None if there is none."""
        if folder not in self._read:
            self._read[folder] = self._parsed(folder)
        return self._read[folder]

    def is_component(self, folder: str) -> bool:
        """Tell whether the kustomization in `folder` is one to be added to others."""
        return (self.kustomization(folder) or {}).get("kind") == "Component"

    def of(self, roots: Iterable[str]) -> tuple[str, ...]:
        """Return the folders and files that the kustomizations in `roots` reach, none inside of another."""
        waiting, seen = list(roots), set()
        while waiting:
            path = waiting.pop()
            if path in seen:
                continue
            seen.add(path)
            for text in _entries(self.kustomization(path) or {}):
                place = joined(path, text) if not text.startswith("/") else ""
                # What is not in the tree is no reach; the engine names it by file and line.
                if place and not place.startswith("..") and self._tree.entry(place) is not None:
                    waiting.append(place)
        return outermost(seen)

    def _parsed(self, folder: str) -> Mapping[str, Any] | None:
        entry = self._tree.entry(folder)
        if entry is None or entry.kind is not EntryKind.FOLDER:
            return None
        for name in KUSTOMIZATIONS:
            path = joined(folder, name)
            if is_file(self._tree, path):
                try:
                    found = documents(self._tree.read(path), path, repeated_keys=True)
                except FindingsError:
                    return {}
                return found[0].value if found and isinstance(found[0].value, dict) else {}
        return None


def outermost(paths: Iterable[str]) -> tuple[str, ...]:
    """Return the paths that are not inside of another one, sorted."""
    found: list[str] = []
    for path in sorted(set(paths), key=lambda each: each.split("/") if each else []):
        if not found or not (found[-1] == "" or path.startswith(f"{found[-1]}/")):
            found.append(path)
    return tuple(found)


def _entries(value: Mapping[str, Any]) -> Iterator[str]:
    texts: list[Any] = [member for field in _MEMBERS for member in _list(value.get(field))]
    texts += [
        member.get("path") for field in _WITH_PATH for member in _list(value.get(field)) if isinstance(member, dict)
    ]
    yield from (text for text in texts if isinstance(text, str) and "\n" not in text and ":" not in text)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
