"""Take the desired document from the bus: verify, compare, hand each app its release.

What cannot be read changes nothing: an absent document, an unreachable bus and a refused signature all leave every
app as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import structlog

from services.applier.content import Content, LastDesired
from services.applier.documents import DesiredDocument, ReleaseDocument, RosterDocument
from services.applier.going_back import past_of
from services.applier.reporting import Reporting
from services.applier.state import Header
from services.applier.target import Target
from services.applier.verify import Accepted, RefusedError, Trust, Verified, check_release, roster, verified
from shared import subjects
from shared.bus.connection import Bus
from shared.errors import PermanentError

log = structlog.get_logger("services.applier")

SEQUENCE = "Nats-Sequence"


@dataclass(slots=True)
class Desire:
    """What this cluster shall run, as far as is known."""

    cluster: str
    content: Content
    reporting: Reporting
    trust: Callable[[], Trust]
    target: Callable[[str], Target]
    meet: Callable[[Mapping[str, ReleaseDocument]], None]
    """Tells the apps of each other, before any of them is given its release."""
    headers: Callable[[], Mapping[str, Header]]
    accepted: Accepted
    _taken: tuple[int, int] = (-1, -1)
    _missing: set[str] = field(default_factory=set)

    async def recall(self) -> None:
        """Take what was kept from before a restart, so that healing needs no bus."""
        last = await self.content.kept_desired()
        if last is None:
            return
        try:
            found = verified(last.envelope, self.trust(), self.accepted)
            releases = roster(last.roster, found.document)
            self.content.remember(last, _numbers(releases))
            await self._recall_running(releases)
            await self._take(found, releases)
        except RefusedError as error:
            log.info("kept_document_unused", code=error.code)

    async def _recall_running(self, present: RosterDocument) -> None:
        """Find the releases by which apps run that have a newer one: it waited, or was refused."""
        headers = self.headers()
        for app, number in _numbers(present).items():
            header = headers.get(app)
            if header is None or not header.generation or number == (header.epoch, header.generation):
                continue
            if (kept := await self.content.running(app)) is None:
                continue
            # Older than what was accepted since, as it must be; its own number is the one that this app claimed.
            before = roster(kept.roster, verified(kept.envelope, self.trust(), Accepted()).document).releases.get(app)
            if before is not None and (before.epoch, before.generation) == (header.epoch, header.generation):
                check_release(before, header, self.trust().keys)
                self.content.remember(kept, {app: (before.epoch, before.generation)})
                self.target(app).active = before

    async def look(self, bus: Bus, *, at_least: int = 0) -> bool:
        """Read the document once; False when the bus showed an older one than it announced: ask again.

        Raises:
            TowlineError: the bus cannot be read now.
        """
        stored = await bus.request(subjects.get(self.cluster))
        if stored is None:
            log.debug("desired_absent")
            return True
        if stored.sequence and stored.sequence < at_least:
            return False
        started = datetime.now(UTC)
        try:
            found = verified(stored.data, self.trust(), self.accepted)
            if found.unchanged and self._taken == _number(found.document):
                return True
            data = await self.content.roster(bus, found.document.roster)
            releases = roster(data, found.document)
        except PermanentError as error:
            log.warning("desired_refused", code=error.code, error=error.message)
            await self.reporting.refusal("", None, error, started)
            return True
        await self._take(found, releases)
        await self.content.keep_desired(LastDesired(stored.data, data), _numbers(releases))
        return True

    async def _take(self, found: Verified, releases: RosterDocument) -> None:
        """Hand out the releases; each is checked for itself, and a bad one stops no other."""
        document = found.document
        self.accepted = found.accepted
        self._taken = _number(document)
        headers = self.headers()
        self.meet(releases.releases)
        for app, release in sorted(releases.releases.items()):
            try:
                check_release(release, headers.get(app), self.trust().keys)
            except RefusedError as error:
                log.warning("release_refused", app=app, code=error.code, error=error.message)
                await self.reporting.refusal(app, release, error, datetime.now(UTC))
                continue
            self.target(app).give(release, found.accepted.key, _suspension(document))
        for app in sorted(set(headers) - set(releases.releases) - self._missing):
            self._missing.add(app)
            log.warning("app_not_in_roster", app=app, effect="it is kept as it is")
        named = (found for each in releases.releases.values() for found in (each.bundle, each.last))
        live = [found.blob.digest for found in named if found]
        past = [name for header in headers.values() for name in past_of(header)]
        await self.content.forget_others([*live, *self._running(releases.releases)], past)
        self.reporting.changed()
        log.info("desired_taken", number=f"{document.epoch}.{document.generation}", apps=len(releases.releases))

    def _running(self, releases: Mapping[str, ReleaseDocument]) -> list[str]:
        """Return the blobs that targets still run while a newer release is on its way."""
        found = (self.target(app).active for app in releases)
        return [each.bundle.blob.digest for each in found if each is not None and each.bundle]


def _suspension(document: DesiredDocument) -> dict[str, str] | None:
    return dict(document.suspend) if document.suspend is not None else None


def _numbers(releases: RosterDocument) -> dict[str, tuple[int, int]]:
    return {app: (each.epoch, each.generation) for app, each in releases.releases.items()}


def _number(document: DesiredDocument) -> tuple[int, int]:
    return (document.epoch, document.generation)
