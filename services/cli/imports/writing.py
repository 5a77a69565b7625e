"""Decide which files an import writes: one folder an app, with what differs between clusters in layers.

What an app is made of stays as it was, below `manifests/`, because kustomizations refer to each other by path.
"""

from __future__ import annotations

import posixpath
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.cli.imports.model import MANIFESTS, Draft, Import, Key
from services.cli.imports.patterns import deciding, general, pattern
from services.cli.imports.text import KUSTOMIZATION, yaml_text
from services.renderer.layers import CLUSTER
from shared.core.canonical import encode

_MEMBERS = ("resources", "components")


@dataclass(slots=True)
class Written:
    """The files of a fleet, and which app each draft became."""

    files: dict[str, str] = field(default_factory=dict)
    apps: dict[tuple[Key, str], str] = field(default_factory=dict)
    """By draft and cluster."""
    copied: set[str] = field(default_factory=set)
    """Files and folders of the other repository to copy below `manifests/`."""


def written(found: Import) -> Written:
    """Return the fleet that `found` becomes."""
    result = Written()
    groups = _groups(found)
    for name, drafts in groups.items():
        result.apps |= {(each.key, each.cluster): name for each in drafts}
    for name, drafts in groups.items():
        _app(name, drafts, found, result)
    result.files["fleet.yaml"] = yaml_text({"version": 1, **({"projects": found.projects} if found.projects else {})})
    if found.clusters:
        clusters = [{"name": each.name, "labels": {**each.labels, CLUSTER: each.name}} for each in found.clusters]
        result.files["clusters/imported.yaml"] = yaml_text({"clusters": clusters})
    for path, text in found.added.items():
        result.files[posixpath.join(MANIFESTS, path)] = text
    return result


def _groups(found: Import) -> dict[str, list[Draft]]:
    """Return the drafts by the app that they become: one for all clusters where only the content differs."""
    by_key: dict[Key, list[Draft]] = defaultdict(list)
    for each in found.drafts:
        by_key[each.key].append(each)
    groups: dict[str, list[Draft]] = {}
    for members in (general(each, found.clusters) for each in by_key.values()):
        alike = {encode(_options(each)) for each in members}
        for each in members:
            name = each.name if len(alike) == 1 else f"{each.name}-{each.cluster}"
            groups.setdefault(name, []).append(each)
    return groups


def _options(draft: Draft) -> list[Any]:
    """Return what an app says once for all of its clusters."""
    return [
        draft.namespace,
        draft.sync,
        draft.after,
        draft.helm,
        draft.source,
        draft.project,
        draft.layers,
        draft.plain,
        draft.substitute,
    ]


def _app(name: str, drafts: Sequence[Draft], found: Import, result: Written) -> None:
    folder = f"apps/{name}"
    first = drafts[0]
    said: dict[str, Any] = {"namespace": first.namespace} if first.namespace else {}
    said |= {"project": first.project} if first.project else {}
    said |= {"source": first.source} if first.source else {}
    layers = _content(folder, drafts, found, result)
    if first.helm is not None:
        said["helm"] = _placed_chart(first.helm, folder)
    if first.plain:
        said["plain"] = {}
    said |= {"layers": layers} if layers else {}
    said |= _targets(drafts, found)
    said |= {"substitute": {"vars": dict(first.substitute)}} if first.substitute is not None else {}
    sync = dict(first.sync)
    waits_for = sorted(
        {result.apps[key, each.cluster] for each in drafts for key in each.after if (key, each.cluster) in result.apps}
    )
    if waits_for := [each for each in waits_for if each != name]:
        sync["dependsOn"] = waits_for
    said |= {"sync": sync} if sync else {}
    result.files[f"{folder}/app.yaml"] = yaml_text(said) if said else "{}\n"
    for each in drafts:
        result.copied.update(each.made_of)


def _targets(drafts: Sequence[Draft], found: Import) -> dict[str, Any]:
    selectors = found.selectors.get(drafts[0].key)
    if selectors is not None:
        return (
            {"targets": [{key: _one(values) for key, values in each.items()} for each in selectors]}
            if selectors
            else {}
        )
    here = {each.cluster for each in drafts}
    return {} if here == {each.name for each in found.clusters} else {"targets": [{CLUSTER: _one(sorted(here))}]}


def _one(values: Sequence[str]) -> Any:
    return values[0] if len(values) == 1 else list(values)


def _content(folder: str, drafts: Sequence[Draft], found: Import, result: Written) -> list[str]:
    """Write what an app is made of, and return its layers."""
    first = drafts[0]
    if first.kustomization is not None:
        return _folders(folder, drafts, found, result)
    if first.helm is not None:
        return [*(_from(folder, each) for each in first.layers), *_values(folder, drafts, found, result)]
    return [_from(folder, each) for each in first.plain]


def _folders(folder: str, drafts: Sequence[Draft], found: Import, result: Written) -> list[str]:
    alone = {each.cluster: _alone(each) for each in drafts}
    if len(set(alone.values())) > 1 and "" not in alone.values():
        one = pattern(alone, {each.name: {**each.labels, CLUSTER: each.name} for each in found.clusters})
        if one is not None:
            return [_from(folder, one)]
    if len({encode(each.kustomization) for each in drafts}) == 1:
        result.files[f"{folder}/kustomization.yaml"] = _kustomization(drafts[0], folder)
        return []
    label = deciding({each.cluster: encode(each.kustomization) for each in drafts}, found.clusters)
    for each in drafts:
        place = f"{folder}/overlays/{_label_of(each.cluster, label, found)}"
        result.files[f"{place}/kustomization.yaml"] = _kustomization(each, place)
    return [f"overlays/{{{label}}}"]


def _alone(draft: Draft) -> str:
    """Return the folder that a kustomization only names; empty where it adds something."""
    fields = draft.kustomization or {}
    return str(fields["resources"][0]) if set(fields) == {"resources"} else ""


def _kustomization(draft: Draft, folder: str) -> str:
    fields = dict(draft.kustomization or {})
    for name in _MEMBERS:
        if name in fields:
            fields[name] = [_from(folder, path) for path in fields[name]]
    return yaml_text({**KUSTOMIZATION, **fields})


def _from(folder: str, path: str) -> str:
    """Return where a path of the other repository is, as seen from a folder of the written fleet."""
    return posixpath.relpath(posixpath.join(MANIFESTS, path), folder)


def _placed_chart(helm: Mapping[str, Any], folder: str) -> dict[str, Any]:
    """Return what an app says of its chart; `path` is one in the other repository."""
    said = dict(helm)
    if "path" in said:
        said = {"chart": _from(folder, said.pop("path")), **said}
    return said


def _values(folder: str, drafts: Sequence[Draft], found: Import, result: Written) -> list[str]:
    """Write the values: what all clusters share in one file, what differs in one each."""
    everywhere = _common([each.values or {} for each in drafts])
    layers = []
    if everywhere:
        result.files[f"{folder}/values.yaml"] = yaml_text(everywhere)
        layers.append("values.yaml")
    own = {each.cluster: _less(each.values or {}, everywhere) for each in drafts}
    label = deciding({cluster: encode(values) for cluster, values in own.items()}, found.clusters)
    if any(own.values()):
        layers.append(f"values/{{{label}}}.yaml")
    for cluster, values in own.items():
        if values:
            result.files[f"{folder}/values/{_label_of(cluster, label, found)}.yaml"] = yaml_text(values)
    return layers


def _label_of(cluster: str, label: str, found: Import) -> str:
    labels = next((each.labels for each in found.clusters if each.name == cluster), {})
    return cluster if label == CLUSTER else labels[label]


def _common(values: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what stands equally in all mappings."""
    first, *others = values
    found: dict[str, Any] = {}
    for key, value in first.items():
        if not all(key in each for each in others):
            continue
        same = [each[key] for each in others]
        if all(isinstance(each, Mapping) for each in (value, *same)):
            inner = _common([value, *same])
            if inner or not value:
                found[key] = inner
        elif all(_equal(each, value) for each in same):
            found[key] = value
    return found


def _less(values: Mapping[str, Any], common: Mapping[str, Any]) -> dict[str, Any]:
    """Return what stands in `values` and not in `common`."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        if key not in common:
            found[key] = value
            continue
        inner = _less(value, common[key]) if isinstance(value, Mapping) else None
        if inner:
            found[key] = inner
    return found


def _equal(one: Any, other: Any) -> bool:
    return bool(encode(one) == encode(other))
