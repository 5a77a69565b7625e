"""Hold impersonated users to what roles and bindings grant them; whoever impersonates nobody may do everything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from services.kubesim.cluster import ClusterState
from services.kubesim.faults import Request, verb_of
from services.kubesim.handle import Objects
from services.kubesim.requests import Place, place_of

API = "rbac.authorization.k8s.io/v1"
ACCOUNT = "system:serviceaccount:"


def lacks(state: ClusterState, request: Request) -> str:
    """Return the verb that an impersonated user would need and was not granted; empty: there is none.

    An apply of what does not exist creates it, and needs that right, too.
    """
    place = place_of(request.path)
    if not request.impersonates or place is None:
        return ""
    verbs = [verb_of(request, place)]
    if verbs == ["patch"] and not place.subresource and not _exists(state, place):
        verbs.append("create")
    rules = list(_rules(state, request.impersonates, place.scope))
    return next((verb for verb in verbs if not any(_gives(rule, verb, place) for rule in rules)), "")


def _exists(state: ClusterState, place: Place) -> bool:
    resource = state.catalogue.find(place.group, place.version, place.plural)
    if resource is None:
        return True  # whatever it is, it is not about to be made
    return Objects(state).get(resource.api_version, resource.kind, place.namespace, place.name) is not None


def _rules(state: ClusterState, user: str, namespace: str) -> Iterator[Mapping[str, Any]]:
    """Yield the rules that bind a user in a namespace, or in the whole cluster."""
    objects = Objects(state)
    bindings = [*objects.list(API, "ClusterRoleBinding")]
    if namespace:
        bindings += objects.list(API, "RoleBinding", namespace)
    for binding in bindings:
        if any(_is(subject, user) for subject in binding.get("subjects") or ()):
            role = binding["roleRef"]
            granted = objects.get(API, role["kind"], namespace if role["kind"] == "Role" else "", role["name"])
            yield from (granted or {}).get("rules") or ()


def _is(subject: Mapping[str, Any], user: str) -> bool:
    match subject.get("kind"):
        case "ServiceAccount":
            return bool(user == f"{ACCOUNT}{subject.get('namespace')}:{subject['name']}")
        case "Group":
            groups = {"system:authenticated"}
            if user.startswith(ACCOUNT):
                groups |= {"system:serviceaccounts", f"system:serviceaccounts:{user.split(':')[2]}"}
            return subject["name"] in groups
        case _:
            return bool(user == subject["name"])


def _gives(rule: Mapping[str, Any], verb: str, place: Place) -> bool:
    resource = f"{place.plural}/{place.subresource}" if place.subresource else place.plural
    wanted = (("verbs", verb), ("apiGroups", place.group), ("resources", resource))
    names = rule.get("resourceNames") or ()
    return all({each, "*"} & set(rule.get(name) or ()) for name, each in wanted) and (not names or place.name in names)
