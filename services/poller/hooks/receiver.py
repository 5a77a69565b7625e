"""Take a delivery: prove it, see what it is about, and have that looked at.

What is not proven changes nothing and is remembered nowhere. What is proven shortens the wait for the next look at
repositories that sources follow, once; the look itself asks git, as every look does.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from services.poller.hooks.concern import moves, names
from services.poller.hooks.limits import Bucket, Remembered
from services.poller.hooks.payloads import Other, Ping, Push, is_unsigned_ping, said
from services.poller.hooks.refusals import HookRefusedError
from services.poller.hooks.repositories import same_repository, shown
from services.poller.hooks.secret_file import Hook, SecretFile
from services.poller.hooks.signatures import Delivery, Provider, covers_id, event_of, id_of, prove, provider_of
from services.poller.rounds import Rounds
from services.poller.watcher import Watcher

REMEMBERED = 2000
"""Keys of deliveries of one source."""
SHOWN = 10
"""Refs and names of repositories that a log line holds."""
PROVEN = (120.0, 2.0)
"""Proven deliveries of one source: at once, and a second in the long run."""

Reading = Callable[[], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a proven delivery."""

    result: str
    """`looking`, `ignored`, `duplicate` or `ping`."""
    message: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    """For the log."""


@dataclass(slots=True)
class _Counts:
    """What one source's hook has let pass."""

    rate: Bucket = field(default_factory=lambda: Bucket(*PROVEN))
    seen: Remembered = field(default_factory=lambda: Remembered(REMEMBERED))


class Receiver:
    """Takes deliveries for the sources of `watchers`."""

    def __init__(self, watchers: Mapping[str, Watcher], rounds: Rounds, secrets: SecretFile) -> None:
        self._watchers = watchers
        self._rounds = rounds
        self._secrets = secrets
        self._counts = {name: _Counts() for name in watchers}

    async def take(self, source: str, headers: Mapping[str, str], read: Reading) -> Taken:
        """Return what became of a delivery to the hook of `source`; `read` reads its body within bounds.

        Raises:
            HookRefusedError: it is not taken.
        """
        hooks = await asyncio.to_thread(self._secrets.hooks)
        if source not in hooks or source not in self._watchers:
            raise HookRefusedError(
                "there is no hook of this name",
                code="hook.unknown",
                hint="post to /hooks/SOURCE, of a source that the hub has and that has a secret",
            )
        delivery = Delivery(headers)
        provider = provider_of(delivery)
        delivery = replace(delivery, body=await read())
        if is_unsigned_ping(provider, delivery):
            return Taken("ping", "pong; the forge does not sign this, so nothing is known about its secret")
        prove(provider, delivery, hooks[source].texts, time.time())
        if not self._counts[source].rate.take(asyncio.get_running_loop().time()):
            raise HookRefusedError(
                f"too many deliveries for {source!r}: the hub looks when its interval is over", code="hook.too-many"
            )
        return self._taken(source, hooks, provider, delivery)

    def _taken(self, source: str, hooks: Mapping[str, Hook], provider: Provider, delivery: Delivery) -> Taken:
        found = said(provider, delivery)
        told = event_of(provider, delivery)
        facts: dict[str, Any] = {"provider": provider.value, "told": told, "delivery": id_of(provider, delivery)}
        match found:
            case Ping():
                return Taken("ping", "pong; the secret fits", facts)
            case Other(event=event):
                return Taken("ignored", f"{event!r} is no push: it moves no ref", facts)
        facts["refs"] = (found.refs or ())[:SHOWN]
        facts["repositories"] = [shown(each) for each in found.repositories[:SHOWN]]
        if not self._counts[source].seen.add(_keys(provider, delivery, found)):
            return Taken("duplicate", "this delivery was taken before", facts)
        return self._pushed(source, hooks, found, facts)

    def _pushed(self, source: str, hooks: Mapping[str, Hook], push: Push, facts: Mapping[str, Any]) -> Taken:
        state = self._watchers[source].state
        main, called = state.main.repository, hooks[source].called
        if not push.repositories or any(same_repository(one, other) for one in called for other in push.repositories):
            push = replace(push, repositories=(main, *push.repositories))
        if not any(names(push, each.repository) for each in state.followed):
            told = shown(push.repositories[0])
            return Taken("ignored", f"the delivery is about {told}, and source {source!r} follows {main}", facts)
        # A source without a hook of its own is woken by that of another that shares its repository.
        places = {
            (watcher.name, each.repository)
            for watcher in self._watchers.values()
            if watcher.name == source or watcher.name not in hooks
            for each in watcher.state.followed
            if names(push, each.repository) and moves(push, each)
        }
        if not places:
            return Taken("ignored", "nobody follows a ref that was pushed", facts)
        for place in places:
            self._rounds.hint(place, facts["provider"])
        return Taken("looking", "the hub looks at the repository now", {**facts, "looks": sorted(places)})


def _keys(provider: Provider, delivery: Delivery, push: Push) -> list[bytes]:
    """Return by what a delivery is known again.

    Where the signature covers the body only, the same body under another id is the same delivery.
    """
    name = id_of(provider, delivery) or push.delivery
    keys = [b"id:" + name.encode("utf-8", "surrogateescape")] if name else []
    if not (name and covers_id(provider)):
        keys.append(b"body:" + delivery.body)
    return [hashlib.sha256(key).digest() for key in keys]
