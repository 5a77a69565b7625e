"""Tell which fields controllers hold on purpose; those are left to them, whatever an app says of conflicts (G4).

Taking them back would have two writers change a field for ever: an autoscaler its replicas, an injector its CA.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from functools import lru_cache

from services.applier.fields import Ownership, Path, contains, members

_SCALERS = ("kube-controller-manager", "keda-operator")
# Who may hold a field, through which subresource (any: None), and which fields those are.
_HOLDERS: tuple[tuple[tuple[str, ...], str | None, Callable[[Path], bool]], ...] = (
    # Of Kubernetes' own controllers only the autoscaler writes through `scale`; a person may too, by another name.
    (_SCALERS, "scale", lambda path: path == ("f:spec", "f:replicas")),
    (("vpa-*",), None, lambda path: "f:resources" in path),
    (("cert-manager-cainjector", "cainjector"), None, lambda path: path[-1] == "f:caBundle"),
)


def holder(owners: Iterable[Ownership], path: Path) -> str:
    """Return the controller that holds the field at `path` on purpose, or empty."""
    return next((each.manager for each in owners if _holds(each, path) and contains(each.fields, path)), "")


def is_held(owners: Iterable[Ownership]) -> bool:
    """Tell whether a controller holds any field of a live object."""
    return any(_holds(entry, path) for entry in owners if _may_hold(entry) for path in members(entry.fields))


def _may_hold(entry: Ownership) -> bool:
    return _is_holder(entry.manager, entry.subresource)


@lru_cache  # the same few names on every object
def _is_holder(manager: str, subresource: str) -> bool:
    return any(_is_one_of(manager, subresource, managers, through) for managers, through, _ in _HOLDERS)


def _holds(entry: Ownership, path: Path) -> bool:
    name, subresource = entry.manager, entry.subresource
    return any(_is_one_of(name, subresource, managers, through) and fits(path) for managers, through, fits in _HOLDERS)


def _is_one_of(name: str, subresource: str, managers: Iterable[str], through: str | None) -> bool:
    return (through is None or through == subresource) and any(fnmatchcase(name, glob) for glob in managers)
