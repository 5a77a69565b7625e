"""Say why a cluster does not get an app, or not all of its layers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from services.renderer.inputs import AppInputs
from services.renderer.layers import CLUSTER, Layers
from shared.core.selectors import Selector, matches
from shared.fleet.fences import bounds_of
from shared.fleet.model import App, Cluster, Fleet

_LABEL = re.compile(r"\{([^{}]*)\}")


def why_not(fleet: Fleet, app: App, cluster: Cluster) -> str:
    """Return why an app is not for a cluster that it has no target on."""
    targets = app.written.targets
    if not any(matches(each, cluster.labels) for each in targets) and targets:
        return "; nor ".join(_mismatch(each, cluster.labels) for each in targets)
    bounds = bounds_of(fleet.file, app.written.project)
    if not bounds.holds(cluster.labels):
        return f"its project {app.written.project!r} has no such clusters: {_mismatch(bounds.clusters, cluster.labels)}"
    return ""


def absent_layers(app: App, inputs: AppInputs, cluster: Cluster) -> list[str]:
    """Return a sentence for each layer of an app that a cluster does not have."""
    labels = {**cluster.labels, CLUSTER: cluster.name}
    patterns = app.written.layers
    found = {index for index, _ in Layers(inputs.tree, inputs.path, patterns).of(labels)}
    return [_absent(pattern, labels) for index, pattern in enumerate(patterns) if index not in found]


def _absent(pattern: str, labels: Mapping[str, str]) -> str:
    missing = [name for name in _LABEL.findall(pattern) if name not in labels]
    if missing:
        return f"no layer {pattern}: it has no label {', '.join(map(repr, missing))}"
    return f"no layer {_LABEL.sub(lambda name: labels[name[1]], pattern)}: it is not in the repository"


def _mismatch(selector: Selector, labels: Mapping[str, str]) -> str:
    return ", ".join(_differences(selector, labels))


def _differences(selector: Selector, labels: Mapping[str, str]) -> Iterator[str]:
    for name, wanted in selector.items():
        values = (wanted,) if isinstance(wanted, str) else tuple(wanted)
        if labels.get(name) not in values:
            has = f"{name} is {labels[name]!r}" if name in labels else f"it has no label {name!r}"
            yield f"{has}, wanted is {' or '.join(map(repr, values))}"
