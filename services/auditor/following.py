"""What becomes of the refs that sources follow: whether each can be had, and where it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from services.auditor.changes import Change


@dataclass(frozen=True, slots=True)
class SourceChecked(Change):
    """Whether a ref that a source follows can be had."""

    TABLE: ClassVar[str] = "followed"
    VERSION: ClassVar[tuple[str, ...] | None] = ("checked_at",)

    source: str
    repository: str
    asked_ref: str
    failed: bool
    code: str
    message: str
    hint: str
    checked_at: str


@dataclass(frozen=True, slots=True)
class SourceAt(Change):
    """Where a ref that a source follows is."""

    TABLE: ClassVar[str] = "followed"
    VERSION: ClassVar[tuple[str, ...] | None] = ("observed_at",)

    source: str
    repository: str
    asked_ref: str
    ref: str
    commit: str
    history: str
    observed_at: str


@dataclass(frozen=True, slots=True)
class SourceDropped(Change):
    """A ref is no longer followed."""

    TABLE: ClassVar[str] = "followed"
    VERSION: ClassVar[tuple[str, ...] | None] = ("dropped_at",)

    source: str
    repository: str
    asked_ref: str
    dropped_at: str
