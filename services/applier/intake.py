"""Turn a bundle's objects into what will be sent, or refuse the bundle with every finding at once (rules A5-A14)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from services.applier.state import Inventory, Wanted
from shared.core.objects import Manifest, ObjectKey

Scopes = Mapping[tuple[str, str], bool]
"""(group, kind) → namespaced, as discovery says."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a bundle is going to."""

    cluster: str
    app: str
    namespace: str
    """The app's default namespace; may be empty."""
    scopes: Scopes
    secret: bytes
    """The agent's own key for digests, so that a digest tells nothing about a Secret (P3)."""
    create_namespace: bool = True


@dataclass(frozen=True, slots=True)
class Intake:
    """A bundle that may be applied."""

    wanted: Mapping[ObjectKey, Wanted]
    warnings: tuple[str, ...] = ()


def intake(objects: Iterable[Manifest], place: Place, inventory: Inventory) -> Intake:
    """Return the objects as they will be sent, with their namespaces, our label and our annotation.

    Raises:
        FindingsError: with all that is wrong; nothing of the bundle may be applied.
    """
    raise NotImplementedError
