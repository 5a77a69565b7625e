"""Keep one app as it was released: apply it, heal it, say how it does.

There is one kind of run, whatever caused it: take the bundle in, look, plan, claim, act, settle. A run that changes
nothing sends nothing, and one that was cut off anywhere is finished by the next.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import structlog

from services.applier.account import AccountMissingError
from services.applier.cluster import OtherClusterError
from services.applier.comparing import compared
from services.applier.documents import ReleaseDocument, suspended
from services.applier.due import Due, enables
from services.applier.events import happenings
from services.applier.finished import is_done, remembered
from services.applier.fixed import FixedFieldsError
from services.applier.intake import Intake
from services.applier.lease import LostLeaseError
from services.applier.options import Mode, Options, options_of
from services.applier.reports import ObjectFailure
from services.applier.restraint import Fights
from services.applier.run import Account, Run
from services.applier.singly import Known, page
from services.applier.standing import Standing, strays
from services.applier.state import Entry, Header, Inventory, Present
from services.applier.taking import taken_in
from services.applier.tenancy import tenant_of
from services.applier.tools import Tools
from services.applier.verify import RefusedError, bundle_of
from services.applier.waiting import Waiting
from services.applier.wellness import Patience, Wellness, wellness
from shared.core.objects import ObjectKey
from shared.core.status import Sync
from shared.errors import PermanentError, TowlineError, TransientError

SUSPENDED_LOOK_S = 5.0
LEFT_NAMED = 20
_NEVER = Present("")

log = structlog.get_logger("services.applier")


class Target:
    """One app on this cluster."""

    def __init__(self, tools: Tools, inventory: Inventory) -> None:
        self.app = inventory.header.app
        self.inventory = inventory
        self.standing = Standing()
        self.release: ReleaseDocument | None = None
        self.options = Options()
        self._tools = tools
        self.active: ReleaseDocument | None = None
        """The last release whose bundle passed; older than `release` while that is refused."""
        self._key = ""
        self._cluster_suspended: dict[str, str] | None = None
        self._wake = asyncio.Event()
        self._fresh = False
        self._asked = ""
        self._drifted: set[ObjectKey] = set()
        self._meanwhile: set[ObjectKey] = set()
        """What a watch told of during a run."""
        self._judged: dict[ObjectKey, Present | None] = {}
        """Objects that are not as we left them, in the state in which a run let them be."""
        self._begun: Account | None = None
        """The last run at this release, while its deletions wait."""
        self._failures: tuple[ObjectFailure, ...] = ()
        self._due = Due()
        self._waiting = Waiting(tools, self._due)
        self._fights = Fights()
        self.running = False

    def give(self, release: ReleaseDocument, key: str, cluster_suspended: dict[str, str] | None) -> None:
        """Take a verified release; the same one again changes nothing but the suspension."""
        self._tools.tenants[self.app] = tenant_of(self.app, release.options, self._tools.policy)
        if release != self.release:
            self._fresh = True
            self._due.failures, self._due.failed = 0, False
            self._fights.forget()
            self._begun = None
            self.standing = Standing(Sync.APPLYING)
            self._tools.desires.expect(self.app)
        elif self.is_suspended() and not self._counts(cluster_suspended) and not self._counts(release.suspend):
            self._asked = "resume"
        self.release, self._key, self._cluster_suspended = release, key, cluster_suspended
        self._wake.set()

    def ask(self, trigger: str) -> None:
        """Have everything looked at again, whatever is remembered."""
        self._asked = trigger
        self._due.failures = 0
        self._wake.set()

    def look_again(self) -> None:
        """Look whether what the app waits for has come, or what was in its way is gone (E6)."""
        self._due.hurried(time.monotonic(), self._tools.pace.probe_s)
        self._wake.set()

    def noticed(self, key: ObjectKey) -> None:
        """Look at what a watch says about one object: is it as we left it?"""
        entry = self.inventory.entries.get(key)
        if entry is None and enables(key) and self._due.hurried(time.monotonic(), self._tools.pace.probe_s):
            self._wake.set()
        if entry is None or self.active is None:
            return
        if self.running:
            self._meanwhile.add(key)
        elif is_done(entry, self._tools.observer):
            self._wake.set()
        elif self._strays(entry) and self._judged.get(key, _NEVER) != self._tools.observer.present(key):
            self._drifted.add(key)
            self._wake.set()

    def objects(self, *, after: str = "", key: str = "") -> dict[str, Any]:
        """Return a page of how the app's objects stand."""
        return page(Known(self.inventory, self._tools.observer, self._failures, self._strays), after=after, key=key)

    async def differences(self, *, after: str = "", key: str = "") -> dict[str, Any]:
        """Return a page of what an apply of the app's release would change now.

        Raises:
            TowlineError: the release cannot be taken in, or the cluster does not answer.
        """
        if self.release is None or self.release.removed:
            return {"objects": [], "next": ""}
        read = options_of(self.release.options)
        taken = await taken_in(self._tools, self.release, read, self.inventory)
        sender = self._tools.sender(taken.account)
        return await compared(self._tools, sender, taken.wanted, read.options, after=after, key=key)

    def is_suspended(self) -> bool:
        """Tell whether nothing is written for now."""
        own = self.release.suspend if self.release else None
        return self._counts(own) or self._counts(self._cluster_suspended) or self._counts(self.options.suspend)

    def _counts(self, suspension: Mapping[str, str] | None) -> bool:
        return suspended(suspension, self._tools.session.clock.now())

    def wellness(self) -> Wellness:
        """Return how the app does now."""
        patience = Patience(time.monotonic(), self.standing.since, self.options.timeout_s, self.options.stops)
        return wellness(self.inventory, self._tools.observer, patience)

    async def work(self) -> None:
        """Run whenever a run is due, until cancelled."""
        while True:
            trigger = await self._next_trigger()
            if self._writes:
                self.inventory = await remembered(self.inventory, self._tools)
            if trigger:
                self.running = True
                try:
                    await self._run(trigger)
                finally:
                    self.running = False
                self._look_back()
                self._tools.company.stir(self.app)
            self._tools.changed()

    @property
    def _writes(self) -> bool:
        return self.options.mode is Mode.APPLY

    async def _next_trigger(self) -> str:
        """Wait for a reason to run and return it; empty: only what is told has changed."""
        while not (self._wake.is_set() or self._due.next_at() <= time.monotonic()):
            try:
                async with asyncio.timeout(min(self._due.next_at() - time.monotonic(), 3600.0)):
                    await self._wake.wait()
            except TimeoutError:
                continue
        self._wake.clear()
        if self.release is None:
            return ""
        if self.is_suspended():
            return self._stand_still()
        if (self._drifted or self._waiting.delay) and not self._fresh:
            await asyncio.sleep(self._tools.pace.debounce_s)
        return self._reason()

    def _reason(self) -> str:
        """Return the trigger of the run that is due now, and forget it."""
        now = time.monotonic()
        fresh, asked, drifted = self._fresh, self._asked, bool(self._drifted)
        retry = now >= self._due.retry_at
        again = now >= min(self._due.verify_at, self._due.look_at)
        self._fresh, self._asked = False, ""
        self._drifted.clear()
        self._due.look_at = float("inf")
        if fresh or self._waiting.is_over(self):
            return "release"
        if asked:
            return asked
        if drifted:
            return "drift"
        return "release" if retry else "verify" if again else ""

    def _stand_still(self) -> str:
        """Say that the app is suspended; look again whether it still is."""
        own = (self.release.suspend if self.release else None) or self._cluster_suspended or self.options.suspend or {}
        self.standing.say(Sync.SUSPENDED, "Suspended", own.get("reason", ""))
        self._asked = self._asked or "resume"
        self._due.look_at = time.monotonic() + SUSPENDED_LOOK_S
        self._tools.desires.settle(self.app, frozenset(self.inventory.entries))
        return ""

    async def _run(self, trigger: str) -> None:
        started = datetime.now(UTC)
        release = self.release
        assert release is not None  # noqa: S101 - a trigger is only given with a release
        try:
            # What was asked for, or failed before, may turn on a kind that is served by now.
            taken = await self._taken_in(release, anew=trigger in {"sync", "resume"} or bool(self._due.failures))
            goes = await self._waiting.admits(self, taken.wanted)
        except (RefusedError, PermanentError) as error:
            await self._refuse(release, error, started)
            goes = False
        except TransientError as error:
            self._postpone(error)
            return
        if not goes:
            older = await self._older(trigger)
            if older is None:
                return
            release, taken = older
        if self.app in self._tools.damaged:
            self._hold("InventoryDamaged", self._tools.damaged[self.app])
            return
        await self._act_and_conclude(release, taken, trigger, started)

    async def _act_and_conclude(self, release: ReleaseDocument, taken: Intake, trigger: str, started: datetime) -> None:
        before, self.active = self.active, release
        try:
            account = await self._acted(release, taken, trigger, started)
        except FixedFieldsError as error:
            self.active, self._failures = before, error.failures
            await self._refuse(release, error, started, error.failures)
            self._due.refused(error.failures, time.monotonic())
            self._tools.alarms.look_out(self.app, self._due.in_the_way, self.look_again)
            older = await self._older(trigger) if before is not release else None
            if older is not None:
                await self._act_and_conclude(*older, trigger, started)
            return
        if account is None:
            self.active = before
        else:
            await self._conclude(release, account, trigger, started)

    async def _acted(self, release: ReleaseDocument, taken: Intake, trigger: str, started: datetime) -> Account | None:
        """Run, or say why nothing could be done."""
        try:
            return await self._act(release, taken, trigger)
        except OtherClusterError as error:
            self._postpone(error)
            self._hold("ClusterReplaced", error.message)
        except AccountMissingError as error:
            await self._stand_without(release, error, started)
        except (FixedFieldsError, LostLeaseError):
            raise  # with a lease all starts over: whatever is remembered is not to be trusted
        except TowlineError as error:
            self._postpone(error)
        return None

    async def _older(self, trigger: str) -> tuple[ReleaseDocument, Intake] | None:
        """Take in the release that still counts while a newer one is refused or waits; None: there is nothing to heal."""
        release = self.active
        if release is not None and release is not self.release:
            await self._tools.content.keep_running(self.app, (release.epoch, release.generation))
        if not self._waiting.heals(self) or release is None or trigger == "release":
            return None
        try:
            taken = await self._taken_in(release)
        except TowlineError as error:
            self._postpone(error)
            return None
        self._waiting.also_wants(self)
        return release, taken

    async def _taken_in(self, release: ReleaseDocument, *, anew: bool = False) -> Intake:
        """Return the bundle's objects, verified to the last byte and ready to be sent; others know that they are wanted."""
        read = options_of(release.options)
        self.options = read.options
        taken = await taken_in(self._tools, release, read, self.inventory, anew=anew)
        tracked = {key: each.content for key, each in taken.whole.items() if each.tracked}
        self._tools.desires.settle(self.app, frozenset(tracked), {key: each for key, each in tracked.items() if each})
        return taken

    async def _act(self, release: ReleaseDocument, taken: Intake, trigger: str) -> Account:
        async with self._tools.turns.turn() as turn:
            run = Run(
                tools=self._tools,
                app=self.app,
                release=release,
                key=self._key,
                options=replace(self.options, mode=Mode.PLAN) if self._waiting.frozen else self.options,
                healing=trigger in {"drift", "verify"},
                retries=trigger == "release" and self._due.failed,
                fights=self._fights,
                superseded=lambda: self._fresh or self._tools.stopping(),
                turn=turn,
                account=taken.account,
                begun=self._begun,
                farewell=taken.farewell,
                warnings=list(taken.warnings),
            )
            account = await run.run(taken.wanted, self.inventory)
        self.inventory = account.inventory
        return account

    async def _conclude(self, release: ReleaseDocument, account: Account, trigger: str, started: datetime) -> None:
        """Say what came of a run, and decide when to look again."""
        summary, now = account.summary, time.monotonic()
        self._failures = summary.failures
        if release == self.release:
            self.standing.say(summary.sync, summary.reason, summary.message)
        if trigger == "release":
            self.standing.since = now
        self._due.concluded(account, self.options, now, self._tools.deletes_from())
        in_the_way = self._due.in_the_way | self._tools.decryption.in_the_way(self.app, summary.failures)
        self._tools.alarms.look_out(self.app, in_the_way, self.look_again)
        self._due.look_at = self._fights.ends_at(account.contested)
        if account.contested and release == self.release:
            text = f"somebody changes {account.contested[0]} back again and again"
            self.standing.say(summary.sync, "Contested", text)
        self._waiting.tell_drift(self, now)
        self._begun = account if summary.result is None else None
        if self._begun:
            return
        # An unchanged app that was looked at again is no news.
        if trigger in {"release", "resume", "sync"} or account.changed or account.drift or summary.failures:
            await self._tools.reporter.run_ended(self, release, account, trigger, started)
            if self._writes:
                await self._tools.events.tell(self.app, happenings(summary, account.drift))
        if self._writes and release.removed and not self.inventory.entries:
            await self._forget()

    def _postpone(self, error: TowlineError) -> None:
        """Nothing was decided: try again later, with growing pauses."""
        pause_s = self._due.postponed(self.options, time.monotonic(), self._tools.pace.probe_s)
        self.standing.reason, self.standing.message = error.code, error.message
        log.warning("run_postponed", app=self.app, code=error.code, error=error.message, pause_s=round(pause_s, 1))

    async def _refuse(
        self, release: ReleaseDocument, error: TowlineError, started: datetime, why: tuple[ObjectFailure, ...] = ()
    ) -> None:
        """A release that cannot be taken changes nothing; what ran before goes on, and is healed."""
        self.standing = Standing(Sync.OUT_OF_SYNC, error.code, error.message)
        held = self.active and bundle_of(self.active)
        self._tools.desires.settle(self.app, frozenset(self.inventory.entries))
        self._tools.follow(self.inventory.entries)
        self._due.retry_at = float("inf")
        log.warning("release_refused", app=self.app, code=error.code, error=error.message, runs=held or "")
        await self._tools.reporter.refused(self, release, error, started, why)

    async def _stand_without(self, release: ReleaseDocument, error: TowlineError, started: datetime) -> None:
        """Without its account an app is left alone (O2), and one that is to be removed stays whole (O7)."""
        self.standing = Standing(Sync.OUT_OF_SYNC)
        self._postpone(error)
        await self._tools.reporter.refused(self, release, error, started)
        if release.removed:
            left = ", ".join(str(key) for key in sorted(self.inventory.entries)[:LEFT_NAMED])
            self._hold(error.code, f"{error.message}; {len(self.inventory.entries)} objects are left: {left}")

    def _hold(self, reason: str, message: str) -> None:
        self.standing = Standing(Sync.HELD, reason, message)

    async def _forget(self) -> None:
        """A removed app leaves nothing behind, its inventory last (F13)."""
        try:
            await self._tools.storage.forget(self.app)
        except TowlineError as error:
            self._postpone(error)
        else:
            self.inventory = Inventory(Header(self.app))

    def _look_back(self) -> None:
        """Look after a run at what came in meanwhile; what the run itself let be is not looked at again."""
        observer = self._tools.observer
        self._judged = {
            key: observer.present(key)
            for key, entry in self.inventory.entries.items()
            if key not in self._meanwhile and self._strays(entry)
        }
        for key in self._meanwhile:
            self.noticed(key)
        self._meanwhile.clear()

    def _strays(self, entry: Entry) -> bool:
        """Tell whether an object is not as our last write left it, as far as the watches tell."""
        if self._fights.contested(entry.key, time.monotonic()):
            return False
        return strays(entry, self._tools.observer, self.options, self._tools.cluster)
