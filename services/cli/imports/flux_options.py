"""Say in our words how Flux keeps a Kustomization or a HelmRelease: its `sync` options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.cli.imports.model import Key

_HOUR = frozenset({"1h", "60m", "1h0m0s", "60m0s"})
_FIVE_MINUTES = frozenset({"5m", "5m0s", "300s"})


def of_kustomization(spec: Mapping[str, Any], key: Key, namespace: str, account: str) -> dict[str, Any]:
    """Return the options of a Kustomization of Flux, those that are our defaults left out."""
    found = _times(spec)
    if not spec.get("prune"):
        found |= {"prune": False}
    if spec.get("deletionPolicy") == "Orphan" or (not spec.get("prune") and spec.get("deletionPolicy") != "Delete"):
        found |= {"deletionPolicy": "orphan"}
    if not (spec.get("wait") or spec.get("healthChecks") or spec.get("healthCheckExprs")):
        found |= {"wait": False}
    if spec.get("force"):
        found |= {"onImmutable": "recreate"}
    if retry := spec.get("retryInterval"):
        found |= {"retry": {"first": retry, "max": retry}}
    if checks := spec.get("healthCheckExprs"):
        found |= {"healthChecks": [dict(each) for each in checks]}
    return found | _common(spec, key, namespace, account)


def of_release(spec: Mapping[str, Any], key: Key, namespace: str, account: str) -> dict[str, Any]:
    """Return the options of a HelmRelease, those that are our defaults left out."""
    found = _times(spec)
    if all((spec.get(each) or {}).get("disableWait") for each in ("install", "upgrade")):
        found |= {"wait": False}
    drift = spec.get("driftDetection") or {}
    if drift.get("mode") == "warn":
        found |= {"drift": "report"}
    if ignored := drift.get("ignore"):
        found |= {"ignore": [_ignored(each) for each in ignored]}
    return found | _common(spec, key, namespace, account)


def _times(spec: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if spec.get("interval") and spec["interval"] not in _HOUR:
        found["interval"] = spec["interval"]
    if spec.get("timeout") and spec["timeout"] not in _FIVE_MINUTES:
        found["timeout"] = spec["timeout"]
    return found


def _common(spec: Mapping[str, Any], key: Key, namespace: str, account: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if account:
        found["runAs"] = account if key[1] in {"", namespace} else f"{key[1]}/{account}"
    if spec.get("suspend"):
        found["suspend"] = {"reason": "it was suspended in Flux"}
    return found


def _ignored(written: Mapping[str, Any]) -> dict[str, Any]:
    target = {
        key: str(value)
        for key, value in (written.get("target") or {}).items()
        if key in {"group", "kind", "name", "namespace"}
    }
    return {**({"target": target} if target else {}), "paths": list(written.get("paths") or ())}
