"""Tell whose an object is: our label and annotation, and other tools' marks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from sys import intern
from typing import Any

from services.applier.compat import asked
from services.applier.fields import entries, other_managers, owned_by
from services.applier.held import is_held
from services.applier.policy import GROUP, HOOK_RUN, NOTHING
from services.applier.state import Live, Present
from services.applier.writers import writers
from shared.core.objects import Manifest, ObjectKey

AGENT_LABEL = f"{GROUP}/agent"
OWNER_ANNOTATION = f"{GROUP}/owner"
MANAGER = "towline"
"""Our field manager, the same for all apps (G6)."""

_FLUX = "kustomize.toolkit.fluxcd.io"

# What makes another tool the owner (G2). A label alone is no proof where charts set it too: Helm needs both.
_FOREIGN: tuple[tuple[str, Callable[[Mapping[str, Any], Mapping[str, Any]], Any]], ...] = (
    ("Flux Kustomization", lambda labels, _: labels.get(f"{_FLUX}/name")),
    ("Flux HelmRelease", lambda labels, _: labels.get("helm.toolkit.fluxcd.io/name")),
    ("Argo CD application", lambda _, notes: notes.get("argocd.argoproj.io/tracking-id")),
    (
        "Helm release",
        lambda labels, notes: (
            labels.get("app.kubernetes.io/managed-by") == "Helm" and notes.get("meta.helm.sh/release-name")
        ),
    ),
    ("kapp app", lambda labels, notes: labels.get("kapp.k14s.io/app") or notes.get("kapp.k14s.io/identity")),
    (
        "Fleet bundle",
        lambda labels, notes: (
            notes.get("objectset.rio.cattle.io/id")
            or labels.get("objectset.rio.cattle.io/id")
            or labels.get("objectset.rio.cattle.io/hash")
        ),
    ),
    ("cli-utils inventory", lambda _, notes: notes.get("config.k8s.io/owning-inventory")),
    ("kubectl apply set", lambda labels, _: labels.get("applyset.kubernetes.io/part-of")),
)


def owner_value(app: str, key: ObjectKey) -> str:
    """Return our annotation's value; the identity inside makes copies by controllers worthless (B8)."""
    return f"{app}:{key}"


def owned_app(owner: str, key: ObjectKey) -> str:
    """Return the app that `owner` (an annotation's value) names as the owner of `key`, or empty."""
    app, _, rest = owner.partition(":")
    return app if rest == str(key) else ""


def present_of(manifest: Manifest) -> Present:
    """Return the facts of a live object; `PartialObjectMetadata` is enough."""
    metadata = manifest.get("metadata") or {}
    notes, labels = metadata.get("annotations") or {}, metadata.get("labels") or {}
    owners = entries(manifest)
    owned = owned_by(owners, MANAGER)
    policy = asked(notes, labels).policy
    return Present(
        uid=str(metadata.get("uid") or ""),
        resource_version=str(metadata.get("resourceVersion") or ""),
        generation=int(metadata.get("generation") or 0),
        owner=str(notes.get(OWNER_ANNOTATION) or ""),
        agent=intern(str(labels.get(AGENT_LABEL) or "")),
        foreign=foreign_owner(notes, labels),
        # Objects of one form, applied together, have these alike: one copy for ten thousand of them.
        owned=intern(owned.digest) if owned else "",
        owned_at=intern(owned.time) if owned else "",
        managers=other_managers(owners, MANAGER),
        writers=writers(owners, MANAGER),
        held=is_held(owners),
        policy=policy,
        own=policy if policy is NOTHING else asked(notes, labels, compat=False).policy,
        run=str(notes.get(HOOK_RUN) or ""),
        deleting=str(metadata.get("deletionTimestamp") or ""),
        finalizers=tuple(metadata.get("finalizers") or ()),
    )


def foreign_owner(annotations: Mapping[str, Any], labels: Mapping[str, Any]) -> str:
    """Return the other tool that tracks an object, in words, or empty."""
    for tool, named in _FOREIGN:
        if name := named(labels, annotations):
            return f"{tool} {name}"
    return ""


def is_ours(live: Live, app: str, key: ObjectKey) -> bool:
    """Tell whether the live object carries our annotation for this app and this very identity."""
    return isinstance(live, Present) and owned_app(live.owner, key) == app
