"""What the targets of one agent share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from services.applier.alarms import Alarms
from services.applier.company import Company
from services.applier.content import Content
from services.applier.decryption import Decryption
from services.applier.documents import ReleaseDocument
from services.applier.events import Events
from services.applier.inventory import Storage
from services.applier.kube.mapper import Mapper, Resource
from services.applier.kube.session import Impersonating, Sender, Session
from services.applier.observe import Observer
from services.applier.redact import Redaction
from services.applier.renewal import Renewals
from services.applier.reports import Hold, ObjectFailure
from services.applier.settings import Pace
from services.applier.tenancy import LocalPolicy, ServiceAccount
from services.applier.turns import Turns
from services.applier.verify import Accepted
from shared.bus.connection import Bus
from shared.core.objects import ObjectKey
from shared.errors import TowlineError

if TYPE_CHECKING:
    from services.applier.run import Account
    from services.applier.target import Target


class Reporter(Protocol):
    """Tells the hub what happened."""

    async def run_ended(
        self, target: Target, release: ReleaseDocument, account: Account, trigger: str, started: datetime
    ) -> None:
        """Tell of a run."""

    async def refused(
        self,
        target: Target,
        release: ReleaseDocument,
        error: TowlineError,
        started: datetime,
        failures: tuple[ObjectFailure, ...] = (),
    ) -> None:
        """Tell that a release is not taken."""

    async def held(self, target: Target, release: ReleaseDocument, hold: Hold, why: str) -> None:
        """Tell that a release waits until a person lets it go, or its time comes."""


@dataclass(slots=True)
class Desires:
    """What the apps of this agent want; an object that two of them name is handed over, never deleted (F1)."""

    _keys: dict[str, frozenset[ObjectKey]] = field(default_factory=dict)
    _contents: dict[str, Mapping[ObjectKey, str]] = field(default_factory=dict)
    _expected: set[str] = field(default_factory=set)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def expect(self, app: str) -> None:
        """An app has a new release that is not taken in yet: what it wants is unknown."""
        self._expected.add(app)

    def settle(self, app: str, keys: frozenset[ObjectKey], contents: Mapping[ObjectKey, str] | None = None) -> None:
        """An app wants these objects; of those that apps may share, with this content (G5)."""
        self._keys[app] = keys
        self._contents[app] = contents or {}
        self._expected.discard(app)
        self._changed.set()

    def also(self, app: str, keys: Iterable[ObjectKey]) -> None:
        """An app wants these besides: it keeps what it has while it waits for what it shall have."""
        self._keys[app] = self._keys.get(app, frozenset()).union(keys)

    @property
    def apps(self) -> frozenset[str]:
        """Return the apps whose wishes are known."""
        return frozenset(self._keys)

    def of_others(self, app: str) -> frozenset[ObjectKey]:
        """Return what all other apps want."""
        return frozenset().union(*(keys for name, keys in self._keys.items() if name != app))

    def contents_of_others(self, app: str) -> dict[ObjectKey, str]:
        """Return the content of what all other apps want and may share."""
        others = (contents for name, contents in self._contents.items() if name != app)
        return {key: content for contents in others for key, content in contents.items()}

    async def unknown(self, app: str, timeout_s: float) -> str:
        """Wait until the wishes of the others are known; return an app whose are not."""
        try:
            async with asyncio.timeout(timeout_s):
                while self._expected - {app}:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            pass
        return min(self._expected - {app}, default="")


@dataclass(slots=True)
class Tools:
    """One agent's means."""

    cluster: str
    home: str
    """The agent's namespace."""
    session: Session
    mapper: Mapper
    observer: Observer
    storage: Storage
    content: Content
    reporter: Reporter
    events: Events
    desires: Desires
    company: Company
    alarms: Alarms
    pace: Pace
    digest_key: bytes
    redaction: Redaction
    decryption: Decryption
    damaged: Mapping[str, str]
    fence: Callable[[], None]
    """Raises when another agent may be writing."""
    confirm: Callable[[], Awaitable[None]]
    """Raises when the cluster is not the one that this agent belongs to."""
    deletes_from: Callable[[], float]
    """Monotonic: before it nothing is deleted."""
    accepted: Callable[[], Accepted]
    changed: Callable[[], None]
    """Called when the status says something else now."""
    policy: LocalPolicy
    """What the owner of the cluster allows."""
    stopping: Callable[[], bool]
    """Tells that no new stage shall begin."""
    bus: Bus
    turns: Turns = field(default_factory=Turns)
    renewals: Renewals = field(default_factory=Renewals)
    tenants: dict[str, str] = field(default_factory=dict)
    """App → whom it acts for."""

    def sender(self, account: ServiceAccount | None) -> Sender:
        """Return who asks and writes for an app: its account, else the agent itself."""
        return Impersonating(self.session, account.user) if account else self.session

    def follow(self, keys: Iterable[ObjectKey]) -> list[Resource]:
        """Watch the kinds of these objects."""
        kinds = {(key.group, key.kind): key for key in keys}
        found = [self.mapper.find(key) for key in kinds.values()]
        resources = [each for each in found if each is not None]
        self.observer.follow(resources)
        return resources
