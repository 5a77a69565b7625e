"""Tell the hub: one report a run, the present state when it changed, a sign of life in between."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import structlog

from services.applier.documents import ReleaseDocument
from services.applier.due import may_pass
from services.applier.going_back import told
from services.applier.outbox import Outbox, Waiting
from services.applier.reports import Answer, AppStatus, Counts, Heartbeat, Hold, ObjectFailure, Report, Status, to_bytes
from services.applier.run import Account
from services.applier.settings import Pace
from services.applier.summary import LISTED
from services.applier.target import Target
from services.applier.verify import Accepted, bundle_of
from services.applier.wellness import Wellness
from shared import subjects
from shared.bus.connection import Bus
from shared.core.status import Health, Result, Sync
from shared.errors import TowlineError

MAX_REPORT_BYTES = 60 << 10
TERMINAL = frozenset({Health.CURRENT, Health.FAILED})
_UNWELL = frozenset({Result.FAILED, Result.PARTIAL})

log = structlog.get_logger("services.applier")


@dataclass(frozen=True, slots=True)
class About:
    """What every message of this agent says about itself."""

    cluster: str
    session: str
    version: str
    kubernetes: str
    uid: str
    claims: Mapping[str, str]


@dataclass(slots=True)
class Reporting:
    """The agent's voice."""

    about: About
    outbox: Outbox
    pace: Pace
    accepted: Callable[[], Accepted]
    targets: Mapping[str, Target]
    dirty: asyncio.Event = field(default_factory=asyncio.Event)
    read_at: float = field(default_factory=time.monotonic)
    """When the bus was last read: monotonic seconds."""
    _counter: int = 0
    _status_counter: int = 0
    _told: dict[str, tuple[int, int, Health]] = field(default_factory=dict)
    """App → release and health last reported."""
    _failed_at: dict[str, float] = field(default_factory=dict)
    """App → when its failure was last reported: monotonic seconds."""
    _said: dict[str, tuple[object, ...]] = field(default_factory=dict)
    """App → what the last report said, without its time."""
    _refusals: set[tuple[str, str, int, int]] = field(default_factory=set)

    def changed(self) -> None:
        """The status says something else now."""
        self.dirty.set()

    async def run_ended(
        self, target: Target, release: ReleaseDocument, account: Account, trigger: str, started: datetime
    ) -> None:
        """Report a run; one that ended like the last attempt at the same release is no news."""
        summary, health = account.summary, target.wellness()
        said = (release.epoch, release.generation, summary, health, account.drift)
        if self._said.get(target.app) == said and not account.changed:
            return
        self._said[target.app] = said
        self._told[target.app] = (release.epoch, release.generation, health.health)
        await self._report(
            target.app,
            release,
            trigger=trigger,
            attempt=max(1, account.inventory.header.attempt),
            result=summary.result,
            health=health.health,
            **_words(target, health),
            lasting=summary.result in _UNWELL and not may_pass(account),
            counts=summary.counts,
            failures=summary.failures[:LISTED],
            hold=summary.hold,
            drift=account.drift,
            warnings=account.warnings,
            settled=summary.settled,
            started_at=started,
        )
        log.info(
            "run_ended",
            app=target.app,
            trigger=trigger,
            release=f"{release.epoch}.{release.generation}",
            result=summary.result,
            created=summary.counts.created,
            patched=summary.counts.patched,
            pruned=summary.counts.pruned,
            failed=summary.counts.failed,
            duration_s=round((datetime.now(UTC) - started).total_seconds(), 3),
        )

    async def refused(
        self,
        target: Target,
        release: ReleaseDocument,
        error: TowlineError,
        started: datetime,
        failures: tuple[ObjectFailure, ...] = (),
    ) -> None:
        """Report that a release is not taken, once for each."""
        health = target.wellness().health
        await self.refusal(target.app, release, error, started, health=health, failures=failures)

    async def refusal(
        self,
        app: str,
        release: ReleaseDocument | None,
        error: TowlineError,
        started: datetime,
        *,
        health: Health = Health.UNKNOWN,
        failures: tuple[ObjectFailure, ...] = (),
    ) -> None:
        """Report a refusal; without an app it concerns the whole cluster."""
        number = (release.epoch, release.generation) if release else (0, 0)
        if (app, error.code, *number) in self._refusals:
            return
        self._refusals.add((app, error.code, *number))
        await self._report(
            app,
            release,
            result=Result.REFUSED,
            sync=Sync.OUT_OF_SYNC,
            health=health,
            lasting=True,
            reason=error.code,
            message=str(error)[:1000],
            failures=failures[:LISTED],
            started_at=started,
        )
        self.changed()

    async def held(self, target: Target, release: ReleaseDocument, hold: Hold, why: str) -> None:
        """Report that a release waits, once for each."""
        number = (target.app, hold.reason, release.epoch, release.generation)
        if number in self._refusals:
            return
        self._refusals.add(number)
        await self._report(
            target.app,
            release,
            result=Result.HELD,
            sync=Sync.HELD,
            health=target.wellness().health,
            reason=hold.reason,
            message=why,
            hold=hold,
            started_at=datetime.now(UTC),
        )

    async def answer(self, instruction: str, *, ok: bool, message: str, body: Mapping[str, Any] | None = None) -> None:
        """Answer an instruction."""
        told = Answer(
            id=instruction,
            cluster=self.about.cluster,
            ok=ok,
            message=message[:1000],
            body=body or {},
            at=datetime.now(UTC),
        )
        await self.outbox.put(Waiting(subjects.report(self.about.cluster, "answer"), to_bytes(told), uuid4().hex))

    async def keep_status(self, bus: Bus) -> None:
        """Send the present state when it changed, and after each new connection, until cancelled."""
        sent = b""
        while True:
            await self.dirty.wait()
            await asyncio.sleep(self.pace.coalesce_s)
            self.dirty.clear()
            await self._tell_health()
            status = self.status()
            same = to_bytes(_undated(status))
            if same == sent:
                continue
            try:
                await bus.publish(subjects.status(self.about.cluster), to_bytes(status))
                sent = same
            except TowlineError as error:
                log.debug("status_not_sent", code=error.code)
                await bus.pause(self.pace.coalesce_s)
                self.dirty.set()

    async def keep_heartbeat(self, bus: Bus) -> None:
        """Send a sign of life now and then, until cancelled."""
        while True:
            accepted = self.accepted()
            beat = Heartbeat(
                cluster=self.about.cluster,
                session=self.about.session,
                epoch=accepted.epoch,
                generation=accepted.generation,
                at=datetime.now(UTC),
            )
            try:
                await bus.send(subjects.heartbeat(self.about.cluster), to_bytes(beat))
            except TowlineError as error:
                log.debug("heartbeat_not_sent", code=error.code)
            self.dirty.set()  # staleness and late health come with time alone
            await asyncio.sleep(self.pace.heartbeat_s * random.uniform(0.8, 1.2))  # noqa: S311 - spreads the load

    def status(self) -> Status:
        """Return the agent's present state."""
        accepted = self.accepted()
        self._status_counter += 1
        return Status(
            cluster=self.about.cluster,
            session=self.about.session,
            counter=self._status_counter,
            agent=self.about.version,
            kubernetes=self.about.kubernetes,
            uid=self.about.uid,
            epoch=accepted.epoch,
            generation=accepted.generation,
            stale=time.monotonic() - self.read_at > self.pace.stale_s,
            claims=self.about.claims,
            apps={app: _app_status(target) for app, target in sorted(self.targets.items())},
            at=datetime.now(UTC),
        )

    async def _tell_health(self) -> None:
        """Report when an app became well or failed since its last report."""
        for app, target in self.targets.items():
            told = self._told.get(app)
            if told is None or target.release is None:
                continue
            now = target.wellness()
            if self._flaps(app):
                continue
            if now.health in TERMINAL and now.health is not told[2] and target.standing.sync is not Sync.APPLYING:
                if now.health is Health.FAILED:
                    self._failed_at[app] = time.monotonic()
                self._told[app] = (*told[:2], now.health)
                await self._report(
                    app,
                    target.release,
                    trigger="health",
                    result=Result.SUCCEEDED if target.standing.sync is Sync.SYNCED else Result.PARTIAL,
                    health=now.health,
                    **_worded(target, now.reason, now.message),
                    counts=Counts(objects=len(target.inventory.entries)),
                    settled=target.inventory.header.settled,
                    started_at=datetime.now(UTC),
                )

    def _flaps(self, app: str) -> bool:
        """Tell whether a reported failure is too fresh to be taken back (J8); beats look again."""
        return time.monotonic() < self._failed_at.get(app, float("-inf")) + self.pace.flap_s

    async def _report(self, app: str, release: ReleaseDocument | None, **facts: object) -> None:
        self._counter += 1
        report = Report(
            id=str(uuid4()),
            session=self.about.session,
            counter=self._counter,
            cluster=self.about.cluster,
            app=app,
            epoch=release.epoch if release else 0,
            generation=release.generation if release else 0,
            bundle=bundle_of(release) if release else "",
            commits=tuple(dict.fromkeys(each.commit for each in release.provenance)) if release else (),
            finished_at=datetime.now(UTC),
            **facts,  # type: ignore[arg-type] # named where they are given
        )
        data = to_bytes(report)
        if len(data) > MAX_REPORT_BYTES:
            data = to_bytes(_shortened(report))
        await self.outbox.put(Waiting(subjects.report(self.about.cluster, "result"), data, uuid4().hex))
        self.changed()


def _app_status(target: Target) -> AppStatus:
    release, header, now = target.release, target.inventory.header, target.wellness()
    return AppStatus(
        health=now.health,
        epoch=release.epoch if release else header.epoch,
        generation=release.generation if release else header.generation,
        bundle=header.settled_bundle,
        **_words(target, now),
        objects=len(target.inventory.entries),
    )


def _words(target: Target, now: Wellness) -> dict[str, Any]:
    """Return whether an app is as it should be, and why not: what its last run says, else what its objects say."""
    standing = target.standing
    reason, message = standing.reason, standing.message
    if not reason and now.health is not Health.CURRENT:
        reason, message = now.reason, now.message or message
    return _worded(target, reason, message)


def _worded(target: Target, reason: str, message: str) -> dict[str, Any]:
    sync, reason, message = told(target.release, target.standing.sync, reason, message)
    return {"sync": sync, "reason": reason, "message": message[:500]}


def _undated(status: Status) -> Status:
    """Return the status without what differs each time it is asked for."""
    names = [name for name in Status.__slots__ if name not in {"counter", "at"}]
    return Status(**{name: getattr(status, name) for name in names}, counter=0, at=datetime.fromtimestamp(0, UTC))


def _shortened(report: Report) -> Report:
    """Return a report that fits into one message: the counts stay, the lists are cut."""
    facts = {name: getattr(report, name) for name in Report.__slots__}
    return Report(
        **{**facts, "failures": report.failures[:10], "drift": report.drift[:10], "warnings": report.warnings[:10]}
    )
