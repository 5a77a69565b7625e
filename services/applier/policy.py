"""What an object may ask for itself, whichever tool's names it uses to say so."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from services.applier.options import Drift
from shared.core.objects import ObjectKey

GROUP = "towline.dev"
HOOK_RUN = f"{GROUP}/hook-run"
"""Ours alone: the bundle for which an object that runs once a bundle was made (K3)."""


class Leave(StrEnum):
    """What becomes of an object that leaves its bundle, or whose app is removed."""

    DELETE = "delete"
    KEEP = "keep"
    CONFIRM = "confirm"
    """It waits for a person (F15)."""


class Renew(StrEnum):
    """When an object is deleted and made anew although it could be changed."""

    NEVER = "never"
    CHANGE = "change"
    """Whenever its content differs."""
    REVISION = "revision"
    """Once a bundle, whatever differs."""


class Phase(StrEnum):
    """When a hook runs."""

    BEFORE = "PreSync"
    DURING = "Sync"
    AFTER = "PostSync"
    RESCUE = "SyncFail"
    """When the delivery failed (K2)."""
    LEAVING = "PreDelete"
    """When its app is removed, before the first object goes (F13)."""
    LEFT = "PostDelete"
    """When its app is removed, after the last object is gone."""


class HookEnd(StrEnum):
    """When a hook's object is deleted."""

    BEFORE_CREATION = "BeforeHookCreation"
    SUCCEEDED = "HookSucceeded"
    FAILED = "HookFailed"


class OnRollback(StrEnum):
    """Whether a hook runs in a release that takes its app back."""

    USUAL = ""
    """Where a person asked for it, not where it goes back by itself (L2)."""
    TOO = "true"
    ONLY = "only"
    """In no other release."""


@dataclass(frozen=True, slots=True)
class Hook:
    """An object that is run once a bundle instead of being kept (K1)."""

    phase: Phase
    ends: frozenset[HookEnd] = frozenset({HookEnd.BEFORE_CREATION})
    first: bool | None = None
    """True: only before the app was ever applied whole; False: only after; None: always."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What an object asks for itself, by annotations, and by labels where the tool reads those too."""

    prune: Leave = Leave.DELETE
    """When it leaves the bundle."""
    delete: Leave = Leave.DELETE
    """When its app is removed."""
    ignore: bool = False
    """Is neither applied nor deleted."""
    exists: bool = False
    """Is made by somebody else, and has to exist."""
    if_absent: bool = False
    """Is created when it is absent, and never changed (D9)."""
    recreate: bool = False
    """May be deleted and created when a field that cannot change has changed (H2)."""
    renew: Renew = Renew.NEVER
    adopt: bool = False
    """May be taken over from another tool."""
    transfer_from: str = ""
    """The app of this agent from which it may be taken, though that one wants it still (G5)."""
    takeover: bool = True
    """What other tools' field managers set and nobody wants is removed (D10)."""
    unsafe: bool = False
    """A definition may change in ways that lose its kind's objects (D15)."""
    allow_empty: bool = False
    """May lose its whole body (A14)."""
    validate: bool = True
    """A field that the API server does not know is an error."""
    wait: bool = True
    """Its health counts, and is waited for (J9)."""
    health_timeout_s: float | None = None
    """How long it may take to be healthy (J4)."""
    drift: Drift | None = None
    """Instead of what the app says (I6)."""
    propagation: str = ""
    """`Foreground` or `Orphan`; empty: `Background` (F6)."""
    wave: int | None = None
    """None: nothing is said, so what depends on it may pull it forward (C4)."""
    hook: Hook | None = None
    on_rollback: OnRollback = OnRollback.USUAL
    removal: tuple[Hook, ...] = ()
    """How it runs when its app is removed; without a `hook` it has no other place (F13)."""
    weight: int = 0
    """Its wave among the hooks of a removal."""
    depends_on: tuple[ObjectKey, ...] = ()
    groups: tuple[str, ...] = ()
    """Names under which others may depend on it."""
    after: tuple[str, ...] = ()
    """Groups on which it depends."""
    left_out: str = ""
    """Why it is not applied at all; `local` is nothing worth telling."""

    def leaves(self, *, removed: bool) -> Leave:
        """Return what becomes of the object; `removed`: its whole app goes."""
        return self.delete if removed else self.prune

    def at_removal(self, phase: Phase) -> Policy | None:
        """Return the policy that counts in a phase of the app's removal; None: it does not run then."""
        hook = next((each for each in self.removal if each.phase is phase), None)
        if hook is None:
            return None
        return replace(self, hook=hook, wave=self.weight, recreate=HookEnd.BEFORE_CREATION in hook.ends)


NOTHING = Policy()
LOCAL = "local"
