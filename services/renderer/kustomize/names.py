"""Let objects that name others name them as they are called now."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from services.renderer.kustomize.name_fields import Kind, Paths, paths_of
from services.renderer.kustomize.outside import need, outside
from services.renderer.kustomize.resources import Id, Resource

_NO_NAMESPACE = "_non_namespaceable_"


def with_names(resources: Sequence[Resource]) -> list[Resource]:
    """Return the resources with every name of one that is called differently now set right."""
    renamed: dict[str, list[Resource]] = {}
    for each in resources:
        for name in {id_.name for id_ in each.past}:
            renamed.setdefault(name, []).append(each)
    if not renamed:
        return list(resources)
    return [each.with_value(_Referrer(each, resources, renamed).value()) for each in resources]


class _Referrer:
    """One object that may name others."""

    def __init__(
        self, resource: Resource, resources: Sequence[Resource], renamed: Mapping[str, Sequence[Resource]]
    ) -> None:
        self._resource = resource
        self._resources = resources
        self._renamed = renamed
        self._foreign = _namespaces_of_accounts(resource)

    def value(self) -> Mapping[str, Any]:
        """Return its content with present names."""
        resource = self._resource
        paths = paths_of(resource.api_version, resource.kind)
        if not paths:
            return resource.value
        found: Mapping[str, Any] = self._walked(resource.value, paths, "")
        return found

    def _walked(self, node: Any, paths: Paths | tuple[Kind, ...], field: str) -> Any:
        if paths.__class__ is tuple:
            return self._named(node, paths, field)
        if node is None:
            return node
        if node.__class__ is list:
            members = [self._walked(each, paths, field) for each in node]
            return node if all(new is old for new, old in zip(members, node, strict=True)) else members
        need(node.__class__ is dict, "a scalar on the way to a name")
        found = node
        for name, rest in paths.items():  # type: ignore[union-attr]  # a tuple was handled above
            if name in node:
                after = self._walked(node[name], rest, f"{field}/{name}")
                if after is not node[name]:
                    found = {**found, name: after}
        return found

    def _named(self, node: Any, kinds: Any, field: str) -> Any:
        """Return what stands at the end of a path with its names set right: a name, what has one, or a list of these."""
        if node.__class__ is list:
            members = [self._named(each, kinds, field) for each in node]
            return node if all(new is old for new, old in zip(members, node, strict=True)) else members
        for kind in kinds:
            node = self._of_kind(node, kind, field)
        return node

    def _of_kind(self, node: Any, kind: Kind, field: str) -> Any:
        if node.__class__ is dict:
            return self._with_namespace(node, kind, field)
        if node.__class__ is not str:
            return node if node is None else outside("a name that is no text")
        chosen = self._chosen(node, kind, field, lambda found: len({each.name for each in found}) == 1)
        return node if chosen is None or chosen.name == node else chosen.name

    def _with_namespace(self, node: dict[str, Any], kind: Kind, field: str) -> dict[str, Any]:
        """Return a mapping of name and namespace set right; both come from the object that it means."""
        name, namespace = node.get("name"), node.get("namespace")
        need(isinstance(name, str) and isinstance(namespace, str | None), "a name that is no text")
        same = lambda found: len({(each.name, each.namespace) for each in found}) == 1  # noqa: E731
        chosen = self._chosen(str(name), kind, field, same, namespace=namespace)
        if chosen is None or (chosen.name == name and not chosen.namespace):
            return node
        return {**node, "name": chosen.name} | ({"namespace": chosen.namespace} if chosen.namespace else {})

    def _chosen(
        self,
        name: str,
        kind: Kind,
        field: str,
        same: Callable[[Sequence[Resource]], bool],
        *,
        namespace: str | None = None,
    ) -> Resource | None:
        """Return the object that was called `name`, if there is one."""
        found = [each for each in self._renamed.get(name, ()) if self._may_name(each) and _was_of(each, name, kind)]
        if found and namespace is not None:
            found = [each for each in found if each in self._in_namespace(namespace)]
        if found and field.endswith("roleRef/name"):
            found = [each for each in found if self._is_role(each)]
        found = [each for each in found if self._is_near(each)]
        if len(found) > 1:
            found = [each for each in found if _same_ends(each, self._resource, empty_fits=True)]
        if len(found) > 1:
            found = [each for each in found if _same_ends(each, self._resource, empty_fits=False)]
        need(len(found) < 2 or same(found), f"several objects were called {name}")
        return found[0] if found else None

    def _may_name(self, other: Resource) -> bool:
        own = self._resource
        return (
            own.is_cluster_scoped
            or other.is_cluster_scoped
            or own.id.namespace == other.id.namespace
            or other.namespace in self._foreign
        )

    def _in_namespace(self, namespace: str) -> Sequence[Resource]:
        """Return what is in a namespace: what was there first, or if nothing was, what is there now."""
        near = [each for each in self._resources if self._may_name(each)]
        if namespace == _NO_NAMESPACE:
            return []
        first = [each for each in near if each.original.namespace == namespace]
        return first or [each for each in near if each.id.namespace == namespace]

    def _is_role(self, other: Resource) -> bool:
        """Tell whether it is of the kind that a binding says its role is of."""
        role = self._resource.value.get("roleRef")
        group, kind = (role.get("apiGroup"), role.get("kind")) if isinstance(role, dict) else (None, None)
        if not isinstance(group, str) or not isinstance(kind, str):
            outside("a binding without role")
        return any(Kind(kind, group).fits(other.api_version, id_.kind) for id_ in other.past)

    def _is_near(self, other: Resource) -> bool:
        own = self._resource
        return (
            own.is_cluster_scoped
            or other.is_cluster_scoped
            or other.kind == "ServiceAccount"
            or own.id.namespace == other.id.namespace
        )


def _namespaces_of_accounts(resource: Resource) -> frozenset[str]:
    """Return the namespaces of the accounts that a RoleBinding names: it may name objects there."""
    subjects = resource.value.get("subjects") if resource.kind == "RoleBinding" else None
    if not isinstance(subjects, list):
        return frozenset()
    need(all(isinstance(each, dict) for each in subjects), "subjects of another form")
    found = [each["namespace"] for each in subjects if each.get("kind") == "ServiceAccount" and "namespace" in each]
    need(all(isinstance(each, str) for each in found), "a namespace that is no text")
    return frozenset(found)


def _was_of(resource: Resource, name: str, kind: Kind) -> bool:
    """Tell whether it was called `name`, and was of `kind`."""
    past: tuple[Id, ...] = resource.past
    return any(id_.name == name for id_ in past) and any(kind.fits(resource.api_version, id_.kind) for id_ in past)


def _same_ends(one: Resource, other: Resource, *, empty_fits: bool) -> bool:
    """Tell whether both got their prefixes and suffixes in the same place."""
    return all(
        (empty_fits and not (first and second)) or _ends_alike(first, second)
        for first, second in ((one.prefixes, other.prefixes), (one.suffixes, other.suffixes))
    )


def _ends_alike(first: Sequence[str], second: Sequence[str]) -> bool:
    shorter, longer = sorted((tuple(first), tuple(second)), key=len)
    return shorter == longer if not shorter else longer[-len(shorter) :] == shorter
