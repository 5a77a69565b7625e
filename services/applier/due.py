"""Decide when an app is looked at again: soon after what may pass, at its interval in any case (rule E6)."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass

from services.applier.errors import ErrorClass
from services.applier.obstacles import Obstacle, obstacles
from services.applier.options import Options
from services.applier.planned import Failed, SkipReason
from services.applier.reports import ObjectFailure
from services.applier.run import Account
from shared.core.backoff import backoff_s
from shared.core.objects import ObjectKey
from shared.core.status import Result

PERMANENT_RETRY_S = 1800.0
HURRIES = 5
"""So many probes lie between two runs that something else gave a reason for."""
_ENABLING = frozenset({"rbac.authorization.k8s.io", "admissionregistration.k8s.io", "apiextensions.k8s.io"})
_DONE = frozenset({Result.SUCCEEDED, Result.HELD, Result.SUPERSEDED})
_WAITS = frozenset(
    {ErrorClass.NAMESPACE_TERMINATING, ErrorClass.NAMESPACE_MISSING, ErrorClass.UNKNOWN_KIND, ErrorClass.TERMINATING}
)


@dataclass(slots=True)
class Due:
    """When which run is due, in monotonic seconds; infinity is never."""

    retry_at: float = float("inf")
    verify_at: float = float("inf")
    look_at: float = float("inf")
    turn_at: float = float("inf")
    """When an app that waits looks whether it may go on; something else may tell it before."""
    failures: int = 0
    failed: bool = False
    """The last run of the present release did."""
    in_the_way: frozenset[Obstacle] = frozenset()
    """Of which a change is a reason to try again at once."""
    _calm_until: float = float("-inf")
    """Until then no other reason begins one more run at once."""

    def next_at(self) -> float:
        """Return the earliest of them."""
        return min(self.retry_at, self.verify_at, self.look_at, self.turn_at)

    def concluded(self, account: Account, options: Options, now: float, deletes_from: float) -> None:
        """Take over what came of a run; before `deletes_from` nothing may be deleted."""
        self.in_the_way = obstacles(account.summary.failures)
        self.verify_at = now + options.interval_s * random.uniform(0.8, 1.2)  # noqa: S311 - spreads the checks
        self.failed = account.summary.result in {Result.FAILED, Result.PARTIAL}
        if account.summary.result is None:
            self.retry_at = deletes_from
        elif account.summary.result in _DONE and not account.incomplete:
            self.failures = 0
            self.retry_at = float("inf")
        else:
            self.failures += 1
            longest_s = options.retry_max_s if may_pass(account) else PERMANENT_RETRY_S
            ceiling_s = backoff_s(self.failures, options.retry_first_s, longest_s)
            self.retry_at = now + random.uniform(ceiling_s / 2, ceiling_s)  # noqa: S311 - spreads retries

    def refused(self, failures: Iterable[ObjectFailure], now: float) -> None:
        """Take over that nothing of a release was tried for the sake of these objects, which others may change."""
        self.failures += 1
        self.in_the_way = obstacles(failures)
        self.retry_at = now + PERMANENT_RETRY_S

    def hurried(self, now: float, probe_s: float) -> bool:
        """Try what failed again soon, for something changed that may have been in its way; tell whether it failed."""
        if not self.failures:
            return False
        soon = now + probe_s
        if soon > self._calm_until:
            self._calm_until = soon + HURRIES * probe_s
        else:
            soon = self._calm_until
        self.retry_at = min(self.retry_at, soon)
        return True

    def postponed(self, options: Options, now: float, soon_s: float) -> float:
        """Take over that nothing could be decided; return the pause, which grows."""
        self.failures += 1
        ceiling_s = backoff_s(self.failures, options.retry_first_s, options.retry_max_s)
        # A first failure is often a bus or an API server that starts.
        pause_s = random.uniform(0.1, ceiling_s) if self.failures > 1 else soon_s  # noqa: S311
        self.retry_at = now + pause_s
        self.verify_at = max(self.verify_at, self.retry_at)
        return pause_s


def enables(key: ObjectKey) -> bool:
    """Tell whether other objects may turn on this one: a kind's definition, a right, a webhook, a namespace."""
    return key.group in _ENABLING or (key.group, key.kind) == ("", "Namespace")


def may_pass(account: Account) -> bool:
    """Tell whether waiting may help, without any change of what is wanted."""
    failures = [each.failure for each in account.outcomes.values() if isinstance(each, Failed)]
    waits = any(each.transient or each.error in _WAITS for each in failures)
    unknown = any(skip.failed and skip is not SkipReason.CONFLICT for skip in account.skipped)
    return waits or unknown or bool(account.incomplete)
