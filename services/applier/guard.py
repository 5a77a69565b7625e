"""Decide which deletions wait for a person: too many at once, kinds that hold data, or nothing that expects them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from shared.core.canonical import digest
from shared.core.objects import ObjectKey


class HoldReason(StrEnum):
    """Why deletions wait."""

    PRUNE_GUARD = "PruneGuard"
    EMPTY_BUNDLE = "EmptyBundle"
    UNEXPECTED = "Unexpected"
    HISTORY_LOST = "HistoryLost"
    RECOVERED = "Recovered"


@dataclass(frozen=True, slots=True)
class Held:
    """Deletions that wait; an approval names `approval` and releases exactly these keys."""

    reason: HoldReason
    keys: tuple[ObjectKey, ...]
    """All of them, sorted."""
    approval: str


def approval_of(keys: Iterable[ObjectKey]) -> str:
    """Return what an approval of these deletions must name: sha256 of the sorted keys, one a line."""
    return digest("\n".join(sorted(str(key) for key in keys)).encode())
