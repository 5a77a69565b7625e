"""Tell whose an object is: our label and annotation, other tools' marks, and what an object asks for itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.applier.state import Live, Policy, Present
from shared.core.objects import Manifest, ObjectKey

GROUP = "towline.dev"
AGENT_LABEL = f"{GROUP}/agent"
OWNER_ANNOTATION = f"{GROUP}/owner"
MANAGER = "towline"
"""Our field manager, the same for all apps (G6)."""


def owner_value(app: str, key: ObjectKey) -> str:
    """Return our annotation's value; the identity inside makes copies by controllers worthless (B8)."""
    return f"{app}:{key}"


def owned_app(owner: str, key: ObjectKey) -> str:
    """Return the app that `owner` (an annotation's value) names as the owner of `key`, or empty."""
    app, _, rest = owner.partition(":")
    return app if rest == str(key) else ""


def present_of(manifest: Manifest) -> Present:
    """Return the facts of a live object; `PartialObjectMetadata` is enough."""
    raise NotImplementedError


def policy_of(annotations: Mapping[str, Any], labels: Mapping[str, Any]) -> Policy:
    """Return what an object asks for itself, by our names and those of other tools (section 7)."""
    raise NotImplementedError


def is_ours(live: Live, app: str, key: ObjectKey) -> bool:
    """Tell whether the live object carries our annotation for this app and this very identity."""
    return isinstance(live, Present) and owned_app(live.owner, key) == app
