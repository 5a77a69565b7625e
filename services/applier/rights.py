"""Read from an API server's refusal which right is missing, and write the RBAC objects that would give it (rule O3)."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace

# Whoever applies an object reads it before and may have to make it; whoever deletes one reads it before.
_TOGETHER = dict.fromkeys(("get", "create", "patch"), ("get", "create", "patch")) | {"delete": ("get", "delete")}
_REFUSED = re.compile(
    r'(?:"(?P<object>[^"]*)" is forbidden: )?User "(?P<user>[^"]*)" cannot (?P<verb>\S+) resource "(?P<resource>[^"]*)" '
    r'in API group "(?P<group>[^"]*)" (?:in the namespace "(?P<namespace>[^"]*)"|at the cluster scope)'
)
_ACCOUNT = re.compile(r"system:serviceaccount:([^:]+):([^:]+)")


@dataclass(frozen=True, slots=True)
class Right:
    """What somebody may not do."""

    user: str
    verb: str
    resource: str
    """Plural, with its subresource: `deployments/scale`."""
    group: str
    namespace: str = ""
    """Empty: at the cluster scope."""
    name: str = ""
    """Of the object, where the answer names one."""

    @property
    def impersonates(self) -> bool:
        """Tell whether the right to act as another is what is missing."""
        return self.verb.startswith("impersonate")

    def __str__(self) -> str:
        """Return the right in words."""
        what = f"{self.resource}.{self.group}" if self.group else self.resource
        return f"{self.user} may not {self.verb} {what}" + (f" in {self.namespace}" if self.namespace else "")


def right_of(text: str) -> Right | None:
    """Return the right that a refusal says is missing; None: it is about something else than permissions."""
    found = _REFUSED.search(text)
    if found is None:
        return None
    said = {name: value or "" for name, value in found.groupdict().items()}
    return Right(said["user"], said["verb"], said["resource"], said["group"], said["namespace"], said["object"])


def snippet(right: Right) -> str:
    """Return the role and the binding that give this right, as YAML; of an impersonation to this one account only."""
    if right.impersonates and right.resource == "serviceaccounts":
        # Since 1.36 there is a right per verb besides; this one gives them all, in every version.
        right = replace(right, verb="impersonate", group="")
    # The API server asks for a Namespace's permissions inside it, where no Role can be before it exists.
    is_namespace = (right.group, right.resource) == ("", "namespaces")
    kind = "Role" if right.namespace and not is_namespace else "ClusterRole"
    account = _ACCOUNT.fullmatch(right.user)
    short = f"{account[2] if account else right.user.replace(':', '-')}-{right.resource.replace('/', '-')}"
    name = f"towline-{short}-{right.verb.replace(':', '-')}" if right.impersonates else f"towline-{short}"
    metadata = _flow(name=name, **({"namespace": right.namespace} if kind == "Role" else {}))
    rule = {
        "apiGroups": [right.group],
        "resources": [right.resource],
        "verbs": list(_TOGETHER.get(right.verb, (right.verb,))),
    }
    if right.name and (right.verb == "impersonate" or is_namespace):
        rule["resourceNames"] = [right.name]
    subject = (
        _flow(kind="ServiceAccount", namespace=account[1], name=account[2])
        if account
        else _flow(apiGroup="rbac.authorization.k8s.io", kind="User", name=right.user)
    )
    return "\n".join(
        (
            "apiVersion: rbac.authorization.k8s.io/v1",
            f"kind: {kind}",
            f"metadata: {metadata}",
            "rules:",
            f"  - {_flow(**rule)}",
            "---",
            "apiVersion: rbac.authorization.k8s.io/v1",
            f"kind: {kind}Binding",
            f"metadata: {metadata}",
            f"roleRef: {_flow(apiGroup='rbac.authorization.k8s.io', kind=kind, name=name)}",
            "subjects:",
            f"  - {subject}",
            "",
        )
    )


def advice(text: str) -> str:
    """Return how to allow what a refusal forbids; empty: it is about something else than permissions."""
    if "is attempting to grant RBAC permissions not currently held" in text:
        return "who grants rights must hold them: give them to the account first, or the verb `escalate` on the role"
    right = right_of(text)
    return told(right) if right else ""


def told(right: Right) -> str:
    """Return who lacks a right, and what would give it."""
    if right.impersonates:
        return f"the agent itself lacks the right to act for this app; this would give it:\n{snippet(right)}"
    return f"{right}; this would allow it:\n{snippet(right)}"


def _flow(**fields: object) -> str:
    """Return a mapping on one line; quoted, for a name may be `true` or `1e3`."""
    inner = ", ".join(f"{name}: {json.dumps(value)}" for name, value in fields.items())
    return f"{{{inner}}}"
