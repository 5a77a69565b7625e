"""Read an app's `sync` options from its release; what is unknown becomes a warning, never another policy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from services.applier.health.rules import HealthCheck, check_of
from shared.core.durations import seconds
from shared.core.windows import Window, listed, understood


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


class Extras(StrEnum):
    """What to do about fields that others added and nobody wants (I11)."""

    HUMANS = "humans"
    """What people typed and other tools deployed is removed; what controllers and webhooks add stays."""
    KEEP = "keep"
    STRICT = "strict"
    """All goes that is not a controller's of Kubernetes' own."""


class OnError(StrEnum):
    """Whether one object's failure stops the others of its stage."""

    CONTINUE = "continue"
    STOP = "stop"


class Mode(StrEnum):
    """Whether anything is written at all."""

    APPLY = "apply"
    PLAN = "plan"
    """What would be done is told (Q4)."""


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
    extras: Extras = Extras.HUMANS
    create_namespace: bool = True
    interval_s: float = 3600.0
    timeout_s: float = 300.0
    hook_timeout_s: float = 600.0
    """A migration takes longer than pods take to start (K6); a `timeout` counts for both."""
    retry_first_s: float = 10.0
    retry_max_s: float = 300.0
    on_error: OnError = OnError.CONTINUE
    atomic: bool = False
    """All or nothing: every write is asked for beforehand, and after a refusal none is sent (E9)."""
    preflight: bool = False
    """Every write is asked for beforehand (D4)."""
    conflicts: Conflicts = Conflicts.FORCE
    on_immutable: OnImmutable = OnImmutable.FAIL
    adopt: Adopt = Adopt.UNOWNED
    deletion_policy: DeletionPolicy = DeletionPolicy.DELETE
    wait: bool = True
    allow_empty: bool = False
    prune_crds: bool = False
    ignore: tuple[IgnoreRule, ...] = ()
    health_checks: tuple[HealthCheck, ...] = ()
    suspend: Mapping[str, str] | None = None
    mode: Mode = Mode.APPLY
    compat: bool = True
    """The names of other tools count on the app's objects."""
    rerun_hooks: bool = False
    """What is tried again after a failure runs hooks again that succeeded (K5)."""

    @property
    def stops(self) -> bool:
        """Tell whether nothing more is begun after the first failure (E8, E9)."""
        return self.on_error is OnError.STOP or self.atomic

    @property
    def taken(self) -> Extras:
        """Whose fields are taken over: nobody's where an app is not to take fields from others at all."""
        return self.extras if self.conflicts is Conflicts.FORCE else Extras.KEEP


@dataclass(frozen=True, slots=True)
class Read:
    """Options, and what in them was not understood."""

    options: Options
    warnings: tuple[str, ...] = ()


def options_of(release_options: Mapping[str, Any]) -> Read:
    """Return the options of a release; a value that is not understood leaves the default and gives a warning."""
    values: dict[str, Any] = {}
    warnings: list[str] = []
    for name, value in release_options.items():
        if value is None or name in _ELSEWHERE:
            continue
        if name not in _READERS:
            warnings.append(f"option {name!r} is not known to this agent: it changes nothing")
            continue
        field_name, reader = _READERS[name]
        try:
            found = reader(value)
        except (ValueError, TypeError, KeyError):
            warnings.append(f"option {name!r} has a value that is not understood: the default counts")
        else:
            values.update(found if isinstance(found, dict) else {field_name: found})
    return Read(Options(**values), tuple(warnings))


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(value)
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _preflight(value: Any) -> bool:
    return {"none": False, "server": True}[value]


def _mode(value: Any) -> Mode:
    """Return the mode; one that is not known writes nothing, for that is what it was asked for."""
    return Mode.APPLY if value == Mode.APPLY else Mode.PLAN


def _timeouts(value: Any) -> dict[str, float]:
    return dict.fromkeys(("timeout_s", "hook_timeout_s"), seconds(value))


def _retry(value: Any) -> dict[str, float]:
    names = {"first": "retry_first_s", "max": "retry_max_s"}
    return {names[name]: seconds(text) for name, text in dict(value).items()}


def depends_on(release_options: Mapping[str, Any]) -> tuple[str, ...]:
    """Return which apps a release names as what it depends on (C10); none where that is not understood."""
    named = release_options.get("dependsOn")
    return tuple(name for name in named if isinstance(name, str)) if isinstance(named, list | tuple) else ()


def windows_of(release_options: Mapping[str, Any]) -> tuple[Window, ...]:
    """Return a release's windows (Q5); what is not understood of them is closed."""
    value = release_options.get("windows") or ()
    return listed(value) if isinstance(value, list | tuple) else (understood("", value),)


def _rules(value: Any) -> tuple[IgnoreRule, ...]:
    return tuple(_rule(rule) for rule in value)


def _rule(rule: Any) -> IgnoreRule:
    return IgnoreRule(
        {_text(name): _text(glob) for name, glob in dict(rule.get("target") or {}).items()},
        tuple(_text(path) for path in rule.get("paths") or ()),
        tuple(_text(manager) for manager in rule.get("managers") or ()),
    )


def _checks(value: Any) -> tuple[HealthCheck, ...]:
    return tuple(check_of(dict(check)) for check in value)


def _suspension(value: Any) -> dict[str, Any]:
    return {"suspend": {_text(name): _text(text) for name, text in dict(value).items()} if value else None}


_READERS: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    "namespace": ("namespace", _text),
    "prune": ("prune", _truth),
    "drift": ("drift", Drift),
    "extras": ("extras", Extras),
    "createNamespace": ("create_namespace", _truth),
    "interval": ("interval_s", seconds),
    "timeout": ("", _timeouts),
    "retry": ("", _retry),
    "onError": ("on_error", OnError),
    "atomic": ("atomic", _truth),
    "preflight": ("preflight", _preflight),
    "conflicts": ("conflicts", Conflicts),
    "onImmutable": ("on_immutable", OnImmutable),
    "adopt": ("adopt", Adopt),
    "deletionPolicy": ("deletion_policy", DeletionPolicy),
    "wait": ("wait", _truth),
    "allowEmpty": ("allow_empty", _truth),
    "pruneCRDs": ("prune_crds", _truth),
    "ignore": ("ignore", _rules),
    "healthChecks": ("health_checks", _checks),
    "suspend": ("", _suspension),
    "mode": ("mode", _mode),
    "compat": ("compat", _truth),
    "rerunHooks": ("rerun_hooks", _truth),
}
# What decides whether a release is taken at all is read by itself: whose app it is, whose turn, and when.
_ELSEWHERE = frozenset({"runAs", "fence", "dependsOn", "windows"})
