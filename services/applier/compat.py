"""Read what an object asks for itself; every policy has this one reader.

Manifests that were written for another tool do what their authors meant. Where names of several tools disagree, ours
counts, then Flux's, Argo CD's, cli-utils', kapp's, Helm's, and the disagreement is told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from services.applier.compat_names import (
    INVENTORY_LABELS,
    NAMES,
    NUMBERED,
    ForbiddenError,
    Name,
    Tool,
    UnknownValueError,
)
from services.applier.policy import NOTHING, Hook, HookEnd, OnRollback, Phase, Policy

REACH = 5_000
"""So far from zero waves and weights of hooks count; phases lie further apart than that."""
_PLACES = {Phase.BEFORE: -10_000, Phase.DURING: 0, Phase.AFTER: 10_000, Phase.RESCUE: 20_000}
# One hook may have several tools' names: the first one counts, and that is no disagreement.
_OF_HOOKS = frozenset({"phase", "first", "back", "leaving", "ends", "weight", "left_out"})


@dataclass(frozen=True, slots=True)
class Asked:
    """What an object asks for, and what in that was not understood."""

    policy: Policy = NOTHING
    warnings: tuple[str, ...] = ()
    refusals: tuple[tuple[str, str], ...] = ()
    """(code, text) of what cannot be done and must not be left out."""


_ASKED_NOTHING = Asked()


def asked(annotations: Mapping[str, Any], labels: Mapping[str, Any], *, kind: str = "", compat: bool = True) -> Asked:
    """Return what an object asks for; without `compat` by our names only."""
    reading = _Reading()
    for name, row, text in sorted(_found(annotations, labels, compat=compat), key=lambda each: (each[1].tool, each[0])):
        reading.take(name, row, text, kind)
    if compat and any(label in labels for label in INVENTORY_LABELS):
        reading.said["left_out"] = "it is another tool's inventory"
    if not (reading.said or reading.warnings or reading.refusals):
        return _ASKED_NOTHING
    return Asked(_policy(reading.said), tuple(reading.warnings), tuple(reading.refusals))


def _found(
    annotations: Mapping[str, Any], labels: Mapping[str, Any], *, compat: bool
) -> Iterator[tuple[str, Name, str]]:
    """Yield the names that mean something, each with its row and its text; an annotation hides the label of its name."""
    for source, is_label in ((annotations, False), (labels, True)):
        for name, value in source.items():
            row = NAMES.get(name) or (_numbered(name) if name.startswith(NUMBERED) else None)
            if row is None or (row.tool is not Tool.OURS and not compat):
                continue
            if not is_label or (row.label and name not in annotations):
                yield name, row, str(value)


def _numbered(name: str) -> Name:
    """Return the row of a name that has a suffix."""
    return next(NAMES[base.rstrip(".")] for base in NUMBERED if name.startswith(base))


class _Reading:
    """One object while its names are read, the strongest first."""

    def __init__(self) -> None:
        self.said: dict[str, Any] = {}
        self.warnings: list[str] = []
        self.refusals: list[tuple[str, str]] = []
        self._by: dict[str, tuple[str, Tool]] = {}

    def take(self, name: str, row: Name, text: str, kind: str) -> None:
        """Read one name."""
        try:
            fields = row.reads(text, kind)
        except UnknownValueError as error:
            self.warnings.append(f"{name} {error}")
        except ForbiddenError as error:
            self.refusals.append((error.code, f"{name} {error}"))
        else:
            for field, value in fields.items():
                if field == "note":
                    self.warnings.append(f"{name} {value}")
                else:
                    self._put(name, row, field, value)

    def _put(self, name: str, row: Name, field: str, value: Any) -> None:
        if field not in self.said:
            self.said[field], self._by[field] = value, (name, row.tool)
            return
        winner, tool = self._by[field]
        if tool is row.tool:
            # Of one tool: groups and rules add up, a flag is raised by whichever name raises it.
            self.said[field] = self.said[field] + value if isinstance(value, tuple) else self.said[field] or value
        elif self.said[field] != value and field not in _OF_HOOKS:
            self.warnings.append(f"{name} disagrees with {winner}, which counts")


def _policy(said: Mapping[str, Any]) -> Policy:
    """Return the policy, its hooks and waves put together."""
    fields = {name: value for name, value in said.items() if name == "left_out" or name not in _OF_HOOKS}
    ends = said.get("ends", frozenset({HookEnd.BEFORE_CREATION}))
    wave, weight = said.get("wave"), said.get("weight", 0)
    if phase := said.get("phase"):
        fields["hook"] = Hook(phase, ends, said.get("first"))
        fields["wave"] = _hook_wave(phase, weight if wave is None else wave)
        fields["recreate"] = HookEnd.BEFORE_CREATION in ends
        fields.setdefault("on_rollback", said.get("back", OnRollback.USUAL))
    if leaving := said.get("leaving"):
        fields["removal"] = tuple(Hook(each, ends) for each in leaving)
        fields["weight"] = weight if wave is None or abs(wave) > REACH else wave
    return Policy(**fields)


def _hook_wave(phase: Phase, wave: int) -> int:
    """Return the wave in which a hook runs; one that is far off already was given it by the renderer."""
    return _PLACES[phase] + wave if abs(wave) <= REACH else wave
