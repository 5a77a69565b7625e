"""Refuse changes of a kind's definition that would lose the kind's objects (rule D15).

The API server refuses some of them too, by texts that do not say so; and an object that may be made anew would take all
objects of its kind along.
"""

from __future__ import annotations

from typing import Any

from services.applier.crds import CRD
from services.applier.errors import ErrorClass, Failure, unreachable
from services.applier.kube.mapper import Mapper
from services.applier.kube.session import ClusterUnreachableError, Request, Sender
from services.applier.planned import Failed, Outcome, Patch, Plan, Recreate
from services.applier.state import Wanted
from shared.core.canonical import decode
from shared.core.objects import Manifest, ObjectKey

_HINT = "add what is missing, or annotate it with towline.dev/crd-upgrade: force if nothing of it is needed"


async def unsafe(todo: Plan, sender: Sender, mapper: Mapper, *, always: bool = False) -> dict[ObjectKey, Outcome]:
    """Return the definitions of a plan that are not applied, each with the reason; what cannot be read is one.

    Args:
        todo: the plan.
        sender: who asks.
        mapper: where the kinds are.
        always: also those that ask to be changed whatever is lost (L3).
    """
    found: dict[ObjectKey, Outcome] = {}
    changed = (step for step in todo.steps() if isinstance(step, Patch | Recreate))
    for step in changed:
        asked = (step.key.group, step.key.kind) == CRD and (always or not step.wanted.policy.unsafe)
        if asked and (failure := await _failure(step.wanted, sender, mapper)):
            found[step.key] = Failed(failure)
    return found


async def _failure(wanted: Wanted, sender: Sender, mapper: Mapper) -> Failure | None:
    resource = mapper.find(wanted.key)
    if resource is None:
        return None
    try:
        reply = await sender.send(Request("GET", resource.path(name=wanted.key.name)))
    except ClusterUnreachableError as error:
        return unreachable(error.message)
    if reply.ok and reply.body is not None:
        trouble = danger(reply.body, decode(wanted.body))
        return Failure(ErrorClass.UNSAFE_DEFINITION, trouble, _HINT) if trouble else None
    failure = reply.failure(wanted.key)
    return None if failure.error is ErrorClass.GONE else failure


def danger(live: Manifest, wanted: Manifest) -> str:
    """Return why a changed definition would lose objects; empty: it would not."""
    before, after = live["spec"], wanted["spec"]
    if before.get("scope") != after.get("scope"):
        return f"its scope would change from {before.get('scope')} to {after.get('scope')}"
    for field in ("kind", "plural"):
        if _named(before, field) != _named(after, field):
            return f"its {field} would change from {_named(before, field)} to {_named(after, field)}"
    kept = {str(version.get("name")) for version in after.get("versions") or ()}
    stored = (live.get("status") or {}).get("storedVersions") or ()
    if lost := [version for version in stored if version not in kept]:
        return f"objects are stored in {', '.join(lost)}, which it would not have any more"
    return ""


def _named(spec: Manifest, field: str) -> Any:
    return (spec.get("names") or {}).get(field)
