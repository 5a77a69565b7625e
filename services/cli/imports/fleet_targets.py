"""Know which clusters a target of Rancher's Fleet means, and which of a bundle's customizations a cluster gets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from services.cli.imports.model import ClusterFound
from services.cli.imports.naming import usable
from services.renderer.engines.charts import merged

_SELECTING = ("clusterSelector", "clusterName", "clusterGroup", "clusterGroupSelector")
_OTHER = "other"
_OPERATORS = frozenset({"In", "NotIn", "Exists", "DoesNotExist"})
Groups = Mapping[str, Mapping[str, Any]]
"""The selectors of groups of clusters, by name."""


class NotUnderstoodError(ValueError):
    """A target says what cannot be judged here; `at` is the field."""

    def __init__(self, message: str, at: str) -> None:
        super().__init__(message)
        self.at = at


def means(target: Mapping[str, Any], cluster: ClusterFound, groups: Groups) -> bool:
    """Tell whether a target means a cluster; one that says nothing means all.

    Raises:
        NotUnderstoodError: nobody here can tell.
    """
    if target.get("clusterGroupSelector"):
        raise NotUnderstoodError("chooses groups of clusters by their labels", "clusterGroupSelector")
    if group := target.get("clusterGroup"):
        if group not in groups:
            raise NotUnderstoodError(f"names the group {group!r}, which is not in this repository", "clusterGroup")
        return _selects(groups[group], cluster)
    if target.get("clusterName") and usable(str(target["clusterName"])) != cluster.name:
        return False
    return _selects(target.get("clusterSelector") or {}, cluster)


def _selects(selector: Mapping[str, Any], cluster: ClusterFound) -> bool:
    labels = cluster.labels
    if any(labels.get(str(key)) != str(value) for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_holds(each, labels) for each in selector.get("matchExpressions") or ())


def _holds(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    operator, value = expression.get("operator"), labels.get(str(expression.get("key")))
    if operator not in _OPERATORS:
        raise NotUnderstoodError(f"has the operator {operator!r}", "clusterSelector")
    if operator in {"Exists", "DoesNotExist"}:
        return (value is not None) is (operator == "Exists")
    return (value in {str(each) for each in expression.get("values") or ()}) is (operator == "In")


def customized(bundle: Mapping[str, Any], cluster: ClusterFound, groups: Groups) -> Mapping[str, Any] | None:
    """Return a bundle as it is on a cluster: the first customization that means it laid over; None where it is not to be.

    Raises:
        NotUnderstoodError: nobody here can tell.
    """
    for each in bundle.get("targetCustomizations") or ():
        if any(each.get(name) for name in _SELECTING) and means(each, cluster, groups):
            own = {key: value for key, value in each.items() if key not in {*_SELECTING, "name"}}
            return None if own.get("doNotDeploy") else _laid_over(bundle, own)
    return bundle


def _laid_over(bundle: Mapping[str, Any], own: Mapping[str, Any]) -> Mapping[str, Any]:
    found = merged(bundle, own)
    files = [
        *((bundle.get("helm") or {}).get("valuesFiles") or ()),
        *((own.get("helm") or {}).get("valuesFiles") or ()),
    ]
    if files:
        found["helm"] = {**(found.get("helm") or {}), "valuesFiles": files}
    return found


def made_up(bundles: Iterable[Mapping[str, Any]], targets: Sequence[Mapping[str, Any]]) -> list[ClusterFound]:
    """Return a cluster for each set of labels that some target wants, and one that has others."""
    found: dict[str, ClusterFound] = {}
    for each in (*targets, *(target for bundle in bundles for target in bundle.get("targetCustomizations") or ())):
        wanted = (each.get("clusterSelector") or {}).get("matchLabels") or {}
        labels = {str(key): str(value) for key, value in wanted.items()}
        name = usable(str(each.get("clusterName") or "-".join(labels.values()) or _OTHER))
        found.setdefault(name, ClusterFound(name, labels))
    keys = sorted({key for each in found.values() for key in each.labels})
    found[_OTHER] = ClusterFound(_OTHER, dict.fromkeys(keys, _OTHER))
    return [found[name] for name in sorted(found)]
