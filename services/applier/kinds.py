"""Wait until kinds can be used as they are defined: served, and by the definition that this run wrote (C6, C7, D16)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection
from dataclasses import dataclass, field

from services.applier.errors import ErrorClass, Failure
from services.applier.kube.mapper import DiscoveryError, Mapper, Resource
from services.applier.kube.session import ClusterUnreachableError, Request, Sender
from services.applier.requests import StepFailedError, answer_to
from services.applier.settings import Pace
from services.applier.state import Wanted
from shared.core.objects import Manifest, ObjectKey

SOON_S = 0.05
INITIALIZING_S = 10.0
SETTLING_S = 5.0
"""How long an API server may judge objects by a definition that was changed meanwhile: it learns of that by a watch."""


@dataclass(frozen=True, slots=True)
class Kinds:
    """The kinds that one run needs."""

    sender: Sender
    mapper: Mapper
    pace: Pace
    _changed_at: dict[tuple[str, str], float] = field(default_factory=dict)
    """(group, kind) → when this run changed its definition; monotonic."""

    async def resource(self, key: ObjectKey, version: str, *, wait_s: float = 0.0) -> Resource | None:
        """Return where a kind is served; what is not known is looked up anew, for `wait_s` at the longest."""
        loop = asyncio.get_running_loop()
        until = loop.time() + wait_s
        pause_s = SOON_S
        while (found := self.mapper.find(key, version)) is None:
            try:
                await self.mapper.refresh(older_than_s=SOON_S)
            except (DiscoveryError, ClusterUnreachableError):
                return None
            if loop.time() >= until:
                return self.mapper.find(key, version)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, self.pace.probe_s)
        return found

    def is_settling(self, key: ObjectKey) -> bool:
        """Tell whether an object may still be judged by an older definition of its kind."""
        return time.monotonic() < self._changed_at.get((key.group, key.kind), float("-inf")) + SETTLING_S

    async def established(self, key: ObjectKey, resource: Resource, *, changed: bool) -> None:
        """Wait until a definition's kind is served (C6), or end the step; `changed`: it was another one before."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self.pace.wait_kind_s
        pause_s = SOON_S
        while True:
            reply = await answer_to(self.sender, Request("GET", resource.path(name=key.name)))
            if not reply.ok or reply.body is None:
                raise StepFailedError(reply.failure(key))
            conditions = {each["type"]: each for each in (reply.body.get("status") or {}).get("conditions") or ()}
            names = conditions.get("NamesAccepted") or {}
            if names.get("status") == "False":
                why = f"its names are not accepted: {names.get('message', '')}"
                raise StepFailedError(Failure(ErrorClass.INVALID, why))
            if (conditions.get("Established") or {}).get("status") == "True" and await self._served(reply.body):
                if changed:
                    self._changed_at[_defined(reply.body)[:2]] = time.monotonic()
                return
            if loop.time() >= until:
                why = f"it is not established after {self.pace.wait_kind_s:.0f} s"
                raise StepFailedError(Failure(ErrorClass.TIMEOUT, why))
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, self.pace.probe_s)

    async def _served(self, definition: Manifest) -> bool:
        """Tell whether discovery names the versions of a definition; read anew when it does not."""
        key = _defined(definition)
        versions = [each["name"] for each in definition["spec"]["versions"] if each.get("served")]
        if not all(self.mapper.find(key, version) for version in versions):
            await self.mapper.refresh(older_than_s=SOON_S)
        return all(self.mapper.find(key, version) for version in versions)


def unserved(wanted: Wanted, served: Collection[str]) -> Failure:
    """Return the failure of an object that the cluster does not serve as it is written; `served`: as what it does."""
    others = sorted(set(served) - {wanted.api_version})
    return Failure(
        ErrorClass.UNKNOWN_KIND,
        f"the cluster serves no {wanted.key.kind} in {wanted.api_version}",
        hint=f"write it for {' or '.join(others)}, which this cluster serves"
        if others
        else "install its CustomResourceDefinition, or deploy it with an app that this one depends on",
    )


def _defined(definition: Manifest) -> ObjectKey:
    spec = definition["spec"]
    return ObjectKey(spec["group"], spec["names"]["kind"], "", "")
