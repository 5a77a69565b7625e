"""Answer access reviews: everything is allowed that no test has forbidden."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from services.kubesim.faults import Request

PATH = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
METHODS = {"create": "POST", "update": "PUT", "patch": "PATCH", "delete": "DELETE", "deletecollection": "DELETE"}


def asked_request(review: Mapping[str, Any], impersonates: str = "") -> Request:
    """Return the request that a SelfSubjectAccessReview asks about."""
    spec = review.get("spec") or {}
    wanted = spec.get("resourceAttributes") or {}
    verb = str(wanted.get("verb") or "get")
    group = wanted.get("group") or ""
    version = (wanted.get("version") or "v1").replace("*", "v1")
    parts = [f"apis/{group}/{version}" if group else f"api/{version}"]
    if wanted.get("namespace"):
        parts.append(f"namespaces/{wanted['namespace']}")
    parts += [text for text in (wanted.get("resource"), wanted.get("name"), wanted.get("subresource")) if text]
    path = (spec.get("nonResourceAttributes") or {}).get("path") or "/" + "/".join(parts)
    query = {"watch": "true"} if verb == "watch" else {}
    return Request(METHODS.get(verb, "GET"), path, query, "", impersonates)


def reviewed(
    review: Mapping[str, Any], is_forbidden: Callable[[Request], bool], impersonates: str = ""
) -> dict[str, Any]:
    """Return the review with its answer."""
    allowed = not is_forbidden(asked_request(review, impersonates))
    return {
        "kind": "SelfSubjectAccessReview",
        "apiVersion": "authorization.k8s.io/v1",
        "metadata": {},
        "spec": review.get("spec") or {},
        "status": {"allowed": allowed, "reason": "" if allowed else "no rule allows it"},
    }
