"""Decide what counts of a cluster: its labels and where they come from, and whether it takes part.

Git wins over the hub, the hub over what the environment claims for itself. A claim counts at once, after approval, or
never, as the fleet says; an approved value stays until another is approved, so that no agent relabels itself.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.messages.releases import Membership

GIT, HUB, CLAIM = "git", "hub", "claim"
LONGEST_LABEL = 253
MOST_LABELS = 64


@dataclass(frozen=True, slots=True)
class Rules:
    """Which claims count: `claims` of `fleet.yaml`."""

    accept: frozenset[str] = frozenset()
    approve: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Said:
    """What was said about one cluster, by whom."""

    git: Mapping[str, str] | None = None
    """None: not declared in git."""
    hub: Mapping[str, str] = field(default_factory=dict)
    claims: Mapping[str, str] = field(default_factory=dict)
    approved: Mapping[str, str] = field(default_factory=dict)
    """Claims that a person approved: label → value."""


@dataclass(frozen=True, slots=True)
class Effective:
    """The labels that count."""

    labels: dict[str, str]
    origins: dict[str, str]
    pending: dict[str, str]
    """Claims that wait for a person."""

    @property
    def asked(self) -> dict[str, str]:
        """Return the labels that do not come from git."""
        return {name: value for name, value in self.labels.items() if self.origins[name] != GIT}


def effective(said: Said, rules: Rules) -> Effective:
    """Return the labels that count of what was said."""
    git = said.git or {}
    decided = {**dict.fromkeys(said.hub, HUB), **dict.fromkeys(git, GIT)}
    claims: dict[str, str] = {}
    pending: dict[str, str] = {}
    for name, value in said.claims.items():
        if name in decided:
            continue
        if name in rules.accept:
            claims[name] = value
        elif name in rules.approve:
            if name in said.approved:
                claims[name] = said.approved[name]
            if said.approved.get(name) != value:
                pending[name] = value
    labels = {**claims, **said.hub, **git}
    return Effective(labels, {name: decided.get(name, CLAIM) for name in labels}, pending)


def membership_in_git(present: Membership | None, *, in_git: bool) -> Membership:
    """Return where a cluster stands after git declared it, or no longer does."""
    if present in {None, Membership.EXPECTED, Membership.REMOVED}:
        return Membership.EXPECTED if in_git else Membership.REMOVED
    return present


def label_problem(labels: Mapping[str, Any]) -> str:
    """Return why labels that somebody gave cannot be used, or an empty string."""
    if len(labels) > MOST_LABELS:
        return f"more than {MOST_LABELS} labels are given"
    for name, value in labels.items():
        if not isinstance(value, str) or not name or max(len(name), len(value)) > LONGEST_LABEL:
            return f"label {name[:40]!r} must be a text of at most {LONGEST_LABEL} characters"
        if any(ord(letter) < ord(" ") for letter in name + value) or name == "cluster":
            return f"label {name[:40]!r} cannot be used"
    return ""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who joined under a cluster's name."""

    uid: str = ""
    public_key: str = ""


def intruder(pinned: Identity, uid: str) -> bool:
    """Tell whether another Kubernetes cluster speaks under this name."""
    return bool(pinned.uid and uid and pinned.uid != uid)


def approved_claims(
    wanted: Mapping[str, str], pending: Mapping[str, str], approved: Collection[str]
) -> tuple[dict[str, str], list[str]]:
    """Return the claims to approve, and those that are no longer what was seen.

    Args:
        wanted: what a person saw and approves.
        pending: what waits now.
        approved: `label=value` that were approved before: approving again is no mistake.
    """
    known = set(approved)
    stale = [n for n, v in wanted.items() if pending.get(n) != v and f"{n}={v}" not in known]
    return {n: v for n, v in wanted.items() if n not in stale}, sorted(stale)
