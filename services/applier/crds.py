"""Know which kinds the definitions of a bundle bring."""

from __future__ import annotations

from collections.abc import Iterable

from services.applier.state import Wanted
from shared.core.canonical import decode
from shared.core.objects import ObjectKey

CRD = ("apiextensions.k8s.io", "CustomResourceDefinition")


def defined_by(wanted: Iterable[Wanted]) -> dict[tuple[str, str], ObjectKey]:
    """Return (group, kind) → definition for the kinds that the definitions among these objects bring."""
    found: dict[tuple[str, str], ObjectKey] = {}
    for each in wanted:
        if each.key[:2] == CRD:
            spec = decode(each.body).get("spec") or {}
            found[str(spec.get("group")), str((spec.get("names") or {}).get("kind"))] = each.key
    return found
