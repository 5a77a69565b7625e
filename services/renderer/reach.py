"""Find what a kustomization reaches: its own folder, and every folder and file that it takes in from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from services.renderer.known import Known
from services.renderer.layers import joined
from shared.core.kubeyaml import documents
from shared.core.trees import EntryKind, Tree
from shared.errors import FindingsError
from shared.fleet.formats import KUSTOMIZATIONS

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
FILES_KEPT = 20_000
_FILES = frozenset({EntryKind.FILE, EntryKind.EXECUTABLE})
_WITH_PATH = ("patches", "patchesJson6902", "replacements")


class Said(NamedTuple):
    """What a kustomization says of its place among others."""

    is_component: bool = False
    entries: tuple[str, ...] = ()
    """What it takes in, as it is written."""


_KNOWN: Known[str, Said] = Known(FILES_KEPT)


class Reach:
    """What kustomizations of one tree reach; each is read once."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._read: dict[str, Said | None] = {}
        self._reached: dict[str, frozenset[str]] = {}

    def kustomization(self, folder: str) -> Said | None:
        """Return what the kustomization in `folder` says; nothing if it cannot be read, None if there is none."""
        if folder not in self._read:
            self._read[folder] = self._said(folder)
        return self._read[folder]

    def is_component(self, folder: str) -> bool:
        """Tell whether the kustomization in `folder` is one to be added to others."""
        return (self.kustomization(folder) or Said()).is_component

    def of(self, roots: Iterable[str]) -> tuple[str, ...]:
        """Return the folders and files that the kustomizations in `roots` reach, none inside of another."""
        found: set[str] = set()
        for root in roots:
            found.add(root)
            for path in self._entries(root):
                found |= self._closure(path)
        return outermost(found)

    def _closure(self, path: str) -> frozenset[str]:
        """Return what `path` reaches, itself included; what a base reaches is found once for all that take it in."""
        if path not in self._reached:
            waiting, seen = [path], set[str]()
            while waiting:
                place = waiting.pop()
                if place not in seen:
                    seen.add(place)
                    waiting += self._entries(place)
            self._reached[path] = frozenset(seen)
        return self._reached[path]

    def _entries(self, path: str) -> Iterator[str]:
        for text in (self.kustomization(path) or Said()).entries:
            place = joined(path, text) if not text.startswith("/") else ""
            # What is not in the tree is no reach; the engine names it by file and line.
            if place and not place.startswith("..") and self._tree.entry(place) is not None:
                yield place

    def _said(self, folder: str) -> Said | None:
        entry = self._tree.entry(folder)
        if entry is None or entry.kind is not EntryKind.FOLDER:
            return None
        for name in KUSTOMIZATIONS:
            path = joined(folder, name)
            found = self._tree.entry(path)
            if found is not None and found.kind in _FILES:
                return self._known(found.id, path)
        return None

    def _known(self, id_: str, path: str) -> Said:
        """Return what a file says; equal ids are equal contents, from one commit to the next."""
        return _KNOWN.of(id_, lambda: _said(self._tree.read(path)))


def _said(content: bytes) -> Said:
    try:
        found = documents(content, "", repeated_keys=True)
    except FindingsError:
        return Said()
    value = found[0].value if found else None
    return Said(value.get("kind") == "Component", tuple(_entries(value))) if isinstance(value, dict) else Said()


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
