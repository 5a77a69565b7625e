"""Find the rule of health for a kind: what the app's users wrote, or an entry of the rule files.

A rule file is read when one of its kinds is first met, and not kept. It is named by the last two parts of the groups
that it is about, so that `source.toolkit.fluxcd.io` is found in `fluxcd.io.yaml` without reading the others.
"""

from __future__ import annotations

from importlib.resources import files

from services.applier.health.rules import HealthCheck, Rule, entry_for, rule_of
from shared.core.asking import is_meant

_FOLDER = files("services.applier.health") / "rules"


class Rulebook:
    """The rules for the kinds in use."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Rule | None] = {}
        self._checks: dict[str, dict[HealthCheck, Rule]] = {}

    def give(self, app: str, checks: tuple[HealthCheck, ...]) -> frozenset[HealthCheck]:
        """Take what an app's users say about health; return the checks that came or went."""
        before = self._checks.get(app, {})
        self._checks[app] = {check: before.get(check) or check.rule() for check in checks}
        return frozenset(before.keys() ^ self._checks[app].keys())

    def rule(self, group: str, kind: str, app: str = "") -> Rule | None:
        """Return the rule for a kind; None: what all kinds share decides."""
        for check, rule in self._checks.get(app, {}).items():
            if is_meant(check.kinds, group, kind):
                return rule
        name = (group, kind)
        if name not in self._known:
            self._known[name] = _read(group, kind)
        return self._known[name]


def _read(group: str, kind: str) -> Rule | None:
    file = _FOLDER / f"{'.'.join(group.split('.')[-2:])}.yaml"
    if "." not in group or not file.is_file():
        return None
    # Here: most agents meet no such kind, and reading YAML costs each a megabyte.
    from shared.core.kubeyaml import documents  # noqa: PLC0415

    (document,) = documents(file.read_bytes(), file.name)
    entry = entry_for(document.value, group, kind)
    return rule_of(entry) if entry is not None else None
