"""Decide which layers of an app a cluster gets: `overlays/{env}` with the labels put in, where it exists."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence

from shared.core.trees import EntryKind, Tree

CLUSTER = "cluster"
_LABEL = re.compile(r"\{([^{}]*)\}")
# A label may come from an agent: it names one file or folder, and never a way out.
_ONE_NAME = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]+")


class Layers:
    """The layers that an app's `layers` can name in its tree."""

    def __init__(self, tree: Tree, folder: str, patterns: Sequence[str]) -> None:
        self._tree = tree
        self._patterns = tuple(joined(folder, pattern) for pattern in patterns)
        self.labels = tuple(sorted({name for pattern in patterns for name in _LABEL.findall(pattern)}))
        """The labels that decide."""

    def of(self, labels: Mapping[str, str]) -> tuple[tuple[int, str], ...]:
        """Return the layers that exist for a cluster with `labels` (`cluster` is its name): position and path."""
        found = ((index, _filled(pattern, labels)) for index, pattern in enumerate(self._patterns))
        return tuple((index, path) for index, path in found if path is not None and self._tree.entry(path) is not None)

    def possible(self) -> Iterator[str]:
        """Yield every path that some cluster could get as a layer."""
        for pattern in self._patterns:
            yield from _matching(self._tree, "", pattern.split("/"))


def joined(folder: str, path: str) -> str:
    """Return the path in the tree; it begins with `..` where it leads out."""
    found = posixpath.normpath(posixpath.join(folder, path.lstrip("/")))
    return "" if found == "." else found


def _filled(pattern: str, labels: Mapping[str, str]) -> str | None:
    """Return the pattern with labels put in; None where the cluster has no such label."""
    names = _LABEL.findall(pattern)
    if not all(_ONE_NAME.fullmatch(labels.get(name, "")) for name in names):
        return None
    return _LABEL.sub(lambda name: labels[name[1]], pattern)


def _matching(tree: Tree, folder: str, parts: Sequence[str]) -> Iterator[str]:
    part, rest = parts[0], parts[1:]
    wanted = re.compile(_LABEL.sub("[A-Za-z0-9._-]+", "".join(_escaped(part))))
    names = (entry.name for entry in tree.folder(folder) if wanted.fullmatch(entry.name)) if "{" in part else (part,)
    for name in names:
        path = posixpath.join(folder, name)
        entry = tree.entry(path)
        if entry is not None and not rest:
            yield path
        elif entry is not None and entry.kind is EntryKind.FOLDER:
            yield from _matching(tree, path, rest)


def _escaped(part: str) -> Iterator[str]:
    """Yield the pieces of a part, all but the labels made safe for a regular expression."""
    position = 0
    for label in _LABEL.finditer(part):
        yield re.escape(part[position : label.start()])
        yield label[0]
        position = label.end()
    yield re.escape(part[position:])
