"""Apply patches to the objects that they name or select."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from services.renderer.kustomize import jsonpatch, merge
from services.renderer.kustomize.kustomization import Target
from services.renderer.kustomize.outside import need
from services.renderer.kustomize.resources import Resource, resource_of, the_one


def merged(resources: Sequence[Resource], patch: Any, target: Target | None) -> list[Resource]:
    """Return the resources with a strategic merge patch applied: to what it is called like, or to what `target` selects."""
    found = list(resources)
    named = resource_of({key: value for key, value in patch.items() if key != "$patch"})
    if target is None:
        chosen = [the_one(found, named.api_version, named.id)]
    else:
        chosen = [index for index, each in enumerate(found) if selects(target, each)]
    gone = set()
    need("$patch" not in patch or patch["$patch"] == "delete", "another instruction")
    for index in chosen:
        if patch.get("$patch") == "delete":
            gone.add(index)
        else:
            found[index] = _merged(found[index], named.value)
    return [each for index, each in enumerate(found) if index not in gone]


def _merged(resource: Resource, patch: Mapping[str, Any]) -> Resource:
    schema = merge.schema_of(resource.api_version, resource.kind)
    if not resource.checked:
        merge.check(resource.value, schema)
    said = {name: value for name, value in patch.items() if name not in {"apiVersion", "kind"}}
    said["metadata"] = {name: value for name, value in patch["metadata"].items() if name not in {"name", "namespace"}}
    for tied in resource.tied:
        need(not any(_says(said, (*place, tied.key)) for place in tied.places), f"a patch of {tied.key}")
    return resource.with_value(merge.patched(resource.value, said, schema), checked=True)


def _says(node: Any, path: Sequence[str]) -> bool:
    """Tell whether a patch says something at `path`."""
    return not path or (isinstance(node, dict) and path[0] in node and _says(node[path[0]], path[1:]))


def edited(
    resources: Sequence[Resource], operations: Sequence[Mapping[str, Any]], target: Target, *, remember: bool
) -> list[Resource]:
    """Return the resources with a JSON patch applied to what `target` selects.

    With `remember` the build notes what each was called, as it does for `patches` and not for `patchesJson6902`.
    """
    return [_edited(each, operations, remember=remember) if selects(target, each) else each for each in resources]


def _edited(resource: Resource, operations: Sequence[Mapping[str, Any]], *, remember: bool) -> Resource:
    found = resource.renamed() if remember else resource
    value = found.value
    # Kustomize keeps what it remembers in annotations, so that there is something to add to.
    if (found.past or found.generated) and "annotations" not in found.metadata:
        value = {**value, "metadata": {**found.metadata, "annotations": {}}}
    changed = found._replace(value=jsonpatch.applied(value, operations), checked=False, tied=())
    resource_of(changed.value)
    return changed


def selects(target: Target, resource: Resource) -> bool:
    """Tell whether `target` is for the object, by what it is called now or was called first."""
    group, _, version = resource.api_version.rpartition("/")
    first, now = resource.original, resource.id
    return (
        (_fits(target.namespace, first.namespace) or _fits(target.namespace, now.namespace))
        and (_fits(target.name, first.name) or _fits(target.name, now.name))
        and _fits(target.group, group)
        and _fits(target.version, version)
        and _fits(target.kind, resource.kind)
        and _has(target.labels, resource.metadata.get("labels", {}))
        and _has(target.annotations, resource.metadata.get("annotations", {}))
    )


def _fits(pattern: str, text: str) -> bool:
    return not pattern or re.fullmatch(pattern, text) is not None


def _has(selector: str, pairs: Mapping[str, str]) -> bool:
    """Tell whether `pairs` are what a selector asks for."""
    return all(_is(each, pairs) for each in selector.split(",") if each)


def _is(requirement: str, pairs: Mapping[str, str]) -> bool:
    if "!=" in requirement:
        key, _, value = requirement.partition("!=")
        return pairs.get(key) != value
    if "=" in requirement:
        key, _, value = requirement.partition("=")
        return key in pairs and pairs[key] == value.removeprefix("=")
    return (requirement.removeprefix("!") in pairs) is not requirement.startswith("!")
