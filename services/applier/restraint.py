"""Decide what is not done although it could be: making objects anew, and writing against somebody who writes back."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from services.applier.options import OnImmutable, Options
from services.applier.planned import Cause, Create, Patch, Plan, Skip, SkipReason, Step
from services.applier.state import Wanted
from shared.core.objects import ObjectKey

CORRECTIONS = 3
WITHIN_S = 600.0
FIRST_PAUSE_S = 60.0
LONGEST_PAUSE_S = 1800.0
QUIET_S = 1800.0

# What may be deleted and made anew when a bundle asks for it; everything else needs the word on the object (H2).
_RECREATABLE = frozenset(
    {
        ("batch", "Job"),
        ("", "Pod"),
        ("", "ConfigMap"),
        ("", "Secret"),
        ("rbac.authorization.k8s.io", "RoleBinding"),
        ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
        ("apps", "Deployment"),
        ("apps", "DaemonSet"),
        ("networking.k8s.io", "Ingress"),
        ("networking.k8s.io", "IngressClass"),
        ("storage.k8s.io", "StorageClass"),
        ("policy", "PodDisruptionBudget"),
    }
)


def may_recreate(wanted: Wanted, options: Options, *, healing: bool) -> bool:
    """Tell whether an object that cannot be changed may be deleted and made anew.

    While drift is corrected only the object's own word counts (H4).
    """
    if wanted.policy.recreate:
        return True
    asked = options.on_immutable is OnImmutable.RECREATE and not healing
    return asked and (wanted.key.group, wanted.key.kind) in _RECREATABLE


@dataclass(slots=True)
class _Fight:
    corrected: deque[float] = field(default_factory=lambda: deque(maxlen=CORRECTIONS))
    pause_s: float = 0.0


@dataclass(slots=True)
class Fights:
    """Objects that somebody changes back again and again (I9); times are monotonic seconds."""

    _by_key: dict[ObjectKey, _Fight] = field(default_factory=dict)

    def corrected(self, keys: Collection[ObjectKey], now: float) -> frozenset[ObjectKey]:
        """Remember that these objects were corrected; return those that are left alone from now on."""
        for key in keys:
            fight = self._by_key.setdefault(key, _Fight())
            if fight.corrected and now - fight.corrected[-1] > QUIET_S:
                fight.corrected.clear()
                fight.pause_s = 0.0
            fight.corrected.append(now)
            if len(fight.corrected) == CORRECTIONS and (fight.pause_s or now - fight.corrected[0] <= WITHIN_S):
                fight.pause_s = min(2 * fight.pause_s or FIRST_PAUSE_S, LONGEST_PAUSE_S)
        return frozenset(key for key in keys if self.contested(key, now))

    def contested(self, key: ObjectKey, now: float) -> bool:
        """Tell whether an object is left as it is for now."""
        fight = self._by_key.get(key)
        return fight is not None and bool(fight.pause_s) and now < fight.corrected[-1] + fight.pause_s

    def ends_at(self, keys: Iterable[ObjectKey]) -> float:
        """Return when the first of these contested objects may be corrected again; infinity for none."""
        ends = (self._by_key[key].corrected[-1] + self._by_key[key].pause_s for key in keys if key in self._by_key)
        return min(ends, default=float("inf"))

    def forget(self) -> None:
        """A new release starts afresh."""
        self._by_key.clear()

    def restrained(self, todo: Plan, now: float) -> tuple[Plan, frozenset[ObjectKey]]:
        """Return the plan without corrections of contested objects, and which those are."""
        left: set[ObjectKey] = set()

        def kept(step: Step) -> Step:
            if _corrects(step) and self.contested(step.key, now):
                left.add(step.key)
                return Skip(step.key, SkipReason.DRIFT_REPORTED, "somebody changes it back")
            return step

        return todo.with_applies(kept), frozenset(left)


def corrections(todo: Plan) -> list[Create | Patch]:
    """Return the steps that undo what somebody else did."""
    return [step for step in todo.steps() if isinstance(step, Create | Patch) and _corrects(step)]


def _corrects(step: Step) -> bool:
    return isinstance(step, Create | Patch) and step.cause in {Cause.DRIFT, Cause.OWNERSHIP}
