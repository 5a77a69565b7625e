"""Decide as whom a bundle is applied, and what it may bring at all (rules O1, O4, O8, O9).

Kubernetes' own permissions bound an app that acts as a service account of its own. Fences hold besides: those that the
cluster's owner wrote for this agent, and those that the fleet signed. A fence only ever takes away.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from shared.core.names import PATTERN
from shared.core.objects import ObjectKey
from shared.errors import PermanentError

Globs = tuple[str, ...]

_LABEL = re.compile(PATTERN)
_SUBDOMAIN = re.compile(rf"{PATTERN}(\.{PATTERN})*")


class TenancyError(PermanentError):
    """The bundle may not be applied as anybody that it asks for."""

    code = "tenancy.refused"


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """A service account of the cluster."""

    namespace: str
    name: str

    @property
    def user(self) -> str:
        """Return the user that the API server knows it as."""
        return f"system:serviceaccount:{self.namespace}:{self.name}"

    def __str__(self) -> str:
        """Return `namespace/name`."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Fence:
    """What apps may bring; None says nothing about that."""

    namespaces: Globs | None = None
    cluster_scoped: Globs | None = None
    """`group/Kind`, `Kind` of the core group, with `*`."""
    denied: Globs = ()
    """Kinds of any scope, in the same form."""

    def trouble(self, key: ObjectKey) -> str:
        """Return why an object is outside; empty: it is not."""
        kind = f"{key.group}/{key.kind}" if key.group else key.kind
        if _matches(kind, self.denied):
            return f"the kind {kind} is denied"
        if key.namespace and self.namespaces is not None and not _matches(key.namespace, self.namespaces):
            return f"the namespace {key.namespace!r} is none of {_listed(self.namespaces)}"
        if not key.namespace and self.cluster_scoped is not None and not _matches(kind, self.cluster_scoped):
            return f"of cluster-scoped kinds only {_listed(self.cluster_scoped)} may come"
        return ""


@dataclass(frozen=True, slots=True)
class LocalPolicy:
    """What the owner of a cluster allows its agent; without a file everything, as the agent's own rights go."""

    fence: Fence = Fence()
    run_as: ServiceAccount | None = None
    """For apps that name no account and are not privileged."""
    privileged: Globs = ("*",)
    """Apps that may use the agent's own rights."""
    accounts: Globs | None = ("*",)
    """`namespace/name` of accounts that apps may name; None: those of namespaces that a fence allows the app.

    An app's own namespace is no such fence: it could choose one with a mighty account.
    """


@dataclass(frozen=True, slots=True)
class Tenancy:
    """As whom one bundle is applied, within which fences."""

    account: ServiceAccount | None = None
    """None: with the agent's own rights."""
    fences: Mapping[str, Fence] = field(default_factory=dict)
    """By who put them up."""

    @property
    def user(self) -> str:
        """Return whom requests are made for; empty: the agent itself."""
        return self.account.user if self.account else ""

    def trouble(self, key: ObjectKey) -> str:
        """Return which fence an object is outside of, and why; empty: of none."""
        found = ((who, fence.trouble(key)) for who, fence in self.fences.items())
        return next((f"{why} ({who})" for who, why in found if why), "")


def tenancy_of(app: str, options: Mapping[str, Any], policy: LocalPolicy) -> Tenancy:
    """Return how the bundle of an app with these release options is applied here.

    Raises:
        TenancyError: its account is not allowed or not well named, or it may not do without one.
    """
    home = str(options.get("namespace") or "")
    written = str(options.get("runAs") or "")
    account = account_of(written, home) if written else _default_account(app, policy)
    signed = signed_fence(options.get("fence"))
    fences = {"policy of this cluster's agent": policy.fence, "project in fleet.yaml": signed}
    if account is not None:
        fences["an app with runAs"] = _own_ground(home, (policy.fence, signed))
    if account is not None and written and not _may_name(account, policy, signed):
        raise TenancyError(
            f"app {app!r} may not act as the service account {account}",
            hint="name one that `accounts` of the agent's policy allows",
        )
    return Tenancy(account, fences)


def tenant_of(app: str, options: Mapping[str, Any], policy: LocalPolicy) -> str:
    """Return whom an app acts for, to compare it with another's; it need not be allowed."""
    try:
        return tenancy_of(app, options, policy).user
    except TenancyError:
        return f"refused app {app}"


def account_of(text: str, namespace: str) -> ServiceAccount:
    """Return the account of `namespace/name`, or of a `name` in the app's namespace.

    Raises:
        TenancyError: it is no such name.
    """
    place, slash, name = text.rpartition("/")
    place = place if slash else namespace
    if not (_LABEL.fullmatch(place) and _SUBDOMAIN.fullmatch(name)):
        raise TenancyError(
            f"runAs: {text!r} names no service account",
            hint="write namespace/name, or the name of one in the app's namespace",
        )
    return ServiceAccount(place, name)


def signed_fence(written: Any) -> Fence:
    """Return the fence that came with a release: `namespaces`, `clusterScoped`.

    Raises:
        TenancyError: it is not understood; to go on without it would let an app out.
    """
    if not written:
        return Fence()
    known = isinstance(written, Mapping) and set(written) <= {"namespaces", "clusterScoped"}
    if not known or not _are_texts(written.get("namespaces") or ()):
        raise TenancyError("the fence of the release is not understood by this agent", hint="upgrade the agent")
    namespaces = tuple(written.get("namespaces") or ())
    return Fence(namespaces or None, ("*",) if written.get("clusterScoped") is True else ())


def _default_account(app: str, policy: LocalPolicy) -> ServiceAccount | None:
    """Return as whom an app acts that names nobody."""
    if _matches(app, policy.privileged):
        return None
    if policy.run_as is None:
        raise TenancyError(
            f"app {app!r} names no service account, and may not use the agent's own rights",
            hint="set sync.runAs, or let the cluster's owner name the app in `privileged` of the agent's policy",
        )
    return policy.run_as


def _own_ground(home: str, given: tuple[Fence, ...]) -> Fence:
    """Return the fence of an app that is not privileged, as far as no other says more (O4)."""
    namespaces = None if any(each.namespaces is not None for each in given) else (home,)
    cluster_scoped = None if any(each.cluster_scoped is not None for each in given) else ()
    return Fence(namespaces, cluster_scoped)


def _may_name(account: ServiceAccount, policy: LocalPolicy, signed: Fence) -> bool:
    if policy.accounts is not None:
        return _matches(str(account), policy.accounts)
    given = [each.namespaces for each in (policy.fence, signed) if each.namespaces is not None]
    return bool(given) and all(_matches(account.namespace, each) for each in given)


def _are_texts(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(each, str) and each for each in value)


def _matches(text: str, globs: Globs) -> bool:
    return any(fnmatchcase(text, glob) for glob in globs)


def _listed(globs: Globs) -> str:
    return ", ".join(globs) or "none"
