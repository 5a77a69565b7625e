"""Which kinds the cluster serves, under which address, in which scope: read from discovery, kept when it falters.

A kind that was served once is kept until a healthy server leaves it out twice, at least two seconds apart: a starting
API server lists a part of its groups and looks sure of it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from services.applier.kube.session import LIST_TIMEOUT_S, Reply, Request, Session
from shared.core.objects import ObjectKey
from shared.errors import TransientError

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
MAX_AGE_S = 600.0
CONFIRM_AFTER_S = 2.0
GONE_AFTER_S = 300.0
"""So long a healthy server must leave out a kind before its objects are given up."""


class DiscoveryError(TransientError):
    """The cluster does not say what it serves."""

    code = "kube.discovery"


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind in one version, and where it is served."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool
    verbs: frozenset[str] = frozenset()
    reports: bool = False
    """Its objects have a status of their own, which a controller writes."""

    @property
    def api_version(self) -> str:
        """Return `group/version`, or the version alone in the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def watchable(self) -> bool:
        """Tell whether its objects can be listed and watched."""
        return {"list", "watch"} <= self.verbs

    def path(self, namespace: str = "", name: str = "") -> str:
        """Return the path of one object, or of all of them (in one namespace where it is given)."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        scope = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        return f"{root}{scope}/{self.plural}" + (f"/{name}" if name else "")


@dataclass(slots=True)
class _Kind:
    """The versions of one kind, preferred first, and since when a listing lacks it."""

    versions: dict[str, Resource] = field(default_factory=dict)
    missing_since: float = 0.0


class Mapper:
    """The kinds of one cluster."""

    def __init__(self, session: Session) -> None:
        self.unsure = ""
        """Why the picture has holes; empty: every group answered."""
        self.round = 0
        """How often discovery was read: callers that waited for a kind compare it."""
        self._session = session
        self._kinds: dict[tuple[str, str], _Kind] = {}
        self._read_at = float("-inf")
        self._sure_since = float("inf")
        """Since when each reading was whole, and of a healthy server."""
        self._dropped: dict[tuple[str, str], float] = {}
        """When a kind was last served no more."""
        self._reading = asyncio.Lock()

    def find(self, key: ObjectKey, version: str = "") -> Resource | None:
        """Return the resource of a kind: in `version` when it is given, else in the preferred one."""
        kind = self._kinds.get((key.group, key.kind))
        if kind is None or not kind.versions:
            return None
        return kind.versions.get(version) if version else next(iter(kind.versions.values()))

    def versions(self, key: ObjectKey) -> frozenset[str]:
        """Return every `apiVersion` in which a kind is served now."""
        kind = self._kinds.get((key.group, key.kind))
        return frozenset(each.api_version for each in kind.versions.values()) if kind else frozenset()

    def gone(self, key: ObjectKey) -> bool:
        """Tell whether a kind is surely not served any more: whatever objects it had do not exist (F11)."""
        name = (key.group, key.kind)
        since = max(self._sure_since, self._dropped.get(name, float("-inf")))
        return name not in self._kinds and self._read_at - since >= GONE_AFTER_S

    def serves(self, group: str, kind: str) -> bool:
        """Tell whether the kind is served in any version, as far as is known."""
        return (group, kind) in self._kinds

    def scopes(self) -> Mapping[tuple[str, str], bool]:
        """Return (group, kind) → whether it is namespaced."""
        return {each: next(iter(kind.versions.values())).namespaced for each, kind in self._kinds.items()}

    def __iter__(self) -> Iterator[Resource]:
        return (next(iter(kind.versions.values())) for kind in self._kinds.values())

    async def refresh(self, *, older_than_s: float = MAX_AGE_S) -> None:
        """Read discovery again unless the last reading is younger; callers at the same time share one reading.

        Raises:
            DiscoveryError: nothing was ever read, and the server does not answer.
            ClusterUnreachableError: the same, without any answer.
        """
        asked_at = time.monotonic()
        async with self._reading:
            if self._read_at > asked_at or asked_at - self._read_at < older_than_s:
                return
            found, unsure = await self._read()
            healthy = not unsure and (await self._session.send(Request("GET", "/readyz"), retries=0)).ok
            self._merge(found, gone=healthy)
            self.unsure = unsure
            self._read_at = time.monotonic()
            self._sure_since = min(self._sure_since, self._read_at) if healthy else float("inf")
            self.round += 1

    def _merge(self, found: Iterable[Resource], *, gone: bool) -> None:
        fresh: dict[tuple[str, str], _Kind] = {}
        for each in found:
            fresh.setdefault((each.group, each.kind), _Kind()).versions.setdefault(each.version, each)
        now = time.monotonic()
        for name, old in self._kinds.items():
            if name in fresh:
                continue
            old.missing_since = old.missing_since or now
            if not gone or now - old.missing_since < CONFIRM_AFTER_S:
                fresh[name] = old
            else:
                self._dropped[name] = now
        self._kinds = fresh

    async def _read(self) -> tuple[list[Resource], str]:
        """Return all resources, and why some groups are not known now."""
        resources: list[Resource] = []
        unsure: list[str] = []
        for root in ("/api", "/apis"):
            answer = await self._ask(root, accept=AGGREGATED)
            body = answer.body or {}
            if body.get("kind") == "APIGroupDiscoveryList":
                for group in body.get("items") or ():
                    resources += _aggregated(group, unsure)
            else:
                await self._read_lists(root, body, resources, unsure)
        return resources, ", ".join(unsure)

    async def _read_lists(self, root: str, body: Mapping[str, Any], into: list[Resource], unsure: list[str]) -> None:
        """Read the old form: one request a group and version."""
        if root == "/api":
            versions = [("", each) for each in body.get("versions") or ("v1",)]
        else:
            versions = [(group["name"], each) for group in body.get("groups") or () for each in _ordered(group)]
        for group, version in versions:
            path = f"/apis/{group}/{version}" if group else f"/api/{version}"
            answer = await self._session.send(Request("GET", path, timeout_s=LIST_TIMEOUT_S), retries=1)
            if not answer.ok or answer.body is None:
                unsure.append(f"{group or 'core'}/{version} answers {answer.status}")
                continue
            into += _listed(group, version, answer.body)

    async def _ask(self, path: str, *, accept: str) -> Reply:
        answer = await self._session.send(Request("GET", path, accept=accept, timeout_s=LIST_TIMEOUT_S))
        if not answer.ok or answer.body is None:
            raise DiscoveryError(f"the cluster does not say what it serves: GET {path} answers {answer.status}")
        return answer


def _aggregated(group: Mapping[str, Any], unsure: list[str]) -> Iterator[Resource]:
    name = (group.get("metadata") or {}).get("name", "")
    for version in group.get("versions") or ():
        if version.get("freshness") == "Stale":
            unsure.append(f"{name or 'core'}/{version['version']} is stale")
        for each in version.get("resources") or ():
            kind = each.get("responseKind") or {}
            if kind.get("kind"):
                yield Resource(
                    kind.get("group") or name,
                    kind.get("version") or version["version"],
                    kind["kind"],
                    each["resource"],
                    each.get("scope") == "Namespaced",
                    frozenset(each.get("verbs") or ()),
                    any(part.get("subresource") == "status" for part in each.get("subresources") or ()),
                )


def _ordered(group: Mapping[str, Any]) -> list[str]:
    """Return the versions of a group, the preferred one first."""
    preferred = (group.get("preferredVersion") or {}).get("version")
    versions = [str(each["version"]) for each in group.get("versions") or ()]
    return sorted(versions, key=lambda each: each != preferred)


def _listed(group: str, version: str, body: Mapping[str, Any]) -> Iterator[Resource]:
    names = {each["name"] for each in body.get("resources") or ()}
    for each in body.get("resources") or ():
        if "/" not in each["name"]:
            yield Resource(
                each.get("group") or group,
                each.get("version") or version,
                each["kind"],
                each["name"],
                bool(each.get("namespaced")),
                frozenset(each.get("verbs") or ()),
                f"{each['name']}/status" in names,
            )
