"""The algebra of managedFields: which paths a field manager owns.

A set of fields is the nested mapping that the API server writes: `f:name` a field, `k:{...}` a list item by its keys,
`v:value` an item of a set, `i:0` an item by index, `.` the node itself; an empty mapping is a leaf.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.core.objects import Manifest

Fields = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Owned:
    """What one manager's Apply entry says."""

    fields: Fields
    digest: str
    time: str = ""
    """May be absent."""


def owned_by(manifest: Manifest, manager: str) -> Owned | None:
    """Return the Apply entry of `manager` on the main resource, or None."""
    raise NotImplementedError
