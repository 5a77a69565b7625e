"""When to look at which repository again.

A repository that answers is looked at once an interval; one that fails, less and less often. A host that fails for
several repositories in a row rests as a whole, and repositories whose credential is refused share one try a minute:
hosts lock out who keeps knocking.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace

from shared.core.backoff import backoff_s

LONGEST_S = 300.0
AUTH_S = 60.0
REWIND_S = 10.0
"""A tip that is in doubt is looked at again at least so soon."""
HOST_FAILURES = 3
JITTER = 0.1

_AUTH = "source.auth"
_HOST_CODES = frozenset({"source.unreachable", "source.tls"})


@dataclass(frozen=True, slots=True)
class Watch:
    """What the schedule knows about one repository; times are seconds of one clock that only rises."""

    name: str
    origin: str
    interval_s: float
    checked_at: float | None = None
    failures: int = 0
    code: str = ""
    doubtful: bool = False
    urgent: bool = False
    """Somebody asked: look now."""
    hinted: str = ""
    """Whose webhook told of a push: its interval is over, but a host that rests goes on resting."""


@dataclass(frozen=True, slots=True)
class Host:
    """What the schedule knows about one host."""

    failures: int = 0
    rests_until: float = 0.0
    auth_tried_at: float | None = None


def jitter(interval_s: float, name: str) -> float:
    """Return `interval_s` moved by up to 10 %, always the same for one `name`.

    Stable, so that a restart does not send all repositories to their host at once for ever.
    """
    share = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") / 2**32
    return interval_s * (1 - JITTER + 2 * JITTER * share)


def due_at(watch: Watch, host: Host) -> float:
    """Return when `watch` is to be looked at."""
    if watch.urgent or watch.checked_at is None:
        return 0.0
    wait_s = watch.interval_s
    if watch.failures:
        wait_s = backoff_s(watch.failures, max(watch.interval_s, 1.0), max(LONGEST_S, watch.interval_s))
    if watch.doubtful:
        wait_s = min(wait_s, REWIND_S)
    due = watch.checked_at + (0.0 if watch.hinted else jitter(wait_s, watch.name))
    if watch.code == _AUTH:
        return max(due, watch.checked_at + AUTH_S, (host.auth_tried_at or 0.0) + AUTH_S)
    return max(due, host.rests_until)


def due(watches: Iterable[Watch], hosts: dict[str, Host], now: float) -> list[Watch]:
    """Return the repositories to look at now, the one that waited longest first; one refused credential a host."""
    ready = sorted(
        (w for w in watches if due_at(w, hosts.get(w.origin, Host())) <= now), key=lambda w: w.checked_at or 0
    )
    knocking: set[str] = set()
    chosen = []
    for watch in ready:
        if watch.code == _AUTH and not watch.urgent:
            if watch.origin in knocking:
                continue
            knocking.add(watch.origin)
        chosen.append(watch)
    return chosen


def after(watch: Watch, now: float, code: str, *, doubtful: bool = False) -> Watch:
    """Return `watch` after a look that ended with `code`; empty means it answered."""
    failures = watch.failures + 1 if code else 0
    return replace(watch, checked_at=now, failures=failures, code=code, doubtful=doubtful)


def host_after(host: Host, now: float, code: str) -> Host:
    """Return `host` after a look at one of its repositories."""
    if code == _AUTH:
        return replace(host, auth_tried_at=now)
    if code not in _HOST_CODES:
        return replace(host, failures=0, rests_until=0.0) if not code else host
    failures = host.failures + 1
    rests_s = min(2.0 ** min(failures - HOST_FAILURES, 16), LONGEST_S) if failures >= HOST_FAILURES else 0.0
    return replace(host, failures=failures, rests_until=now + rests_s if rests_s else host.rests_until)
