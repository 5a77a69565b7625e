"""Decide whether an object that exists may become ours (rules G1, G2, G5, G7)."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from services.applier.options import Adopt
from services.applier.policy import GROUP
from services.applier.state import Present, Wanted
from services.applier.tracking import owned_app
from shared.core.objects import ObjectKey


@dataclass(frozen=True, slots=True)
class Claimant:
    """Who wants an object."""

    app: str
    cluster: str
    """The agent's name; empty: any."""
    adopt: Adopt
    others: AbstractSet[ObjectKey] = frozenset()
    """What other apps of this agent desire."""
    apps: AbstractSet[str] = frozenset()
    """The apps of this agent whose desires are known."""
    shared: Mapping[ObjectKey, str] = field(default_factory=dict)
    """Their `Wanted.content`, where there is one."""


def is_shared(wanted: Wanted, live: Present, claimant: Claimant) -> bool:
    """Tell whether another app has the object and wants the very same: then it is well for both (G5).

    Who had it first keeps it; when that app drops it, the other one takes it over.
    """
    owner = owned_app(live.owner, wanted.key)
    same = bool(wanted.content) and claimant.shared.get(wanted.key) == wanted.content
    return same and owner not in {"", claimant.app} and live.agent == claimant.cluster


def objection(wanted: Wanted, live: Present, claimant: Claimant, *, known: bool) -> str:
    """Return why the live object must not be touched, with the next step to take; empty: it may.

    Args:
        wanted: the object of the bundle.
        live: the object that has its name.
        claimant: the app that wants it.
        known: the inventory has this very object, by its UID, as applied.
    """
    owner = owned_app(live.owner, wanted.key)
    stranger = live.agent and claimant.cluster and live.agent != claimant.cluster and not known
    if owner and (owner == wanted.policy.transfer_from or (owner == claimant.app and not stranger)):
        return ""
    if owner and stranger:
        return _other_agent(live, claimant)
    if owner:
        # The app that had it gave it up when it no longer desires it: then it is handed over (G5). A mark of nobody we
        # know on an object that was ours is not fought (G7).
        taken = wanted.key in claimant.others or (known and owner not in claimant.apps)
        hint = f"take it out of one of both apps, or annotate it with {GROUP}/transfer-from: {owner}"
        return f"it is owned by app {owner!r}: {hint}" if taken else ""
    if known or claimant.adopt is Adopt.ALL or wanted.policy.adopt:
        return ""
    if live.foreign:
        return f"it is managed by {live.foreign}: set adopt: all, or annotate it with towline.dev/adopt"
    return "it exists already, and adopt is never" if claimant.adopt is Adopt.NEVER else ""


def _other_agent(live: Present, claimant: Claimant) -> str:
    if claimant.adopt is Adopt.ALL:
        return ""
    return f"it belongs to the agent {live.agent!r}: set adopt: all to take it over"
