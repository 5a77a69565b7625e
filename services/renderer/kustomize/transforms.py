"""Transformers that say one thing about all objects: namespace, prefix, suffix, labels, annotations, replicas, images."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from services.renderer.kustomize.fields import NAMESPACES, REPLICAS, Adding, Spec, changed, of_kind
from services.renderer.kustomize.kustomization import Image
from services.renderer.kustomize.outside import need, plain
from services.renderer.kustomize.resources import Id, Resource, Tied, distinct

_BINDINGS = frozenset({"RoleBinding", "ClusterRoleBinding"})
_TAG = r"(?::[a-zA-Z0-9_.{}-]*)?(?:@sha256:[a-zA-Z0-9_.{}-]*)?"
# The lists of containers that both of Kustomize's two passes over images find.
_TWICE = frozenset(
    (*path, name) for path in (("spec",), ("spec", "template", "spec")) for name in ("containers", "initContainers")
)
_CONTAINERS = frozenset({"containers", "initContainers"})
_VOLUMES = (
    Spec(("spec", "volumes[]", "image", "reference"), create=False),
    Spec(("spec", "template", "spec", "volumes[]", "image", "reference"), create=False),
)


def in_namespace(resources: Sequence[Resource], namespace: str) -> list[Resource]:
    """Return the resources moved into `namespace`, as far as their kinds have one."""
    return distinct(_moved(each, namespace) for each in resources)


def _moved(resource: Resource, namespace: str) -> Resource:
    found = resource.renamed(**({} if resource.is_cluster_scoped else {"namespace": namespace}))
    value = found.value
    for spec in of_kind(NAMESPACES, found.api_version, found.kind):
        value = changed(value, spec, lambda _: namespace)
    if found.kind in _BINDINGS and "subjects" in value:
        subjects = value["subjects"]
        need(
            isinstance(subjects, list) and all(isinstance(each, dict) for each in subjects), "subjects of another form"
        )
        moved = [{**each, "namespace": namespace} if each.get("name") == "default" else each for each in subjects]
        value = {**value, "subjects": moved}
    return found.with_value(value)


def prefixed(resources: Sequence[Resource], prefix: str, suffix: str) -> list[Resource]:
    """Return the resources with longer names, but for those kinds that may not have them."""
    found = list(resources)
    if prefix:
        found = [
            each.renamed(name=plain(prefix + each.name))._replace(prefixes=(*each.prefixes, prefix))
            if _takes_names(each)
            else each
            for each in found
        ]
    if suffix:
        found = [
            each.renamed(name=plain(each.name + suffix))._replace(suffixes=(*each.suffixes, suffix))
            if _takes_names(each)
            else each
            for each in found
        ]
    return found


def _takes_names(resource: Resource) -> bool:
    kind = resource.original.kind
    return kind not in {"CustomResourceDefinition", "Namespace"} and not (
        kind == "APIService" and resource.api_version.startswith("apiregistration.k8s.io/")
    )


def with_pairs(resources: Sequence[Resource], pairs: Mapping[str, str], specs: tuple[Spec, ...]) -> list[Resource]:
    """Return the resources with labels or annotations added at `specs`."""
    return [_with_pairs(each, pairs, of_kind(specs, each.api_version, each.kind)) for each in resources]


def _with_pairs(resource: Resource, pairs: Mapping[str, str], specs: tuple[Spec, ...]) -> Resource:
    places = frozenset(spec.path for spec in specs)
    for each in resource.tied:
        need(each.key not in pairs or each.places <= places, f"{each.key} is changed in one of its places")
    value, new = resource.value, []
    for spec in specs:
        change = Adding(pairs)
        value = changed(value, spec, change)
        new.append(change.new)
    tied = tuple(
        Tied(key, frozenset(spec.path for spec, made in zip(specs, new, strict=True) if made[key]))
        for key in pairs
        if sum(made[key] for made in new) > 1
    )
    found = resource.with_value(value)
    return found._replace(tied=(*found.tied, *tied)) if tied else found


def with_replicas(resources: Sequence[Resource], name: str, count: int) -> list[Resource]:
    """Return the resources where those that are or were called `name` run `count` times."""
    found, anybody = list(resources), False
    for index, each in enumerate(resources):
        if any(id_.name == name and _scales(each, id_) for id_ in (*each.past, each.id)):
            anybody = True
            for spec in of_kind(REPLICAS, each.api_version, each.kind):
                found[index] = found[index].with_value(changed(found[index].value, spec, lambda _: count))
    need(anybody, f"nothing is called {name}")
    return found


def _scales(resource: Resource, id_: Id) -> bool:
    return bool(of_kind(REPLICAS, resource.api_version, id_.kind))


def with_images(resources: Sequence[Resource], images: Sequence[Image]) -> list[Resource]:
    """Return the resources with other images."""
    patterns = [(re.compile(image.name + _TAG), image) for image in images]
    found = []
    for each in resources:
        value = each.value
        if each.kind != "CustomResourceDefinition":
            value = _with_images(value, (), patterns)
            for spec in _VOLUMES:
                value = changed(value, spec, lambda old: _updated(old, patterns, 1))
        found.append(each.with_value(value))
    return found


def _with_images(node: Any, path: tuple[str, ...], patterns: Sequence[tuple[re.Pattern[str], Image]]) -> Any:
    """Return `node` with the images of all lists of containers in it changed; lists do not count in paths."""
    if node.__class__ is list:
        members = [_with_images(each, path, patterns) for each in node]
        return node if all(new is old for new, old in zip(members, node, strict=True)) else members
    if node.__class__ is not dict:
        return node
    found = node
    for name, before in node.items():
        if before.__class__ is not dict and before.__class__ is not list and name not in _CONTAINERS:
            continue
        inside = (*path, name)
        after = _with_images(before, inside, patterns)
        if name in _CONTAINERS and after.__class__ is list:
            after = [_container(each, patterns, 2 if inside in _TWICE else 1) for each in after]
        else:
            need(inside not in _TWICE, "containers that are no list")
        if after is not before:
            found = {**found, name: after}
    return found


def _container(container: Any, patterns: Sequence[tuple[re.Pattern[str], Image]], times: int) -> Any:
    need(isinstance(container, dict), "a container that is no mapping")
    if "image" not in container:
        return container
    before = container["image"]
    after = _updated(before, patterns, times)
    return container if after == before else {**container, "image": after}


def _updated(image: Any, patterns: Sequence[tuple[re.Pattern[str], Image]], times: int) -> str:
    """Return the image's new name; each entry sees it as often as Kustomize looks at it."""
    need(isinstance(image, str), "an image that is no string")
    found = str(image)
    for pattern, entry in patterns:
        for _ in range(times):
            if pattern.fullmatch(found):
                found = _renamed(found, entry)
    return found


def _renamed(image: str, entry: Image) -> str:
    name, tag, digest = _split(image)
    name = entry.new_name or name
    if entry.new_tag or entry.digest:
        tag, digest = entry.new_tag, entry.digest
    elif entry.tag_suffix:
        tag, digest = tag + entry.tag_suffix, ""
    found = name + (f":{tag}" if tag else "") + (f"@{digest}" if digest else "")
    if "/" not in found:
        plain(found.replace("@", "/"))
    return found


def _split(image: str) -> tuple[str, str, str]:
    """Return name, tag and digest."""
    rest, _, digest = image.partition("@")
    slash = max(rest.find("/"), 0)
    colon = rest.find(":", slash)
    return (rest[:colon], rest[colon + 1 :], digest) if colon >= 0 else (rest, "", digest)
