"""Tell whose an object is: our label and annotation, other tools' marks, and what an object asks for itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from services.applier.fields import other_managers, owned_by
from services.applier.state import Live, Policy, Present
from shared.core.objects import Manifest, ObjectKey

GROUP = "towline.dev"
AGENT_LABEL = f"{GROUP}/agent"
OWNER_ANNOTATION = f"{GROUP}/owner"
MANAGER = "towline"
"""Our field manager, the same for all apps (G6)."""

_FLUX = "kustomize.toolkit.fluxcd.io"
_ARGO_OPTIONS = "argocd.argoproj.io/sync-options"

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
    ("kapp app", lambda labels, _: labels.get("kapp.k14s.io/app")),
    (
        "Fleet bundle",
        lambda labels, notes: notes.get("objectset.rio.cattle.io/id") or labels.get("objectset.rio.cattle.io/id"),
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
    owned = owned_by(manifest, MANAGER)
    policy = policy_of(notes, labels)
    return Present(
        uid=str(metadata.get("uid") or ""),
        resource_version=str(metadata.get("resourceVersion") or ""),
        generation=int(metadata.get("generation") or 0),
        owner=str(notes.get(OWNER_ANNOTATION) or ""),
        agent=str(labels.get(AGENT_LABEL) or ""),
        foreign=foreign_owner(notes, labels),
        owned=owned.digest if owned else "",
        owned_at=owned.time if owned else "",
        managers=other_managers(manifest, MANAGER),
        keep=policy.keep,
        ignored=policy.ignore,
        deleting=bool(metadata.get("deletionTimestamp")),
        finalizers=tuple(metadata.get("finalizers") or ()),
    )


def foreign_owner(annotations: Mapping[str, Any], labels: Mapping[str, Any]) -> str:
    """Return the other tool that tracks an object, in words, or empty."""
    for tool, named in _FOREIGN:
        if name := named(labels, annotations):
            return f"{tool} {name}"
    return ""


def policy_of(annotations: Mapping[str, Any], labels: Mapping[str, Any]) -> Policy:
    """Return what an object asks for itself, by our names and those of other tools (section 7)."""

    def says(name: str, *values: str) -> bool:
        return str(annotations.get(name, labels.get(name, ""))).lower() in values

    argo = {option.strip().lower() for option in str(annotations.get(_ARGO_OPTIONS) or "").split(",")}
    return Policy(
        keep=says(f"{GROUP}/prune", "disabled", "false")
        or says(f"{_FLUX}/prune", "disabled")
        or says("helm.sh/resource-policy", "keep")
        or says("client.lifecycle.config.k8s.io/deletion", "detach")
        or says("cli-utils.sigs.k8s.io/on-remove", "keep")
        or says("kapp.k14s.io/delete-strategy", "orphan")
        or bool(argo & {"prune=false", "delete=false"}),
        ignore=says(f"{GROUP}/reconcile", "disabled")
        or says(f"{_FLUX}/reconcile", "disabled")
        or says(f"{_FLUX}/ssa", "ignore")
        or says("configmanagement.gke.io/managed", "disabled"),
        if_absent=says(f"{GROUP}/ssa", "ifnotpresent")
        or says(f"{_FLUX}/ssa", "ifnotpresent")
        or says("client.lifecycle.config.k8s.io/mutation", "ignore")
        or says("kapp.k14s.io/update-strategy", "skip"),
        recreate=says(f"{GROUP}/force", "enabled")
        or says(f"{_FLUX}/force", "enabled")
        or says("kapp.k14s.io/update-strategy", "fallback-on-replace", "always-replace")
        or bool(argo & {"force=true", "replace=true"}),
        adopt=says(f"{GROUP}/adopt", "true")
        or says("kapp.k14s.io/create-strategy", "fallback-on-update", "fallback-on-update-or-noop"),
        allow_empty=says(f"{GROUP}/allow-empty", "true"),
    )


def is_ours(live: Live, app: str, key: ObjectKey) -> bool:
    """Tell whether the live object carries our annotation for this app and this very identity."""
    return isinstance(live, Present) and owned_app(live.owner, key) == app
