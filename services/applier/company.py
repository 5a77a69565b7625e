"""The apps of one cluster as they see each other: who waits for whom (rule C10)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from services.applier.dependence import Delay, Neighbour, delay
from services.applier.documents import ReleaseDocument
from services.applier.options import depends_on
from shared.core.objects import ObjectKey
from shared.core.status import Health, Sync

if TYPE_CHECKING:
    from services.applier.target import Target


@dataclass(slots=True)
class Company:
    """What the roster names, and the targets that keep it."""

    targets: Mapping[str, Target]
    _roster: Mapping[str, ReleaseDocument] = field(default_factory=dict)
    _depends_on: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    _waiting: dict[str, frozenset[str]] = field(default_factory=dict)
    """App that waits → the apps whose change may end that."""

    def meet(self, roster: Mapping[str, ReleaseDocument]) -> None:
        """Take what the cluster shall run, before any app hears of it; who waits looks again."""
        self._roster = dict(roster)
        self._depends_on = {app: depends_on(each.options) for app, each in roster.items()}
        for app in self._waiting:
            self.targets[app].look_again()

    def delay(self, target: Target) -> Delay | None:
        """Return what an app waits for before it takes its present release; what it runs already waits for nothing."""
        app = target.app
        found = None
        if app in self._roster and not _runs(target, self._roster[app]):
            near = {*self._depends_on[app], *(name for name, needs in self._depends_on.items() if app in needs)}
            found = delay(app, {name: self._neighbour(name, judged=name in near) for name in self._roster})
        if found is None:
            self._waiting.pop(app, None)
        else:
            self._waiting[app] = found.waits_for
        return found

    def stir(self, app: str) -> None:
        """An app is not as it was: those that wait for it look again."""
        for name, awaited in self._waiting.items():
            if app in awaited:
                self.targets[name].look_again()

    def noticed(self, key: ObjectKey) -> None:
        """A watched object changed: it may be what somebody waits for."""
        for app in frozenset().union(*self._waiting.values()):
            if app in self.targets and key in self.targets[app].inventory.entries:
                self.stir(app)

    def _neighbour(self, app: str, *, judged: bool) -> Neighbour:
        """Return an app as others see it; `judged`: how it does matters, which all its objects have to be asked for."""
        release = self._roster[app]
        lacks = _lacks(self.targets.get(app), release) if judged else ""
        return Neighbour(self._depends_on[app], release.removed, lacks)


def _runs(target: Target, release: ReleaseDocument) -> bool:
    """Tell whether the content of a release is what was last applied whole."""
    return release.bundle is not None and target.inventory.header.settled_bundle == release.bundle.digest


def _lacks(target: Target | None, release: ReleaseDocument) -> str:
    """Return what keeps an app from being at its release and well, in one word."""
    if release.removed:
        return "Removed" if target is not None and target.inventory.entries else ""
    if target is None or target.release != release:
        return "Refused"
    told = target.standing
    if not _runs(target, release) or told.sync in {Sync.APPLYING, Sync.UNKNOWN}:
        return told.reason or told.sync
    health = target.wellness().health
    return "" if health is Health.CURRENT else health
