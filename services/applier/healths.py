"""Remember how each watched object does, and since when it does not do well."""

from __future__ import annotations

import time
from collections.abc import Callable

from services.applier.health import Status, health_of, leaves_when_done
from services.applier.health.builtin import SUSPENDED
from services.applier.health.kstatus import CURRENT
from services.applier.rulebook import Rulebook
from shared.core.objects import Manifest, ObjectKey, group_of
from shared.core.status import Health

RUNNING = Status(Health.IN_PROGRESS, "HookRunning", "its pod did not end yet")
APPLIED = Status(Health.IN_PROGRESS, "LatestGenerationNotObserved", "it was just applied")


class Healths:
    """The verdicts on what is watched whole; the objects themselves are not kept."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.rules = Rulebook()
        self._clock = clock
        self._statuses: dict[ObjectKey, Status] = {}
        self._unwell_since: dict[ObjectKey, float] = {}
        self._done: dict[ObjectKey, str] = {}

    def status(self, key: ObjectKey) -> Status | None:
        """Return how an object does, None when nobody looked."""
        return self._statuses.get(key)

    def unwell_since(self, key: ObjectKey) -> float:
        """Return when an object began not to do well, in monotonic seconds; it must not do well."""
        return self._unwell_since.get(key, float("-inf"))

    def done(self, key: ObjectKey) -> str:
        """Return the UID of an object that has done its work and goes away by itself; empty: it has not (J7)."""
        return self._done.get(key, "")

    def judge(self, key: ObjectKey, manifest: Manifest, app: str, *, reports: bool, hook: bool = False) -> bool:
        """Take an object as it is now; tell whether it does differently than before.

        A pod that is a hook does well when it has ended well, not when it is ready (K6).
        """
        rule = self.rules.rule(group_of(manifest["apiVersion"]), manifest["kind"], app)
        if leaves_when_done(manifest):
            self._done[key] = manifest["metadata"]["uid"]
        found = health_of(manifest, rule, reports=reports)
        unended = hook and _is_pod(key) and (manifest.get("status") or {}).get("phase") != "Succeeded"
        return self._take(key, RUNNING if unended and found.health is Health.CURRENT else found)

    def applied(self, key: ObjectKey) -> None:
        """Take over that an object was just changed: what was known of it is about an older generation (J3)."""
        self._take(key, APPLIED)

    def gone(self, key: ObjectKey) -> None:
        """Take over that an object is absent; that it was done is remembered."""
        self._statuses.pop(key, None)
        self._unwell_since.pop(key, None)

    def _take(self, key: ObjectKey, status: Status) -> bool:
        if status.health is Health.CURRENT and status.reason != SUSPENDED:
            # Ten thousand objects that do well need no words.
            status = CURRENT
        if self._statuses.get(key) == status:
            return False
        self._statuses[key] = status
        if status.health is Health.CURRENT:
            self._unwell_since.pop(key, None)
        else:
            self._unwell_since.setdefault(key, self._clock())
        return True


def _is_pod(key: ObjectKey) -> bool:
    return (key.group, key.kind) == ("", "Pod")
