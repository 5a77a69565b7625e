"""Tell which fields controllers hold on purpose; those are left to them, whatever an app says of conflicts (G4).

Taking them back would have two writers change a field for ever: an autoscaler its replicas, an injector its CA.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase

from services.applier.fields import Ownership, Path, contains, entries, members
from shared.core.objects import Manifest

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


def is_held(live: Manifest) -> bool:
    """Tell whether a controller holds any field of a live object; its metadata is enough."""
    return any(_holds(entry, path) for entry in entries(live) if _may_hold(entry) for path in members(entry.fields))


def _may_hold(entry: Ownership) -> bool:
    return any(_is_one_of(entry, managers, subresource) for managers, subresource, _ in _HOLDERS)


def _holds(entry: Ownership, path: Path) -> bool:
    return any(_is_one_of(entry, managers, through) and fits(path) for managers, through, fits in _HOLDERS)


def _is_one_of(entry: Ownership, managers: Iterable[str], subresource: str | None) -> bool:
    fits = subresource is None or subresource == entry.subresource
    return fits and any(fnmatchcase(entry.manager, glob) for glob in managers)
