"""Say in our words how Argo CD keeps an Application: its `sync` options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.cli.imports.notes import Told
from services.cli.imports.places import Path, metadata_of

_FINALIZER = "resources-finalizer.argocd.argoproj.io"
# Those that say what happens here anyway.
_ANYWAY = frozenset(
    {
        "ServerSideApply=true",
        "ApplyOutOfSyncOnly=true",
        "PruneLast=true",
        "RespectIgnoreDifferences=true",
        "FailOnSharedResource=true",
        "SkipDryRunOnMissingResource=true",
        "CreateNamespace=true",
        "CreateNamespace=false",
        "Validate=true",
        "ClientSideApplyMigration=false",
    }
)
_OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "Force=true": {"onImmutable": "recreate"},
    "Replace=true": {"onImmutable": "recreate"},
    "Prune=false": {"prune": False},
    "Delete=false": {"deletionPolicy": "orphan"},
}
_POLICIES = {"foreground", "background"}


def of_application(manifest: Mapping[str, Any], told: Told) -> dict[str, Any]:
    """Return the options of an Application, those that are our defaults left out."""
    spec = manifest.get("spec") or {}
    policy = spec.get("syncPolicy") or {}
    found = _automated(policy.get("automated"))
    options = [str(each).replace(" ", "") for each in policy.get("syncOptions") or ()]
    if "CreateNamespace=true" not in options:
        found["createNamespace"] = False
    if not any(str(each).startswith(_FINALIZER) for each in metadata_of(manifest).get("finalizers") or ()):
        found["deletionPolicy"] = "orphan"
    for index, each in enumerate(options):
        found |= _OPTIONS.get(each, {})
        if each not in _ANYWAY and each not in _OPTIONS and not each.startswith("PrunePropagationPolicy="):
            where: Path = ("spec", "syncPolicy", "syncOptions", index)
            told(where, f"has the sync option {each}", "say it at the objects that need it, with an annotation")
    if policy.get("managedNamespaceMetadata"):
        where = ("spec", "syncPolicy", "managedNamespaceMetadata")
        told(where, "marks its namespace", "add the Namespace with these labels to the app")
    if backoff := (policy.get("retry") or {}).get("backoff"):
        names = {"duration": "first", "maxDuration": "max"}
        found["retry"] = {ours: str(backoff[theirs]) for theirs, ours in names.items() if backoff.get(theirs)}
    ignored = [_ignored(each, index, told) for index, each in enumerate(spec.get("ignoreDifferences") or ())]
    if ignored := [each for each in ignored if set(each) - {"target"}]:
        found["ignore"] = ignored
    return found


def _automated(policy: Mapping[str, Any] | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if policy is None or policy.get("enabled") is False:
        found["suspend"] = {"reason": "Argo CD did not sync it by itself"}
    automated = policy or {}
    if not automated.get("prune"):
        found["prune"] = False
    if not automated.get("selfHeal"):
        found["drift"] = "report"
    if automated.get("allowEmpty"):
        found["allowEmpty"] = True
    return found


def _ignored(written: Mapping[str, Any], index: int, told: Told) -> dict[str, Any]:
    target = {key: str(written[key]) for key in ("group", "kind", "name", "namespace") if written.get(key)}
    found: dict[str, Any] = {"target": target} if target else {}
    if written.get("jqPathExpressions"):
        at = ("spec", "ignoreDifferences", index, "jqPathExpressions")
        told(at, "ignores differences that a jq expression finds", "name the fields: `sync.ignore` with paths")
    if written.get("jsonPointers"):
        found["paths"] = list(written["jsonPointers"])
    if written.get("managedFieldsManagers"):
        found["managers"] = list(written["managedFieldsManagers"])
    return found
