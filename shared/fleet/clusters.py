"""Read the clusters that a fleet declares; a wrong one is alone."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field

from shared.core.kubeyaml import Document
from shared.core.trees import EntryKind, Tree
from shared.errors import Finding
from shared.fleet.checking import checked, sole_document
from shared.fleet.files import ClustersFile, WrittenCluster
from shared.fleet.model import Cluster

FOLDER = "clusters"


@dataclass(slots=True)
class Clusters:
    """What the files of clusters say."""

    clusters: tuple[Cluster, ...] = ()
    unreadable: tuple[str, ...] = ()
    """Names that stand twice or are declared wrongly."""
    findings: list[Finding] = field(default_factory=list)
    found: bool = False
    """There are files of clusters."""
    whole: bool = True
    """False: a file could not be read, so nobody knows which clusters it names."""


def read_clusters(tree: Tree) -> Clusters:
    """Return the clusters that the files in `clusters/` declare."""
    result = Clusters()
    declared: dict[str, list[Cluster]] = {}
    wrong: set[str] = set()
    for entry in tree.folder(FOLDER):
        if entry.kind not in {EntryKind.FILE, EntryKind.EXECUTABLE} or not entry.name.endswith((".yaml", ".yml")):
            continue
        result.found = True
        document = sole_document(tree, posixpath.join(FOLDER, entry.name), result.findings)
        file = checked(ClustersFile, document, result.findings) if document else None
        if document is None or file is None:
            result.whole = False
            continue
        for index in range(len(file.clusters)):
            cluster = _cluster(document, file, index, result, wrong)
            if cluster is not None:
                declared.setdefault(cluster.name, []).append(cluster)
    for name, entries in declared.items():
        if len(entries) > 1:
            wrong.add(name)
            result.findings += [_twice(entry, entries[0]) for entry in entries[1:]]
    result.clusters = tuple(entries[0] for name, entries in sorted(declared.items()) if name not in wrong)
    result.unreadable = tuple(sorted(wrong))
    return result


def _cluster(document: Document, file: ClustersFile, index: int, result: Clusters, wrong: set[str]) -> Cluster | None:
    written = checked(WrittenCluster, document, result.findings, ("clusters", index))
    if written is None:
        name = file.clusters[index].get("name")
        if isinstance(name, str):
            wrong.add(name)
        else:
            result.whole = False
        return None
    line, column = document.at(("clusters", index))
    labels, values = {**file.labels, **written.labels}, {**file.values, **written.values}
    version = written.kube_version or file.kube_version
    apis = tuple(sorted({*file.api_versions, *written.api_versions}))
    return Cluster(written.name, labels, values, document.file, line, column, version, apis)


def _twice(entry: Cluster, first: Cluster) -> Finding:
    return Finding(
        "fleet.duplicate-cluster",
        f"the cluster {entry.name!r} is declared twice, first at {first.file}:{first.line}",
        entry.file,
        entry.line,
        entry.column,
        "keep one of them; until then the cluster stays as it is",
        cluster=entry.name,
    )
