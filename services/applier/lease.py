"""Be the only agent that writes: hold a Lease in the cluster, and stop when it cannot be renewed in time.

Another agent's lease counts as ended when it did not change for its whole duration by this machine's own monotonic
clock; no wall clock is compared with another's. A successor waits one more duration before it deletes anything, for
server-side applies of a stalled predecessor carry no fence.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import structlog

from services.applier.kube.mapper import Resource
from services.applier.kube.session import ClusterUnreachableError, Reply, Request, Session
from services.applier.settings import Pace
from services.applier.tracking import MANAGER
from shared.core.canonical import encode
from shared.errors import TransientError
from shared.runtime.lifecycle import Lifecycle

NAME = "towline-agent"
LEASES = Resource("coordination.k8s.io", "v1", "Lease", "leases", namespaced=True)

log = structlog.get_logger("services.applier")


class LostLeaseError(TransientError):
    """Another agent may be writing now."""

    code = "lease.lost"


@dataclass(slots=True)
class Lease:
    """The right to write to this cluster."""

    session: Session
    namespace: str
    holder: str
    pace: Pace
    held_until: float = 0.0
    """Monotonic; 0 while it is not held."""
    deletes_from: float = 0.0
    """Monotonic: before it nothing is deleted, for a predecessor may still be writing (M4)."""
    _version: str = ""
    _seen: tuple[str, float] = field(default=("", 0.0))
    """The version of somebody else's lease, and since when it did not change."""

    async def acquire(self, life: Lifecycle) -> bool:
        """Wait until the lease is ours; False when the program shall stop."""
        waiting = False
        while not life.stopping.is_set():
            try:
                if await self._try():
                    life.set_ready("lease", True)
                    return True
                if not waiting:
                    waiting = True
                    log.info("standby_started", lease=NAME)
                    life.set_ready("lease", False, "standby: another agent serves this cluster")
            except (ClusterUnreachableError, LostLeaseError) as error:
                life.set_ready("lease", False, error.message)
            await life.pause(self.pace.renew_lease_s / 2)
        return False

    async def keep(self, life: Lifecycle) -> None:
        """Renew the lease until the program stops.

        Raises:
            LostLeaseError: it could not be renewed in time, or somebody else has it.
        """
        while not await life.pause(self.pace.renew_lease_s):
            try:
                if not await self._try():
                    self.held_until = 0.0
                    raise LostLeaseError("another agent took the lease of this cluster")
            except ClusterUnreachableError as error:
                if time.monotonic() >= self.held_until:
                    raise LostLeaseError("the lease of this cluster could not be renewed in time") from error

    async def release(self) -> None:
        """Give the lease up, so that a standby need not wait."""
        if self.held_until:
            self.held_until = 0.0
            try:
                async with asyncio.timeout(self.pace.renew_lease_s):
                    await self._write(self._body("", self._version))
            except (ClusterUnreachableError, TimeoutError):
                log.info("lease_left", lease=NAME)

    def fence(self) -> None:
        """Raise unless the lease is held now.

        Raises:
            LostLeaseError: it is not.
        """
        if time.monotonic() >= self.held_until:
            raise LostLeaseError("this agent does not hold the lease of its cluster now")

    async def _try(self) -> bool:
        """Take or renew the lease; False while it is somebody else's."""
        started = time.monotonic()
        reply = await self.session.send(Request("GET", LEASES.path(self.namespace, NAME)), retries=0)
        taken_over = False
        if reply.status == 404:
            reply = await self._write(self._body(self.holder, ""))
        elif reply.ok and reply.body is not None:
            other = str((reply.body.get("spec") or {}).get("holderIdentity") or "")
            version = str(reply.body["metadata"]["resourceVersion"])
            if other not in {"", self.holder}:
                if not self._ended(reply.body, version, started):
                    return False
                taken_over = True
            reply = await self._write(self._body(self.holder, version))
        if reply.status == 409:
            return False
        if not reply.ok or reply.body is None:
            raise ClusterUnreachableError(f"lease {NAME}: {reply.failure().message}")
        self._version = str(reply.body["metadata"]["resourceVersion"])
        self.held_until = started + self.pace.lease_s
        if taken_over:
            self.deletes_from = started + self.pace.lease_s
        return True

    def _ended(self, lease: dict[str, Any], version: str, now: float) -> bool:
        if self._seen[0] != version:
            self._seen = (version, now)
        duration = float((lease.get("spec") or {}).get("leaseDurationSeconds") or self.pace.lease_s)
        return now - self._seen[1] >= duration

    async def _write(self, body: dict[str, Any]) -> Reply:
        fresh = "resourceVersion" not in body["metadata"]
        path = LEASES.path(self.namespace, "" if fresh else NAME)
        return await self.session.send(
            Request("POST" if fresh else "PUT", path, {"fieldManager": MANAGER}, encode(body)), retries=0
        )

    def _body(self, holder: str, version: str) -> dict[str, Any]:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        metadata = {"name": NAME, "namespace": self.namespace, **({"resourceVersion": version} if version else {})}
        # Whole seconds are all that the API knows.
        spec = {"holderIdentity": holder, "leaseDurationSeconds": max(1, round(self.pace.lease_s)), "renewTime": now}
        return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}
