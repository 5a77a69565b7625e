"""Write down the one request that applies an object."""

from __future__ import annotations

from services.applier.kube.mapper import Resource
from services.applier.kube.session import APPLY, METADATA, WRITE_TIMEOUT_S, Request
from services.applier.planned import Create, Patch
from services.applier.tracking import MANAGER


def apply_request(resource: Resource, step: Create | Patch, body: bytes) -> Request:
    """Return the request by which `body` is applied as a step says."""
    query = {
        "fieldManager": MANAGER,
        "force": "true" if step.force else "false",
        "fieldValidation": "Strict" if step.wanted.policy.validate else "Ignore",
    }
    path = resource.path(step.key.namespace, step.key.name)
    return Request("PATCH", path, query, body, content_type=APPLY, accept=METADATA, timeout_s=WRITE_TIMEOUT_S)
