"""Finish a write: locks, defaults, admission, checks, ownership; store it only if something changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.kubesim import admission, validation
from services.kubesim.answers import Cause, Subject, conflict, invalid, modified
from services.kubesim.cluster import CRDS, NAMESPACES, ClusterState
from services.kubesim.controllers import status_of
from services.kubesim.custom import causes_of
from services.kubesim.deleting import remove
from services.kubesim.fields import difference
from services.kubesim.kinds import Resource
from services.kubesim.managed import Manager, Managers, Owned, after_update, read_managers, write_managers
from services.kubesim.store import Name
from services.kubesim.tidy import defaulted, pruned, tidied

Object = dict[str, Any]
# What the server alone writes: taken from the live object, whatever a request says.
SERVER_FIELDS = (
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
    "selfLink",
)
CONTROLLERS = "kube-controller-manager"


@dataclass(frozen=True, slots=True)
class Write:
    """One write as the request states it."""

    resource: Resource
    name: Name
    manager: str = "unknown"
    dry_run: bool = False
    force: bool = False
    subresource: str = ""
    strict: bool = False

    @property
    def subject(self) -> Subject:
        """Return whom a NotFound or Conflict talks about."""
        return Subject(self.resource.group, self.resource.plural, self.name.name)

    @property
    def kind_subject(self) -> Subject:
        """Return whom an Invalid talks about."""
        return Subject(self.resource.group, self.resource.kind, self.name.name)


def commit(
    cluster: ClusterState, write: Write, live: Object | None, value: Object, *, applied_managers: Managers | None = None
) -> Object:
    """Finish `value`, decide whether anything changed, and store it."""
    shape = cluster.shape(write.resource)
    part = _only_part(write, live, value)
    tracked = part["metadata"].pop("managedFields", None)
    _check_locks(write, live, part["metadata"])
    kept = pruned(shape, part)
    new: Object = defaulted(shape, kept if write.resource.custom else tidied(shape, kept))
    admission.mutate(cluster, write.resource, live, new)
    _server_fields(cluster, write, live, new)
    if live is not None:
        _refuse_new_finalizers(write, live, new)
    causes = validation.causes(write.resource, live, new)
    if write.resource.custom:
        causes += causes_of(cluster.schemas[write.resource.storage, write.resource.version], new)
    if causes:
        raise invalid(write.kind_subject, causes)
    managers = _managers(cluster, write, (live, new), tracked, applied_managers)
    if live is not None and _same(live, new) and managers == read_managers(live["metadata"].get("managedFields")):
        return dict(live)
    if managers:
        new["metadata"]["managedFields"] = write_managers(managers)
    if write.dry_run:
        return new
    return _store(cluster, write, live, new)


def _store(cluster: ClusterState, write: Write, live: Object | None, new: Object) -> Object:
    metadata = new["metadata"]
    if metadata.get("deletionTimestamp") and not metadata.get("finalizers") and not _held(write.resource, new):
        remove(cluster, write.resource, write.name)
        return new
    stored = cluster.store.put(write.resource.storage, new)
    if write.resource.storage == CRDS:
        cluster.serve_custom(stored)
    if write.resource.storage == NAMESPACES and live is None:
        _populate(cluster, write.name.name)
    status = None if write.subresource == "status" else status_of(cluster, write.resource, stored)
    if status is None or status == stored.get("status"):
        return stored
    by_controller = Write(write.resource, write.name, CONTROLLERS, subresource="status")
    return commit(cluster, by_controller, dict(stored), {**stored, "status": status})


def _populate(cluster: ClusterState, namespace: str) -> None:
    account = cluster.catalogue.find("", "v1", "serviceaccounts")
    if account is not None:
        name = Name(namespace, "default")
        body = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": namespace}}
        commit(cluster, Write(account, name, CONTROLLERS), None, body)


def _held(resource: Resource, value: Object) -> bool:
    return resource.storage == NAMESPACES and bool((value.get("spec") or {}).get("finalizers"))


def _only_part(write: Write, live: Object | None, value: Object) -> Object:
    """Return the object with the part that this endpoint may write from `value`, the rest from `live`."""
    metadata = dict(value["metadata"])
    if live is None:
        new = {**value, "metadata": metadata}
        if write.resource.status:
            new.pop("status", None)
        return new
    if write.subresource == "status":
        kept = {
            **live["metadata"],
            "managedFields": metadata.get("managedFields", live["metadata"].get("managedFields")),
        }
        kept |= {name: metadata[name] for name in ("resourceVersion", "uid") if name in metadata}
        new = {**live, "metadata": kept}
        new.pop("status", None)
        return new | ({"status": value["status"]} if "status" in value else {})
    new = {**value, "metadata": metadata}
    if write.resource.status:
        new.pop("status", None)
        if "status" in live:
            new["status"] = live["status"]
    return new


def _check_locks(write: Write, live: Object | None, metadata: Object) -> None:
    """Refuse a stale resourceVersion and a wrong uid."""
    if live is None:
        return
    current = live["metadata"]
    version = metadata.get("resourceVersion")
    if version not in {None, "", "0", current["resourceVersion"]}:
        raise modified(write.subject)
    uid = metadata.get("uid")
    if uid and uid != current["uid"]:
        cause = Cause("FieldValueInvalid", f'Invalid value: "{uid}": field is immutable', "metadata.uid")
        raise invalid(write.kind_subject, [cause])


def _server_fields(cluster: ClusterState, write: Write, live: Object | None, new: Object) -> None:
    """Fill in what the server alone decides, and count the generation."""
    metadata = new["metadata"]
    if live is None:
        for name in (*SERVER_FIELDS, "resourceVersion"):
            metadata.pop(name, None)
        metadata["uid"] = cluster.new_uid()
        metadata["creationTimestamp"] = cluster.now()
        if write.resource.generation:
            metadata["generation"] = 1
        return
    current = live["metadata"]
    for name in (*SERVER_FIELDS, "resourceVersion"):
        metadata.pop(name, None)
        if name in current:
            metadata[name] = current[name]
    if write.resource.generation and _intent(write.resource, live) != _intent(write.resource, new):
        metadata["generation"] = current.get("generation", 0) + 1


def _intent(resource: Resource, value: Object) -> Object:
    outside = {"metadata", "status"} if resource.status or not resource.custom else {"metadata"}
    return {name: inner for name, inner in value.items() if name not in outside}


def _managers(
    cluster: ClusterState, write: Write, states: tuple[Object | None, Object], tracked: Any, merged: Managers | None
) -> Managers:
    """Return who owns what after the write."""
    live, new = states
    shape = cluster.shape(write.resource)
    now = cluster.now()
    if merged is not None:
        who = Manager(write.manager, "Apply", write.resource.api_version, write.subresource)
        if who in merged and (live is None or not _same(live, new)):
            return {**merged, who: Owned(merged[who].fields, now)}
        return merged
    current = (live or {}).get("metadata", {}).get("managedFields")
    if tracked in ([], [{}]):
        return {}
    before = read_managers(current if tracked is None else tracked)
    who = Manager(write.manager, "Update", write.resource.api_version, write.subresource)
    old = {} if live is None else live
    if live is None and write.resource.storage == NAMESPACES:
        old = {"spec": new["spec"]}  # its finalizer is the server's own
    return after_update(before, who, difference(shape, old, new), now)


def _same(live: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Tell whether two states differ in nothing but managedFields and resourceVersion."""
    return _bare(live) == _bare(new)


def _bare(value: Mapping[str, Any]) -> Object:
    skipped = {"managedFields", "resourceVersion", "generation"}
    metadata = {name: inner for name, inner in value["metadata"].items() if name not in skipped}
    return {**value, "metadata": metadata}


def precondition(write: Write, live: Object, wanted: Mapping[str, Any]) -> None:
    """Refuse a DELETE whose preconditions do not fit the live object."""
    current = live["metadata"]
    subject = Subject(write.resource.group, write.resource.kind, write.name.name)
    for field, title in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
        asked = wanted.get(field)
        if asked and asked != current[field]:
            after = "deleted and then recreated" if field == "uid" else "modified"
            text = f"the {title} in the precondition ({asked}) does not match the {title} in record ({current[field]})."
            raise conflict(subject, f"{text} The object might have been {after}")


def _refuse_new_finalizers(write: Write, live: Object, new: Object) -> None:
    """Refuse finalizers that are added to an object that is going away."""
    if not live["metadata"].get("deletionTimestamp"):
        return
    added = sorted(set(new["metadata"].get("finalizers") or ()) - set(live["metadata"].get("finalizers") or ()))
    if added:
        shown = ", ".join(f'"{one}"' for one in added)
        text = f"Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{{{shown}}}"
        raise invalid(write.kind_subject, [Cause("FieldValueForbidden", text, "metadata.finalizers")])
