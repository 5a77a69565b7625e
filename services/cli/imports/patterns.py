"""Find the one path that differs between clusters only by what a label says: `overlays/{env}`."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace

from services.cli.imports.model import ClusterFound, Draft
from services.renderer.layers import CLUSTER


def general(drafts: Sequence[Draft], clusters: Sequence[ClusterFound]) -> list[Draft]:
    """Return the drafts of one app with patterns for layers and plain manifests, where one says it for all clusters."""
    labels = {each.name: {**each.labels, CLUSTER: each.name} for each in clusters}
    layers = _patterns({each.cluster: each.layers for each in drafts}, labels)
    plain = _patterns({each.cluster: each.plain for each in drafts}, labels)
    found = [replace(each, layers=layers) for each in drafts] if layers is not None else list(drafts)
    return [replace(each, plain=plain) for each in found] if plain is not None else found


def _patterns(lists: Mapping[str, tuple[str, ...]], labels: Mapping[str, Mapping[str, str]]) -> tuple[str, ...] | None:
    """Return one pattern for each place of lists of paths, or None where one of them has none."""
    if len({len(each) for each in lists.values()}) != 1:
        return None
    found = [pattern(dict(zip(lists, paths, strict=True)), labels) for paths in zip(*lists.values(), strict=True)]
    return tuple(each for each in found if each is not None) if None not in found else None


def pattern(paths: Mapping[str, str], labels: Mapping[str, Mapping[str, str]]) -> str | None:
    """Return the path with a label in it that stands for all `paths`, by cluster; None where there is none."""
    if len(set(paths.values())) == 1:
        return next(iter(paths.values()))
    shared = set.intersection(*(set(labels.get(each, {})) for each in paths))
    # A label says more than a name: a new cluster with the same label gets the same.
    for label in sorted(shared, key=lambda each: (each == CLUSTER, each)):
        found = {_with(path, labels[cluster][label], label) for cluster, path in paths.items()}
        if len(found) == 1:
            return found.pop()
    return None


def deciding(contents: Mapping[str, Hashable], clusters: Sequence[ClusterFound]) -> str:
    """Return the label that says what a cluster gets, where there is one; else `cluster`."""
    labels = {each.name: each.labels for each in clusters}
    shared = set.intersection(*(set(labels.get(each, {})) for each in contents)) - {CLUSTER}
    for label in sorted(shared):
        seen: dict[str, set[Hashable]] = {}
        for cluster, content in contents.items():
            seen.setdefault(labels[cluster][label], set()).add(content)
        if all(len(each) == 1 for each in seen.values()):
            return label
    return CLUSTER


def _with(path: str, value: str, label: str) -> str:
    return re.sub(rf"(?<![A-Za-z0-9]){re.escape(value)}(?![A-Za-z0-9])", f"{{{label}}}", path)
