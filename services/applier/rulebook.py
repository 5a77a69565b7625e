"""Find the rule of health for a kind in the rule files, when the kind is first met; the rest is never kept.

A file is named by the last two parts of the groups that it is about, so that `source.toolkit.fluxcd.io` is found in
`fluxcd.io.yaml` without reading the others.
"""

from __future__ import annotations

from importlib.resources import files

from services.applier.health.rules import Rule, entry_for, rule_of
from shared.core.kubeyaml import documents

_FOLDER = files("services.applier.health") / "rules"


class Rulebook:
    """The rules for the kinds in use."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Rule | None] = {}

    def rule(self, group: str, kind: str) -> Rule | None:
        """Return the rule for a kind; None: what all kinds share decides."""
        name = (group, kind)
        if name not in self._known:
            self._known[name] = _read(group, kind)
        return self._known[name]


def _read(group: str, kind: str) -> Rule | None:
    file = _FOLDER / f"{'.'.join(group.split('.')[-2:])}.yaml"
    if "." not in group or not file.is_file():
        return None
    (document,) = documents(file.read_bytes(), file.name)
    entry = entry_for(document.value, group, kind)
    return rule_of(entry) if entry is not None else None
