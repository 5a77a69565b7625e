"""Say which variables an app has on a cluster, and which of them its files name."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from services.renderer.envsubst import names_in
from services.renderer.known import Known
from shared.core.canonical import encode
from shared.core.trees import EntryKind, Tree
from shared.fleet.files import Substitute
from shared.fleet.model import Cluster

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_]")
_FILES = frozenset({EntryKind.FILE, EntryKind.EXECUTABLE})
_KNOWN: Known[str, frozenset[str]] = Known(50_000)
"""By the id of a file's content: equal files are read once a process."""


def variables_of(cluster: Cluster, written: Substitute) -> dict[str, str]:
    """Return the variables of an app on `cluster`: labels, then values, then `cluster_name`, then those of the app.

    Names get `_` for what no name may hold, and between the steps of what is nested. As in Flux, line breaks go.
    """
    given = [*cluster.labels.items(), *_scalars("", cluster.values), ("cluster_name", cluster.name)]
    named = {_NOT_IN_NAMES.sub("_", name): text for name, text in given} | written.vars
    return {name: text.replace("\n", "") for name, text in named.items()}


def _scalars(prefix: str, values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _scalars(f"{prefix}{name}_", value)
        elif not isinstance(value, list | tuple) and value is not None:
            yield f"{prefix}{name}", value if isinstance(value, str) else encode(value).decode()


def named(tree: Tree, paths: Iterable[str]) -> set[str]:
    """Return the variables that the files at and below `paths` name."""
    return set().union(*_named(tree, paths))


def _named(tree: Tree, paths: Iterable[str]) -> Iterator[frozenset[str]]:
    for path in paths:
        entry = tree.entry(path)
        if entry is not None and entry.kind in _FILES:
            yield _KNOWN.of(entry.id, partial(_in_file, tree, path))
        elif entry is not None and entry.kind is EntryKind.FOLDER:
            yield from _named(tree, (posixpath.join(path, each.name) for each in tree.folder(path)))


def _in_file(tree: Tree, path: str) -> frozenset[str]:
    return frozenset(names_in(tree.read(path).decode(errors="replace")))
