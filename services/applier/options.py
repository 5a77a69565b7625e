"""Read an app's `sync` options from its release; what is unknown becomes a warning, never another policy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Drift(StrEnum):
    """What to do about changes by others to fields that we own."""

    CORRECT = "correct"
    REPORT = "report"
    IGNORE = "ignore"


class OnImmutable(StrEnum):
    """What to do when a field that cannot change has changed."""

    FAIL = "fail"
    RECREATE = "recreate"


class Conflicts(StrEnum):
    """What to do when another field manager owns a field with another value."""

    FORCE = "force"
    FAIL = "fail"
    YIELD = "yield"


class Adopt(StrEnum):
    """Which objects that exist already may be taken over."""

    UNOWNED = "unowned"
    NEVER = "never"
    ALL = "all"


class DeletionPolicy(StrEnum):
    """What a tombstone does with the app's objects."""

    DELETE = "delete"
    ORPHAN = "orphan"
    KEEP_DATA = "keep-data"


class OnError(StrEnum):
    """Whether one object's failure stops the others of its stage."""

    CONTINUE = "continue"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class IgnoreRule:
    """Fields that are none of our business (rule I8)."""

    target: Mapping[str, str]
    """`group`, `kind`, `name`, `namespace`: globs; absent matches all."""
    paths: tuple[str, ...] = ()
    """JSON pointers; `*` stands for any key or index, `[name=value]` for the list item that has it."""
    managers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Options:
    """The `sync` keys that the applier obeys, with the fleet format's defaults."""

    namespace: str = ""
    prune: bool = True
    drift: Drift = Drift.CORRECT
    create_namespace: bool = True
    interval_s: float = 3600.0
    timeout_s: float = 300.0
    retry_first_s: float = 10.0
    retry_max_s: float = 300.0
    on_error: OnError = OnError.CONTINUE
    conflicts: Conflicts = Conflicts.FORCE
    on_immutable: OnImmutable = OnImmutable.FAIL
    adopt: Adopt = Adopt.UNOWNED
    deletion_policy: DeletionPolicy = DeletionPolicy.DELETE
    wait: bool = True
    allow_empty: bool = False
    prune_crds: bool = False
    ignore: tuple[IgnoreRule, ...] = ()
    suspend: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Read:
    """Options, and what in them was not understood."""

    options: Options
    warnings: tuple[str, ...] = ()


def options_of(release_options: Mapping[str, Any]) -> Read:
    """Return the options of a release; a value that is not understood leaves the default and gives a warning."""
    raise NotImplementedError
