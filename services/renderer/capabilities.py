"""Decide which words about a cluster's Kubernetes a chart can depend on.

Clusters that differ in nothing that a chart asks for share its render. What a chart says in files is all that counts; of an
archive, which is not opened here, everything may.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from services.renderer.known import Known
from shared.core.trees import EntryKind, Tree
from shared.fleet.formats import ARCHIVES, CHART

_ASKED = re.compile(rb"\bCapabilities\b(?:\.(KubeVersion|APIVersions|HelmVersion)\b)?")
_WANTED = re.compile(rb"(?m)^\s*[\"']?kubeVersion\b")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a chart asks about Kubernetes."""

    version: bool = False
    api_versions: bool = False

    def __or__(self, other: Asked) -> Asked:
        return Asked(self.version or other.version, self.api_versions or other.api_versions)


ANYTHING = Asked(version=True, api_versions=True)

_KNOWN: Known[tuple[str, bool], Asked] = Known(50_000)
"""By the id of a file's content, so it holds whatever tree the file is in: equal files are read once a process.

And by whether it is a chart's own file: the same text asks for a version there only.
"""


def asked(tree: Tree, paths: Iterable[str], inline: bytes = b"") -> Asked:
    """Return what the files and folders `paths` of a chart, its values too, ask for; `inline` are values without a file."""
    found = _asked_in(inline)
    for path in paths:
        for file, kind, content_id in _files(tree, path):
            if file.endswith(ARCHIVES):
                return ANYTHING
            if kind in {EntryKind.FILE, EntryKind.EXECUTABLE}:
                found |= _of_file(tree, file, content_id)
    return found


def _of_file(tree: Tree, file: str, content_id: str) -> Asked:
    is_chart = file.rpartition("/")[2] == CHART

    def find() -> Asked:
        content = tree.read(file)
        return _asked_in(content) | Asked(version=is_chart and bool(_WANTED.search(content)))

    return _KNOWN.of((content_id, is_chart), find)


def _asked_in(content: bytes) -> Asked:
    found = Asked()
    for match in _ASKED.finditer(content):
        if match[1] is None:
            return ANYTHING
        found |= Asked(match[1] == b"KubeVersion", match[1] == b"APIVersions")
    return found


def _files(tree: Tree, path: str) -> Iterator[tuple[str, EntryKind, str]]:
    entry = tree.entry(path)
    if entry is None:
        return
    if entry.kind is not EntryKind.FOLDER:
        yield path, entry.kind, entry.id
        return
    for each in tree.folder(path):
        yield from _files(tree, f"{path}/{each.name}".lstrip("/"))
