"""Say how an object does, from the object alone: the rule of its kind, or kstatus with the deviations people expect."""

from __future__ import annotations

from services.applier.health.builtin import SUSPENDED, deviation_of
from services.applier.health.kstatus import Doubt, Status, computed, conditions_of
from services.applier.health.rules import Rule
from shared.core.asking import is_observed
from shared.core.objects import Manifest, group_of
from shared.core.status import Health

__all__ = ["Doubt", "Rule", "Status", "health_of", "judged", "leaves_when_done"]

_FINAL = frozenset({Health.CURRENT, Health.FAILED})


def health_of(manifest: Manifest, rule: Rule | None = None, *, reports: bool = False) -> Status:
    """Return how a live object does; it must be complete, its status included.

    One of which nothing is known and that will say something (`reports`: its kind has a status of its own) is given a
    moment to do so.

    What is said about an older generation counts for nothing (J3): it is still in progress. A suspended object may
    stay unobserved for ever, so it is taken at its word.
    """
    common = computed(manifest)
    if common.health is Health.TERMINATING:
        return common
    found = judged(manifest, rule)
    if reports and rule is None and not manifest.get("status") and _is_custom(manifest):
        return Status(Health.IN_PROGRESS, "NoStatus", "nothing is said about it yet", Doubt.SILENT)
    if found.health in _FINAL and found.reason != SUSPENDED and not is_observed(manifest):
        return Status(Health.IN_PROGRESS, "LatestGenerationNotObserved", "the newest generation is not observed yet")
    return found


def judged(manifest: Manifest, rule: Rule | None = None) -> Status:
    """Return what the rule of its kind says about an object, whatever generation its status speaks of."""
    if rule is not None:
        return rule.status_of(manifest)
    common = computed(manifest)
    if common.reason == "LatestGenerationNotObserved":
        return common
    deviation = deviation_of(group_of(manifest.get("apiVersion") or ""), manifest.get("kind") or "")
    return (deviation(manifest) if deviation else None) or common


def leaves_when_done(manifest: Manifest) -> bool:
    """Tell whether an object is done, and its cluster will remove it: a completed Job with a time to live (J7)."""
    spec = manifest.get("spec") or {}
    return (
        (group_of(manifest.get("apiVersion") or ""), manifest.get("kind")) == ("batch", "Job")
        and spec.get("ttlSecondsAfterFinished") is not None
        and (conditions_of(manifest).get("Complete") or {}).get("status") == "True"
    )


def _is_custom(manifest: Manifest) -> bool:
    """Tell whether an object's kind is defined by somebody else than Kubernetes."""
    group = group_of(manifest.get("apiVersion") or "")
    return "." in group and not group.endswith(".k8s.io")
