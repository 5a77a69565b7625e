"""Keep an app's present release back as long as it must wait, and say why; what it brings is known meanwhile."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.applier.dependence import Delay, DependencyCycleError
from services.applier.due import Due
from services.applier.freezing import FROZEN, freeze, hold_of
from services.applier.options import windows_of
from services.applier.tools import Tools
from shared.core.objects import ObjectKey
from shared.core.status import Sync
from shared.core.windows import Closed

if TYPE_CHECKING:
    from services.applier.target import Target

LOOK_S = 5.0
_NEVER = float("inf")


@dataclass(slots=True)
class Waiting:
    """What keeps one app's release back."""

    tools: Tools
    due: Due
    delay: Delay | None = None
    frozen: Closed | None = None
    """The release runs, and drift from it is told and left for now."""
    _coming: frozenset[ObjectKey] = frozenset()

    async def admits(self, target: Target, wanted: Iterable[ObjectKey]) -> bool:
        """Tell whether the release may be applied now.

        Raises:
            DependencyCycleError: it never may.
        """
        self._look(target)
        self.due.turn_at = _NEVER
        if self.delay is None:
            return True
        self._coming = frozenset(wanted)
        self.also_wants(target)
        if self.delay.refused:
            raise DependencyCycleError(self.delay.message, hint="take one `dependsOn` away")
        self._tell(target, self.delay)
        if target.standing.sync is Sync.HELD and target.release is not None:
            hold = hold_of(target.release, target.inventory.entries)
            await self.tools.reporter.held(target, target.release, hold, self.delay.message)
        return False

    def heals(self, target: Target) -> bool:
        """Tell whether the release of before is kept as it was; the rest of one that was begun waits, too."""
        kept = target.active not in (None, target.release)
        healing = self.delay is None or (self.delay.heals and kept)
        if not healing:
            self.due.verify_at = _NEVER
        return healing

    def also_wants(self, target: Target) -> None:
        """Have other apps know that this one keeps what it has, and what it shall have."""
        if self.delay is not None:
            self.tools.desires.also(target.app, self._coming | target.inventory.entries.keys())
            self.tools.follow(target.inventory.entries)

    def is_over(self, target: Target) -> bool:
        """Tell whether a release that waits is to be tried; else say anew what it waits for."""
        before = self.delay
        if before is None:
            return False
        self._look(target)
        if self.delay is None or self.delay.refused or before.refused:
            return self.delay != before
        self._tell(target, self.delay)
        return False

    def tell_drift(self, target: Target, now: float) -> None:
        """Say of what was left as it is that a window is the reason, and look again when it opens."""
        if self.frozen is None:
            return
        if target.standing.sync is not Sync.SYNCED:
            target.standing.say(target.standing.sync, FROZEN, str(self.frozen))
        if self.frozen.until is not None:
            left_s = (self.frozen.until - self.tools.session.clock.now()).total_seconds()
            self.due.look_at = min(self.due.look_at, now + max(left_s, 1.0))

    def _look(self, target: Target) -> None:
        release = target.release
        assert release is not None  # noqa: S101 - who has none does not ask
        now = self.tools.session.clock.now()
        found = freeze(windows_of(release.options), now, release, target.inventory.header)
        self.frozen = found.drift
        self.delay = self.tools.company.delay(target) or found.release

    def _tell(self, target: Target, delay: Delay) -> None:
        removed = target.release is not None and target.release.removed
        sync = Sync.HELD if removed and delay.reason == FROZEN else Sync.APPLYING
        target.standing.say(sync, delay.reason, delay.message)
        self.due.retry_at, self.due.turn_at = _NEVER, time.monotonic() + LOOK_S
