"""Carry out creates, replacements, patches and applies: what a request's body means for the object it names."""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from services.kubesim import conversion
from services.kubesim.answers import Cause, RefusedError, bad_request, invalid, not_found, schema_error
from services.kubesim.apply import Intent, applied, typed_errors
from services.kubesim.cluster import ClusterState
from services.kubesim.commit import Object, Write, commit
from services.kubesim.managed import Manager, read_managers
from services.kubesim.schemas import META
from services.kubesim.store import Name
from services.kubesim.tidy import tidied


def read(cluster: ClusterState, write: Write) -> Object:
    """Return the stored object, in its stored version.

    Raises:
        RefusedError: 404, there is none.
    """
    stored = cluster.store.get(write.resource.storage, write.name)
    if stored is None:
        raise not_found(write.subject)
    return stored.decode()


def create(cluster: ClusterState, write: Write, body: Object) -> Object:
    """Create an object (POST) and return it."""
    value = incoming(cluster, write, body)
    metadata = value["metadata"]
    if not metadata.get("name") and metadata.get("generateName"):
        metadata["name"] = metadata["generateName"] + secrets.token_hex(3)[:5]
    write = dataclasses.replace(write, name=Name(write.name.namespace, metadata.get("name") or ""))
    if metadata.get("resourceVersion"):
        raise bad_request("resourceVersion should not be set on objects to be created")
    if cluster.store.get(write.resource.storage, write.name):
        details = write.subject.details()
        raise RefusedError(409, f"{write.subject} already exists", reason="AlreadyExists", details=details)
    return commit(cluster, write, None, value)


def replace(cluster: ClusterState, write: Write, body: Object) -> Object:
    """Replace an object (PUT) and return it."""
    live = read(cluster, write)
    value = incoming(cluster, write, body)
    if write.resource.plural == "leases" and not value["metadata"].get("resourceVersion"):
        text = "Invalid value: 0: must be specified for an update"
        raise invalid(write.subject, [Cause("FieldValueInvalid", text, "metadata.resourceVersion")])
    return commit(cluster, write, live, value)


def patch(cluster: ClusterState, write: Write, change: Callable[[Object], Any]) -> Object:
    """Change an object by what `change` makes of it, in the request's version, and return it."""
    live = read(cluster, write)
    shown = conversion.shown(write.resource, live)
    changed = change(shown)
    if not isinstance(changed, dict) or not isinstance(changed.get("metadata"), dict):
        raise bad_request("the patch leaves no object")
    return commit(cluster, write, live, incoming(cluster, write, changed))


def apply(cluster: ClusterState, write: Write, body: Object) -> Object:
    """Apply a configuration (server-side apply) and return the object."""
    if isinstance(body.get("metadata"), Mapping) and body["metadata"].get("managedFields"):
        raise bad_request("metadata.managedFields must be nil")
    sent = _requested(cluster, write, body, is_apply=True)
    wanted = _in_stored_form(cluster, write, sent)
    stored = cluster.store.get(write.resource.storage, write.name)
    metadata = wanted["metadata"]
    live = stored.decode() if stored else None
    if live is None and write.subresource:
        raise not_found(write.subject)
    if live is None and metadata.get("uid"):
        text = f"uid mismatch: the provided object specified uid {metadata['uid']}, and no existing object was found"
        raise RefusedError(
            409, f"Operation cannot be fulfilled on {write.subject}: {text}", details=write.subject.details()
        )
    who = Manager(write.manager, "Apply", write.resource.api_version, write.subresource)
    hidden: list[tuple[str, ...]] = [("f:status",)] if write.resource.status else []
    if write.subresource == "status":
        hidden = [("f:spec",), ("f:metadata",)]
    intent = Intent(who, write.force, frozenset(hidden))
    managers = read_managers(live["metadata"].get("managedFields") if live else None)
    result = applied(cluster.shape(write.resource), live, wanted, managers, intent, sent=sent)
    if live is None:
        result.value.setdefault("metadata", {}).pop("resourceVersion", None)
    return commit(cluster, write, live, result.value, applied_managers=result.managers)


def incoming(cluster: ClusterState, write: Write, body: Object) -> Object:
    """Return a request's object as it is stored, after the checks every write makes of it."""
    return _in_stored_form(cluster, write, _requested(cluster, write, body))


def _in_stored_form(cluster: ClusterState, write: Write, value: Object) -> Object:
    if write.resource.custom:
        return {**value, "metadata": tidied(META, value["metadata"])}
    return dict(tidied(cluster.shape(write.resource), value))


def _requested(cluster: ClusterState, write: Write, body: Object, *, is_apply: bool = False) -> Object:
    """Return a request's object in the stored version, with all that was sent."""
    resource = write.resource
    if body.get("apiVersion") != resource.api_version or body.get("kind") != resource.kind:
        if is_apply or body.get("apiVersion") or body.get("kind"):
            given = f"{body.get('apiVersion', '')}, Kind={body.get('kind', '')}"
            raise bad_request(
                f"invalid object type: {given if '/' in given else f'/{given}'}"
                if is_apply
                else f"{given} does not match {resource.api_version}, Kind={resource.kind}"
            )
        body = {"apiVersion": resource.api_version, "kind": resource.kind, **body}
    metadata = body.get("metadata")
    metadata = dict(metadata) if isinstance(metadata, Mapping) else {}
    given_space = metadata.setdefault("namespace", write.name.namespace) if resource.namespaced else None
    if resource.namespaced and given_space != write.name.namespace:
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
    if not resource.namespaced:
        metadata.pop("namespace", None)
    name = metadata.get("name") or ("" if is_apply else write.name.name)
    if is_apply and not name:
        text = f"the name of the object ({write.name.name} based on URL) was undeterminable: name must be provided"
        raise bad_request(text)
    if write.name.name and name != write.name.name:
        text = f"the name of the object ({name}) does not match the name on the URL ({write.name.name})"
        raise bad_request(text)
    if name:
        metadata["name"] = name
    value = conversion.stored(resource, {**body, "metadata": metadata})
    _check_types(cluster, write, value, is_apply=is_apply)
    return value


def _check_types(cluster: ClusterState, write: Write, value: Object, *, is_apply: bool) -> None:
    """Refuse what the typed conversion of the server refuses; custom resources have their schema for the rest."""
    resource = write.resource
    errors = typed_errors(cluster.shape(resource), value)
    if errors and is_apply:
        place = f"{write.name.namespace}/{write.name.name}; {resource.group}/{resource.version}, Kind={resource.kind}"
        text = errors[0] if len(errors) == 1 else "errors:\n" + "\n".join(f"  {error}" for error in errors)
        raise schema_error(f"failed to create typed patch object ({place}): {text}")
    cannot = f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}'
    forms = (": expected ", "may not have null elements")
    wrong = [text for text in errors if any(form in text for form in forms) and not resource.custom]
    if wrong:
        raise bad_request(f"{cannot}: {wrong[0]}")
    unknown = [text.partition(":")[0][1:] for text in errors if text.endswith("field not declared in schema")]
    if unknown and write.strict:
        named = ", ".join(f'unknown field "{field}"' for field in unknown)
        raise bad_request(f"{cannot}: strict decoding error: {named}")
