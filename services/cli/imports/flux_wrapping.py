"""Write the kustomization that adds to a folder what a Kustomization of Flux adds, and leaves out what only Flux reads."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from services.cli.imports import flux_objects as flux
from services.cli.imports.model import Kustomized
from services.cli.imports.text import KUSTOMIZATION, yaml_text
from services.renderer.layers import joined
from shared.core.objects import Manifest

_GONE = "$patch: delete\napiVersion: v1\nkind: Any\nmetadata:\n  name: any\n"
_WITHOUT_FLUX = {"target": {"group": r".*\.fluxcd\.io"}, "patch": _GONE}
_WITHOUT_PARTS = {"target": {"labelSelector": f"{flux.PART_OF}=flux"}, "patch": _GONE}


def wrapper(original: Kustomized, objects: Sequence[Manifest]) -> dict[str, Any]:
    """Return the fields of the kustomization; the paths of its resources and components are those of the repository."""
    fields = dict(original.fields)
    found: dict[str, Any] = {"resources": [original.path]}
    components = [joined(original.path, each) for each in fields.pop("components", ())]
    found |= {"components": components} if components else {}
    patches = [each for each in fields.pop("patches", ()) if not _is_about_flux(each)]
    found |= fields
    if original.labels:
        found["labels"] = [{"pairs": dict(original.labels), "includeSelectors": False}]
    if original.annotations:
        # `commonAnnotations` would reach the templates of pods, too.
        transformer = {"apiVersion": "builtin", "kind": "AnnotationsTransformer", "metadata": {"name": "common"}}
        places = [{"path": "metadata/annotations", "create": True}]
        text = yaml_text({**transformer, "annotations": dict(original.annotations), "fieldSpecs": places})
        found["transformers"] = [text]
    if any(flux.is_flux(each) for each in objects):
        patches.append(_WITHOUT_FLUX)
    if any(flux.is_own_part(each) for each in objects):
        patches.append(_WITHOUT_PARTS)
    return found | ({"patches": patches} if patches else {})


def roots(original: Kustomized) -> list[str]:
    """Return the folders and files that a build begins with."""
    members = (*original.fields.get("components", ()), *original.listed)
    return [original.path, *(joined(original.path, each) for each in members)]


def generated(members: Sequence[str]) -> str:
    """Return the kustomization that Flux makes for a folder without one."""
    return yaml_text(
        {**KUSTOMIZATION, "resources": list(members)}, "Flux makes this by itself for a folder without one."
    )


def _is_about_flux(patch: Mapping[str, Any]) -> bool:
    """Tell whether a patch can only concern objects that are not delivered any more."""
    target = patch.get("target") or {}
    group = str(target.get("group") or "")
    if target:
        return group.endswith(".fluxcd.io") or (not group and target.get("kind") in flux.CONSUMED)
    version = re.search(r"(?m)^apiVersion:\s*(\S+)", str(patch.get("patch") or ""))
    return bool(version and ".fluxcd.io/" in version[1])
