"""Tell whether a field that is wanted and a field that is live mean the same, though they are written otherwise.

API servers leave out what is empty, write quantities in their own form and store nulls as zero values. What they do
to custom resources is less: those keep what was written.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from services.applier.fields import MISSING, Path
from shared.core.canonical import encode
from shared.core.objects import Manifest, group_of

# Where a text is a quantity, which the API server writes in its own form.
_QUANTITIES = frozenset(
    f"f:{name}"
    for name in (
        "limits",
        "requests",
        "hard",
        "capacity",
        "storage",
        "sizeLimit",
        "default",
        "defaultRequest",
        "maxLimitRequestRatio",
        "min",
        "max",
        "cpu",
        "memory",
        "averageValue",
        "divisor",
        "overhead",
    )
)
_SUFFIXES: Mapping[str, Decimal] = {
    **{suffix: Decimal(1000) ** power for power, suffix in enumerate(("", "k", "M", "G", "T", "P", "E"))},
    **{suffix: Decimal(1024) ** power for power, suffix in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), 1)},
    **{suffix: Decimal(1000) ** -power for power, suffix in enumerate(("m", "u", "n"), 1)},
}
# Mappings whose names are free: there an empty text is a value like any other.
_FREE = frozenset(
    f"f:{name}"
    for name in (
        "data",
        "binaryData",
        "stringData",
        "labels",
        "annotations",
        "matchLabels",
        "nodeSelector",
        "selector",
        "parameters",
    )
)
# Texts and switches for which being absent means something else than being empty or off.
_POINTERS = frozenset(
    f"f:{name}"
    for name in (
        "allocateLoadBalancerNodePorts",
        "allowPrivilegeEscalation",
        "apiGroup",
        "automountServiceAccountToken",
        "enableServiceLinks",
        "hostUsers",
        "ingressClassName",
        "storageClassName",
        "volumeAttributesClassName",
    )
)
# Numbers that are left out when they are 0; most others are not.
_ZEROS = frozenset(
    f"f:{name}" for name in ("healthCheckNodePort", "hostPort", "initialDelaySeconds", "minReadySeconds", "nodePort")
)
# Structures that say something by being there.
_SIGNS = frozenset(f"f:{name}" for name in ("emptyDir", "namespaceSelector", "objectSelector", "podSelector"))
_SERVER_FIELDS = frozenset({"creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid"})
_RBAC = "rbac.authorization.k8s.io"
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:h|m|s|ms))+")
_PART = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s)")
_UNITS: Mapping[str, Decimal] = {"h": Decimal(3600), "m": Decimal(60), "s": Decimal(1), "ms": Decimal("0.001")}


def same(wanted: Any, live: Any, path: Path, *, builtin: bool) -> bool:
    """Tell whether the live value at `path` is what was wanted there."""
    if live is MISSING or live is None:
        return _means_nothing(wanted, live, path, builtin=builtin)
    if wanted == live and isinstance(wanted, bool) == isinstance(live, bool):
        return True
    if _QUANTITIES.intersection(path):
        left, right = quantity(wanted), quantity(live)
        return left is not None and left == right
    # Controllers of custom resources write durations back in Go's form.
    return not builtin and (left := _seconds(wanted)) is not None and left == _seconds(live)


def quantity(value: Any) -> Decimal | None:
    """Return the number that a Kubernetes quantity means, or None."""
    text = str(value)
    number = text.rstrip("KMGTPEkmuni")
    try:
        return Decimal(number) * _SUFFIXES[text[len(number) :]]
    except (InvalidOperation, KeyError):
        return None


def _seconds(value: Any) -> Decimal | None:
    """Return the length of a duration in Go's form, or None."""
    if not isinstance(value, str) or not _DURATION.fullmatch(value):
        return None
    return sum((Decimal(number) * _UNITS[unit] for number, unit in _PART.findall(value)), Decimal(0))


def _means_nothing(wanted: Any, live: Any, path: Path, *, builtin: bool) -> bool:
    """Tell whether a value is as good as an absent one."""
    last = path[-1] if path else ""
    match wanted:
        case None | []:
            return True
        case Mapping():
            return not (wanted or (last in _SIGNS and builtin))
        case _ if wanted or not builtin:
            return False
        case bool():
            return live is None or last not in _POINTERS
        case str():
            return live is None or not (last in _POINTERS or (len(path) > 1 and path[-2] in _FREE))
        case _:
            # What is null is stored as the zero value of its type.
            return live is None or last in _ZEROS


def comparable(manifest: Manifest) -> dict[str, Any]:
    """Return an object in the form in which it is compared: without what only servers write, in one order."""
    found = {name: value for name, value in manifest.items() if name != "status"}
    if isinstance(metadata := manifest.get("metadata"), Mapping):
        found["metadata"] = {name: value for name, value in metadata.items() if name not in _SERVER_FIELDS}
    match group_of(str(found.get("apiVersion") or "")), found.get("kind"):
        case "", "Secret":
            _fold_string_data(found)
        case "", "Endpoints":
            found["subsets"] = _ordered(found.get("subsets"))
        case str(group), "ClusterRole" if group == _RBAC and found.get("aggregationRule"):
            # The server computes them (B6).
            found.pop("rules", None)
    return found


def _fold_string_data(secret: dict[str, Any]) -> None:
    """Move `stringData` into `data`, where the API server keeps it; what is no text stays what it is."""
    plain = secret.pop("stringData", None)
    if isinstance(plain, Mapping) and isinstance(data := secret.get("data") or {}, Mapping):
        secret["data"] = {**data, **{name: _base64(value) for name, value in plain.items()}}


def _base64(value: Any) -> Any:
    return b64encode(value.encode()).decode() if isinstance(value, str) else value


def _ordered(subsets: Any) -> Any:
    """Return the subsets of Endpoints, whose order says nothing, in one order."""
    if not isinstance(subsets, list) or not all(isinstance(each, Mapping) for each in subsets):
        return subsets
    return sorted(({name: _sorted(value) for name, value in each.items()} for each in subsets), key=encode)


def _sorted(items: Any) -> Any:
    """Return addresses or ports in one order, TCP filled in."""
    if not isinstance(items, list):
        return items
    filled = [{"protocol": "TCP", **each} if isinstance(each, Mapping) and "port" in each else each for each in items]
    return sorted(filled, key=encode)
