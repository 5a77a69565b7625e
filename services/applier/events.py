"""Leave Kubernetes Events on an app's inventory, for people who have nothing but kubectl at hand (rule R4).

One Event an app and reason, which counts; the same words are not said again for ten minutes. An Event that cannot be
written is no failure of anything: the hub is told all the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog

from services.applier.kube.mapper import Resource
from services.applier.kube.session import APPLY, METADATA, Request, Session
from services.applier.summary import Summary
from services.applier.tracking import MANAGER
from shared.core.canonical import encode
from shared.errors import TowlineError

EVENTS = Resource("", "v1", "Event", "events", namespaced=True)
QUIET_S = 600.0
LONGEST_MESSAGE = 1000
SHOWN = 3
_QUERY = {"fieldManager": MANAGER, "force": "true"}

log = structlog.get_logger("services.applier")


@dataclass(frozen=True, slots=True)
class Happening:
    """What an Event says."""

    reason: str
    message: str
    warns: bool = False


@dataclass(slots=True)
class _Said:
    first: datetime
    at: float = float("-inf")
    """Monotonic."""
    count: int = 0
    message: str = ""


@dataclass(frozen=True, slots=True)
class Events:
    """What this agent has said, and how it says more."""

    session: Session
    namespace: str
    fence: Callable[[], None]
    about: Callable[[str], Mapping[str, str]]
    """App → the reference to its inventory."""
    _said: dict[tuple[str, str], _Said] = field(default_factory=dict)

    async def tell(self, app: str, happened: Iterable[Happening]) -> None:
        """Write what is worth it; nothing raises."""
        for each in happened:
            said = self._said.setdefault((app, each.reason), _Said(self.session.clock.now()))
            if said.message == each.message and time.monotonic() - said.at < QUIET_S:
                continue
            said.message, said.at, said.count = each.message, time.monotonic(), said.count + 1
            try:
                reply = await self.session.send(self._request(app, each, said), retries=0)
            except TowlineError as error:
                log.info("event_not_written", app=app, reason=each.reason, code=error.code)
                continue
            if not reply.ok:
                log.info("event_not_written", app=app, reason=each.reason, error=reply.failure().message)

    def _request(self, app: str, what: Happening, said: _Said) -> Request:
        name = f"towline-{app}.{what.reason.lower()}"
        body: dict[str, Any] = {
            "apiVersion": EVENTS.api_version,
            "kind": EVENTS.kind,
            "metadata": {"name": name, "namespace": self.namespace},
            "involvedObject": dict(self.about(app)),
            "reason": what.reason,
            "message": what.message,
            "type": "Warning" if what.warns else "Normal",
            "source": {"component": MANAGER},
            "firstTimestamp": _whole_seconds(said.first),
            "lastTimestamp": _whole_seconds(self.session.clock.now()),
            "count": said.count,
        }
        path = EVENTS.path(self.namespace, name)
        return Request("PATCH", path, _QUERY, encode(body), content_type=APPLY, accept=METADATA, fence=self.fence)


def happenings(summary: Summary, drift: tuple[str, ...]) -> list[Happening]:
    """Return what of a run people want to know; all texts are free of secrets by now."""
    found: list[Happening] = []
    if summary.failures:
        found.append(Happening("Failed", summary.message[:LONGEST_MESSAGE], warns=True))
    if summary.hold:
        named = _some(summary.hold.keys, summary.hold.count)
        found.append(Happening("Held", f"{summary.hold.reason}: deletions wait for approval: {named}", warns=True))
    if drift:
        found.append(Happening("Drift", _some(drift, len(drift))))
    if pruned := summary.counts.pruned:
        found.append(Happening("Pruned", f"{pruned} objects that left the app were deleted"))
    return found


def _some(lines: tuple[str, ...], count: int) -> str:
    more = f" and {count - SHOWN} more" if count > SHOWN else ""
    return "; ".join(lines[:SHOWN])[: LONGEST_MESSAGE - 20] + more


def _whole_seconds(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
