"""Bring an object into the one form that its bundle keeps (rules B1 to B7); doing it twice changes nothing.

What the API server would add, drop or rewrite at every apply is settled here, once, instead of in every cluster.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterator
from typing import Any

from shared.core.canonical import NotJSONError, decode, encode
from shared.core.objects import Manifest, group_of

_SERVER_FIELDS = (
    "creationTimestamp",
    "resourceVersion",
    "uid",
    "selfLink",
    "generation",
    "managedFields",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
)
_TOOL_ANNOTATIONS = frozenset(
    f"config.kubernetes.io/{name}" for name in ("path", "index", "origin", "local-config", "merge-source")
) | {"kubectl.kubernetes.io/last-applied-configuration", "internal.config.kubernetes.io"}
_EMPTY_METADATA = ("labels", "annotations", "finalizers", "ownerReferences")
_WORKLOADS = frozenset({"", "apps", "batch", "extensions"})
_PREFIXED = "internal.config.kubernetes.io/"
# Kinds that the server rewrites at every apply when they carry empty lists and selectors [measured].
_REWRITTEN = frozenset({"NetworkPolicy", "ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"})


class Problems:
    """What is wrong with one object: errors forbid its bundle, warnings do not."""

    def __init__(self) -> None:
        self.errors: list[str] = []
        self.warnings: list[str] = []


def normalised(manifest: Manifest, problems: Problems) -> dict[str, Any]:
    """Return `manifest` in its bundle's form, and add to `problems` what has no such form."""
    found = _copied(manifest, problems)
    found.pop("status", None)
    _tidy_metadata(found, problems)
    for template in _templates(found):
        _drop(template.get("metadata"), "creationTimestamp")
    for step in _STEPS:
        step(found, problems)
    return found


def _copied(manifest: Manifest, problems: Problems) -> dict[str, Any]:
    """Return a copy without the nulls of its mappings; by way of its JSON where there are none, which is ten times faster."""
    try:
        content = encode(manifest)
    except NotJSONError:
        content = b"null"
    found: dict[str, Any] = decode(content) if b"null" not in content else _without_nulls(manifest, "", problems)
    return found


def _without_nulls(value: Any, path: str, problems: Problems) -> Any:
    """Return `value` without the nulls of its mappings (B2)."""
    if isinstance(value, dict):
        return {
            key: _without_nulls(member, f"{path}.{key}", problems)
            for key, member in value.items()
            if member is not None
        }
    if isinstance(value, list):
        if any(member is None for member in value):
            problems.errors.append(f"the list {path or '.'} holds a null: remove the empty entry")
        return [_without_nulls(member, f"{path}[{index}]", problems) for index, member in enumerate(value)]
    return value


def _tidy_metadata(found: dict[str, Any], problems: Problems) -> None:
    metadata = found.get("metadata")
    if not isinstance(metadata, dict):
        return
    _drop(metadata, *_SERVER_FIELDS)
    annotations = metadata.get("annotations")
    if isinstance(annotations, dict):
        _drop(annotations, *(name for name in annotations if name in _TOOL_ANNOTATIONS or name.startswith(_PREFIXED)))
    for name in _EMPTY_METADATA:
        if metadata.get(name) in ({}, []):
            del metadata[name]
    for name in ("labels", "annotations"):
        _only_strings(metadata.get(name), f"metadata.{name}", problems)


def _only_strings(mapping: Any, path: str, problems: Problems) -> None:
    if mapping is None:
        return
    if not isinstance(mapping, dict):
        problems.errors.append(f"{path} is not a mapping")
        return
    for key, value in mapping.items():
        if not isinstance(value, str):
            problems.errors.append(f"{path}[{key}] is {_shown(value)}, not a string: quote it")


def _secrets(found: dict[str, Any], problems: Problems) -> None:
    """Move `stringData` into `data` (B3). What SOPS encrypted stays as it is: its parts are signed together."""
    if found["kind"] not in {"Secret", "ConfigMap"} or group_of(found["apiVersion"]) or "sops" in found:
        return
    _only_strings(found.get("data"), "data", problems)
    if found["kind"] == "ConfigMap" or "stringData" not in found:
        return
    plain = found.pop("stringData")
    _only_strings(plain, "stringData", problems)
    if isinstance(plain, dict) and isinstance(found.get("data", {}), dict):
        encoded = {key: b64encode(str(value).encode()).decode() for key, value in plain.items()}
        if encoded:
            found["data"] = {**found.get("data", {}), **encoded}


def _protocols(found: dict[str, Any], problems: Problems) -> None:  # noqa: ARG001  # one of the steps
    """Fill in TCP (B4): the key of these lists holds the protocol, and an absent one merges wrongly."""
    if found["kind"] == "Service" and not group_of(found["apiVersion"]):
        for port in _mappings(_at(found, "spec", "ports")):
            port.setdefault("protocol", "TCP")
    for spec in _pod_specs(found):
        for field in ("containers", "initContainers", "ephemeralContainers"):
            for container in _mappings(spec.get(field)):
                for port in _mappings(container.get("ports")):
                    port.setdefault("protocol", "TCP")


def _certificates(found: dict[str, Any], problems: Problems) -> None:
    """Remove CA bundles that are none (B5): a controller fills them in, and we must not fight it."""
    for place in _ca_places(found):
        if isinstance(place.get("caBundle"), str) and not _is_pem(place["caBundle"]):
            del place["caBundle"]
            problems.warnings.append("a caBundle that is no certificate was left out")


def _aggregated_roles(found: dict[str, Any], problems: Problems) -> None:  # noqa: ARG001  # one of the steps
    """Remove the rules that the server computes (B6)."""
    if found["kind"] == "ClusterRole" and "aggregationRule" in found:
        found.pop("rules", None)


def _services(found: dict[str, Any], problems: Problems) -> None:  # noqa: ARG001  # one of the steps
    """Remove addresses that say nothing (B7)."""
    spec = found.get("spec")
    if found["kind"] != "Service" or group_of(found["apiVersion"]) or not isinstance(spec, dict):
        return
    for field, empty in (("clusterIP", ""), ("clusterIPs", []), ("loadBalancerIP", "")):
        if spec.get(field) == empty:
            del spec[field]


def _rewritten(found: dict[str, Any], problems: Problems) -> None:  # noqa: ARG001  # one of the steps
    """Remove what the server removes at every apply of these kinds (B2)."""
    if found["kind"] in _REWRITTEN:
        for field in ("spec", "webhooks"):
            if field in found:
                found[field] = _without_empties(found[field])


_STEPS: tuple[Callable[[dict[str, Any], Problems], None], ...] = (
    _secrets,
    _protocols,
    _certificates,
    _aggregated_roles,
    _services,
    _rewritten,
)


def _without_empties(value: Any) -> Any:
    """Return `value` without empty lists, `matchLabels` and `matchExpressions`; an empty selector itself means all."""
    if isinstance(value, list):
        return [_without_empties(member) for member in value]
    if not isinstance(value, dict):
        return value
    return {
        name: _without_empties(member)
        for name, member in value.items()
        if member != [] and not (name in {"matchLabels", "matchExpressions"} and not member)
    }


def _templates(found: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the objects inside `found` that have metadata of their own."""
    spec = found.get("spec")
    if group_of(found["apiVersion"]) not in _WORKLOADS or not isinstance(spec, dict):
        return
    job = spec.get("jobTemplate")
    candidates = [spec.get("template"), job, _at(job, "spec", "template")]
    yield from (each for each in candidates if isinstance(each, dict))
    yield from _mappings(spec.get("volumeClaimTemplates"))


def _pod_specs(found: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if found["kind"] == "Pod" and not group_of(found["apiVersion"]) and isinstance(found.get("spec"), dict):
        yield found["spec"]
    yield from (spec for each in _templates(found) if isinstance(spec := each.get("spec"), dict))


def _ca_places(found: dict[str, Any]) -> Iterator[dict[str, Any]]:
    match found["kind"]:
        case "ValidatingWebhookConfiguration" | "MutatingWebhookConfiguration":
            places = [each.get("clientConfig") for each in _mappings(found.get("webhooks"))]
        case "APIService":
            places = [found.get("spec")]
        case "CustomResourceDefinition":
            places = [_at(found, "spec", "conversion", "webhook", "clientConfig")]
        case _:
            places = []
    yield from (place for place in places if isinstance(place, dict))


def _is_pem(encoded: str) -> bool:
    """Tell whether the base64 text begins like a certificate: `-----BEGIN`."""
    return encoded.lstrip().startswith("LS0tLS1CRUdJTi")


def _at(value: Any, *path: str) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _mappings(value: Any) -> Iterator[dict[str, Any]]:
    yield from (member for member in (value if isinstance(value, list) else ()) if isinstance(member, dict))


def _drop(mapping: Any, *names: str) -> None:
    if isinstance(mapping, dict):
        for name in names:
            mapping.pop(name, None)


def _shown(value: Any) -> str:
    return {True: "true", False: "false"}.get(value, str(value)) if isinstance(value, bool) else str(value)[:60]
