"""Know the shape of what other tools read, as far as an import reads it: what is shaped otherwise is left out as a whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from services.cli.imports.places import Path

HINT = "correct it: its own tool refuses it, too"
_REFERENCE = {"kind": str, "name": str, "namespace": str}
_METADATA = {"name": str, "namespace": str, "labels": {}, "annotations": {}, "finalizers": [str]}
_SOURCE = {
    "path": str,
    "helm": {"valueFiles": [str], "parameters": [{}], "valuesObject": {}, "apiVersions": [str]},
    "kustomize": {"images": [str], "components": [str], "patches": [{}], "commonLabels": {}, "commonAnnotations": {}},
    "directory": {},
}
_APPLICATION = {
    "source": _SOURCE,
    "sources": [_SOURCE],
    "destination": {},
    "syncPolicy": {"automated": {}, "syncOptions": [str], "retry": {"backoff": {}}},
    "ignoreDifferences": [{"jsonPointers": [str], "managedFieldsManagers": [str]}],
}
FLUX: Mapping[str, Any] = {
    "metadata": _METADATA,
    "spec": {
        "path": str,
        "url": str,
        "sourceRef": _REFERENCE,
        "dependsOn": [_REFERENCE],
        "patches": [{"target": {}, "patch": str}],
        "components": [str],
        "images": [{}],
        "commonMetadata": {"labels": {}, "annotations": {}},
        "postBuild": {"substitute": {}, "substituteFrom": [_REFERENCE]},
        "healthCheckExprs": [{}],
        "chart": {"spec": {"chart": str, "version": str, "sourceRef": _REFERENCE, "valuesFiles": [str]}},
        "chartRef": _REFERENCE,
        "valuesFrom": [_REFERENCE],
        "values": {},
        "driftDetection": {"ignore": [{"paths": [str], "target": {}}]},
        "install": {},
        "upgrade": {},
        "ref": {},
        "artifacts": [{"copy": [{"from": str, "to": str}]}],
    },
}
ARGO: Mapping[str, Any] = {
    "metadata": _METADATA,
    "spec": {
        **_APPLICATION,
        "generators": [{}],
        "template": {"metadata": _METADATA, "spec": _APPLICATION},
        "destinations": [{}],
    },
}
_BUNDLE = {
    "helm": {"values": {}, "valuesFiles": [str], "chart": str},
    "kustomize": {"dir": str},
    "yaml": {"overlays": [str]},
    "diff": {"comparePatches": [{"operations": [{}], "jsonPointers": [str]}]},
    "correctDrift": {},
}
BUNDLE: Mapping[str, Any] = {
    **_BUNDLE,
    "dependsOn": [{}],
    "targetCustomizations": [{**_BUNDLE, "clusterSelector": {"matchLabels": {}, "matchExpressions": [{}]}}],
}


def misshapen(value: Any, shape: Any, at: Path = ()) -> Iterator[Path]:
    """Yield the places whose value has another shape; what is absent or null has any."""
    if value is None:
        return
    if isinstance(shape, Mapping):
        if not isinstance(value, Mapping):
            yield at
            return
        for key, inner in shape.items():
            yield from misshapen(value.get(key), inner, (*at, key))
    elif isinstance(shape, list):
        if not isinstance(value, list):
            yield at
            return
        for index, each in enumerate(value):
            yield from misshapen(each, shape[0], (*at, index))
    elif not isinstance(value, shape):
        yield at
