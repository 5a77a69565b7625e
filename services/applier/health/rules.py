"""Rules of health that are data: for some kinds, questions about the object, and what each of them means.

The outcomes are tried in the order in which they are written; when none is true, the object is in progress.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from services.applier.health.builtin import SUSPENDED
from services.applier.health.kstatus import CURRENT, Doubt, Status
from shared.core.asking import conditions_in, is_meant, question, variables_of
from shared.core.cel import EvaluationError, Expression
from shared.core.objects import Manifest, group_of
from shared.core.status import Health

FAILED_EXPRESSION = "ExpressionFailed"
OUTCOMES: Mapping[str, Status] = {
    "current": CURRENT,
    "degraded": Status(Health.FAILED, doubt=Doubt.PASSING),
    "failed": Status(Health.FAILED),
    "inProgress": Status(Health.IN_PROGRESS),
    "notFound": Status(Health.NOT_FOUND),
    "suspended": Status(Health.CURRENT, SUSPENDED),
    "unknown": Status(Health.UNKNOWN),
}
"""A controller goes on trying with what is `degraded`; what has `failed` stays so."""
CHECKS = ("inProgress", "failed", "current")
"""What a user's health check says, in the order in which it is tried (J6)."""
_WELL = frozenset({"Ready", "Available", "Synced", "Healthy", "Succeeded", "Accepted", "Reconciled"})
"""Conditions whose message tells most about an object."""

Entry = Mapping[str, Any]
"""`kinds`, like `acme.io/Widget|Gadget`, `*.acme.io/*` or `/ConfigMap`; names of `OUTCOMES`; `message`."""


@dataclass(frozen=True, slots=True)
class Rule:
    """How objects of some kinds do."""

    outcomes: tuple[tuple[str, Expression], ...]
    """Names of `OUTCOMES` in the order in which they are tried."""
    message: Expression | None = None

    def status_of(self, manifest: Manifest) -> Status:
        """Return how an object does; a question that has no answer leaves it unknown, and says so (J6)."""
        variables = variables_of(manifest)
        outcome = ""
        try:
            for outcome, asked in self.outcomes:
                answer = asked.value(variables)
                if not isinstance(answer, bool):
                    return Status(Health.UNKNOWN, FAILED_EXPRESSION, f"{outcome}: neither true nor false")
                if answer:
                    return self._told(outcome, manifest, variables)
            return self._told("inProgress", manifest, variables)
        except EvaluationError as error:
            if not manifest.get("status"):
                # Its controller has not said anything yet: there is nothing to be wrong about.
                return Status(Health.IN_PROGRESS, "NoStatus", "nothing is said about it yet")
            return Status(Health.UNKNOWN, FAILED_EXPRESSION, f"{outcome}: {error}")

    def _told(self, outcome: str, manifest: Manifest, variables: Mapping[str, Any]) -> Status:
        meant = OUTCOMES[outcome]
        said = _telling(manifest, well=meant.health is Health.CURRENT)
        message = self.message.value(variables) if self.message else said.get("message")
        return replace(meant, reason=meant.reason or str(said.get("reason") or ""), message=str(message or ""))


def rule_of(entry: Entry) -> Rule:
    """Return the rule that an entry writes.

    Raises:
        ExpressionError: a question cannot be read.
    """
    outcomes = tuple((name, question(text)) for name, text in entry.items() if name in OUTCOMES)
    return Rule(outcomes, question(entry["message"]) if entry.get("message") else None)


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """What a user says about the health of some kinds (J6); comparable, so that a change is noticed."""

    kinds: str
    """`group/Kind`, either with `*`."""
    questions: tuple[tuple[str, str], ...]
    """Names of `CHECKS` in their order, with the expressions."""

    def rule(self) -> Rule:
        """Return the rule that it writes."""
        return rule_of(dict(self.questions))


def check_of(written: Mapping[str, Any]) -> HealthCheck:
    """Return a health check of the fleet format.

    Raises:
        ExpressionError: a question cannot be read.
        KeyError: a part is missing.
    """
    group = written.get("group") or group_of(written.get("apiVersion") or "")
    questions = tuple((name, str(written[name])) for name in CHECKS if written.get(name) or name == "current")
    check = HealthCheck(f"{group}/{written['kind']}", questions)
    check.rule()
    return check


def entry_for(entries: Iterable[Entry], group: str, kind: str) -> Entry | None:
    """Return the first entry for a kind."""
    return next((each for each in entries if any(is_meant(written, group, kind) for written in each["kinds"])), None)


def _telling(manifest: Manifest, *, well: bool) -> Mapping[str, Any]:
    """Return the condition that tells most, or the status itself."""
    status = manifest.get("status") or {}
    told = sorted(
        (each for each in conditions_in(status) if each.get("message") or each.get("reason")),
        key=lambda each: ((each.get("status") == "True") is not well, each.get("type") not in _WELL),
    )
    message = status.get("message") or status.get("reason")
    return told[0] if told else {"message": message if isinstance(message, str) else ""}
