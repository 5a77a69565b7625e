"""Tell which workloads name an object that failed: they run, or wait, without what they should have (rule E10)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from services.applier.state import Wanted
from shared.core.canonical import decode
from shared.core.objects import ObjectKey

_WORKLOADS = frozenset({"apps", "batch"})
# Field → kind and the field of its value that has the name.
_NAMED = {
    "configMap": ("ConfigMap", ("name",)),
    "configMapRef": ("ConfigMap", ("name",)),
    "configMapKeyRef": ("ConfigMap", ("name",)),
    "secret": ("Secret", ("secretName", "name")),
    "secretRef": ("Secret", ("name",)),
    "secretKeyRef": ("Secret", ("name",)),
    "persistentVolumeClaim": ("PersistentVolumeClaim", ("claimName",)),
}
_KINDS = frozenset({"ServiceAccount", *(kind for kind, _ in _NAMED.values())})


def affected(failed: Iterable[ObjectKey], wanted: Iterable[Wanted]) -> list[str]:
    """Return one line for each workload of the bundle that names a failed object."""
    missing = {key for key in failed if not key.group and key.kind in _KINDS}
    if not missing:
        return []
    found: list[str] = []
    for each in sorted(wanted, key=lambda one: one.key):
        if each.key.group in _WORKLOADS or (each.key.group, each.key.kind) == ("", "Pod"):
            named = {ObjectKey("", kind, each.key.namespace, name) for kind, name in _names(decode(each.body)["spec"])}
            found += [f"{each.key} may be affected, for {key} failed" for key in sorted(named & missing)]
    return found


def _names(value: Any) -> Iterator[tuple[str, str]]:
    """Yield the kinds and names that a specification refers to, wherever its pods are described."""
    if isinstance(value, list):
        for item in value:
            yield from _names(item)
    if not isinstance(value, dict):
        return
    for field, inner in value.items():
        if field == "serviceAccountName" and isinstance(inner, str):
            yield "ServiceAccount", inner
        elif field == "imagePullSecrets" and isinstance(inner, list):
            yield from (("Secret", str(item.get("name"))) for item in inner if isinstance(item, dict))
        else:
            if field in _NAMED and isinstance(inner, dict):
                kind, names = _NAMED[field]
                yield from ((kind, str(inner[name])) for name in names if name in inner)
            yield from _names(inner)
