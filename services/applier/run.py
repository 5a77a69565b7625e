"""One run of one app: look, plan, claim, act, settle.

The claim is written before the first change and carries the highest desired document accepted; the settled inventory
is written after the last. A run that would change nothing writes nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from services.applier.account import confirm_account, explained
from services.applier.affected import affected
from services.applier.crds import defined_by
from services.applier.definitions import unsafe
from services.applier.documents import ReleaseDocument
from services.applier.drift import looked_into
from services.applier.execute import Execution
from services.applier.fixed import FixedFieldsError, suspects
from services.applier.going_back import with_past
from services.applier.inventory import StorageError
from services.applier.kinds import Kinds
from services.applier.kube.session import Sender
from services.applier.look import Looker
from services.applier.options import Conflicts, Mode, Options
from services.applier.ownership import silent
from services.applier.plan import plan, settled
from services.applier.planned import Applied, Failed, Outcome, Plan, Skip, SkipReason
from services.applier.recovery import marked
from services.applier.rehearsal import Rehearsal
from services.applier.remains import Remains
from services.applier.removal import NO_HOOKS, Farewell, goes_on
from services.applier.renewal import renewed
from services.applier.restraint import Fights, corrections, may_recreate
from services.applier.state import Entry, Inventory, Live, Present, Wanted
from services.applier.steps import Steps
from services.applier.summary import Summary, summary
from services.applier.tenancy import ServiceAccount
from services.applier.tools import Tools
from services.applier.tracking import is_ours
from services.applier.turns import Turn
from services.applier.wellness import Patience, waited
from shared.core.objects import ObjectKey
from shared.core.status import Result, Sync

FIRST_LIST_S = 10.0
"""How long a new watch may take to list; after that objects are read one by one."""
DESIRES_S = 5.0
MAX_LINES = 50


@dataclass(frozen=True, slots=True)
class Account:
    """What came of a run."""

    inventory: Inventory
    summary: Summary
    outcomes: Mapping[ObjectKey, Outcome]
    skipped: tuple[SkipReason, ...]
    drift: tuple[str, ...]
    warnings: tuple[str, ...]
    contested: tuple[ObjectKey, ...]
    incomplete: str
    """Why nothing could be pruned this time."""
    changed: bool
    """Something in the cluster is different now."""

    @property
    def applied(self) -> dict[ObjectKey, Outcome]:
        """Return what was applied."""
        return {key: each for key, each in self.outcomes.items() if isinstance(each, Applied)}


@dataclass(slots=True)
class Run:
    """One run that is under way."""

    tools: Tools
    app: str
    release: ReleaseDocument
    key: str
    options: Options
    healing: bool
    fights: Fights
    superseded: Callable[[], bool]
    turn: Turn
    retries: bool = False
    """The last run of this release failed."""
    account: ServiceAccount | None = None
    """As whom everything of the app is read and written; None: as the agent itself."""
    begun: Account | None = None
    """The run before, after which deletions had to wait, or a removal goes on: whoever is told hears of both as one."""
    farewell: Farewell = NO_HOOKS
    warnings: list[str] = field(default_factory=list)

    @property
    def sender(self) -> Sender:
        """Return who asks for objects of the app (O1)."""
        return self.tools.sender(self.account)

    async def run(self, wanted: Mapping[ObjectKey, Wanted], inventory: Inventory) -> Account:
        """Bring the cluster to `wanted`, or on the way to having nothing of the app.

        Raises:
            AccountMissingError: the app's service account does not exist; nothing was done.
            FixedFieldsError: the API server would refuse objects for good; nothing was done.
            TowlineError: the inventory could not be written, so nothing (more) was done.
        """
        if self.account is not None:
            await confirm_account(self.tools.session, self.account)
        wanted = self.farewell.beside(wanted)
        live = await self._look(wanted, inventory)
        if skew := self.tools.session.clock.warning():
            self.warnings.append(skew)
        if not inventory.header.generation and (lost := await self._found_again()):
            inventory = Inventory(replace(inventory.header, recovered=True), lost)
            live = await self._look(wanted, inventory)
            self.warnings.append(f"the inventory was lost; {len(lost)} objects were found again by our marks")
        incomplete = self.farewell.unknown or await self._incomplete()
        todo = plan(
            wanted,
            live,
            inventory,
            self.release,
            self.options,
            cluster=self.tools.cluster,
            key=self.key,
            others=self.tools.desires.of_others(self.app),
            apps=self.tools.desires.apps,
            shared=self.tools.desires.contents_of_others(self.app),
            incomplete=incomplete,
            home=self.tools.home,
            farewell=self.farewell,
            again=self.options.rerun_hooks and self.retries,
        )
        todo = renewed(todo, self.tools.renewals.take(self.app), wanted, live)
        todo, contested = self.fights.restrained(todo, time.monotonic())
        todo, drift = await looked_into(self.tools, self.sender, todo, live, wanted, options=self.options)
        rehearsal = Rehearsal(todo, self.sender, self.tools.mapper, self._recreates)
        beforehand = await self._beforehand(rehearsal)
        if self.options.mode is Mode.PLAN or (self.options.atomic and _refused(beforehand)):
            return self._unwritten(rehearsal, beforehand, inventory, drift, incomplete)
        await self._refuse_fixed(rehearsal, inventory)
        outcomes = await self._carry_out(todo, inventory, _refused(beforehand))
        self.warnings += affected((key for key, each in outcomes.items() if isinstance(each, Failed)), wanted.values())
        after = with_past(settled(todo, outcomes), self.release)
        if todo.writes or _differs(after, inventory):
            await self.tools.storage.write(after, self.tools.accepted())
        else:
            after = inventory
        self.tools.follow(wanted)
        quiet = silent(todo)
        contested |= self.fights.corrected(
            [step.key for step in corrections(todo) if isinstance(outcomes.get(step.key), Applied)], time.monotonic()
        )
        if self.begun is not None:
            outcomes = {**self.begun.applied, **outcomes}
            drift = (*self.begun.drift, *drift)
            self.warnings.extend(self.begun.warnings)
        return Account(
            inventory=after,
            summary=self._summary(todo, outcomes, inventory, after),
            outcomes=outcomes,
            skipped=tuple(step.reason for step in todo.steps() if isinstance(step, Skip)),
            drift=drift,
            warnings=tuple(dict.fromkeys((*self.warnings, *todo.warnings)))[:MAX_LINES],
            contested=tuple(sorted(contested)),
            incomplete=incomplete,
            changed=any(
                not isinstance(each, Applied) or (each.changed and key not in quiet) for key, each in outcomes.items()
            ),
        )

    async def _beforehand(self, rehearsal: Rehearsal) -> Mapping[ObjectKey, Outcome]:
        """Return what is refused beforehand: by the API server where that is wanted (D4), by us where objects would go."""
        options = self.options
        asked = options.mode is Mode.PLAN or options.atomic or options.preflight
        found = await rehearsal.outcomes() if asked else {}
        return found | await unsafe(
            rehearsal.todo, self.sender, self.tools.mapper, always=self.release.rollback is not None
        )

    async def _refuse_fixed(self, rehearsal: Rehearsal, before: Inventory) -> None:
        """Refuse a release of which nothing is written yet, and that cannot be applied whole (E7, H1).

        Raises:
            FixedFieldsError: it names every object that is in the way.
        """
        header, release = before.header, self.release
        if (header.epoch, header.generation) == (release.epoch, release.generation):
            return
        steps = suspects(rehearsal.todo, before.entries, lambda each: may_recreate(each, self.options, healing=False))
        if found := await rehearsal.confirmed(steps):
            raise FixedFieldsError(found)

    def _unwritten(
        self,
        rehearsal: Rehearsal,
        outcomes: Mapping[ObjectKey, Outcome],
        before: Inventory,
        drift: tuple[str, ...],
        incomplete: str,
    ) -> Account:
        """Return the account of a plan that is only told, or that the API server would not take whole."""
        lines = rehearsal.lines() if self.options.mode is Mode.PLAN else ()
        return Account(
            inventory=before,
            summary=rehearsal.summary(outcomes),
            outcomes=outcomes,
            skipped=tuple(step.reason for step in rehearsal.todo.steps() if isinstance(step, Skip)),
            drift=drift,
            warnings=tuple(dict.fromkeys((*lines, *self.warnings)))[:MAX_LINES],
            contested=(),
            incomplete=incomplete,
            changed=False,
        )

    def _summary(
        self, todo: Plan, outcomes: Mapping[ObjectKey, Outcome], before: Inventory, after: Inventory
    ) -> Summary:
        """Return the account of a run; one after which a removal goes on is no end, and nothing is told yet."""
        pruned = self.begun.summary.counts.pruned if self.begun else 0
        found = summary(todo, outcomes, superseded=self.superseded(), pruned=pruned)
        unfinished = self.release.removed and goes_on(self.farewell, before.entries, after.entries)
        if unfinished and found.result is Result.SUCCEEDED:
            return replace(found, result=None, sync=Sync.APPLYING, reason="Removing")
        return found

    def _recreates(self, wanted: Wanted) -> bool:
        return may_recreate(wanted, self.options, healing=self.healing)

    async def _carry_out(
        self, todo: Plan, before: Inventory, refused: dict[ObjectKey, Outcome]
    ) -> Mapping[ObjectKey, Outcome]:
        if not todo.writes:
            return {}
        await self._claim(todo.claim, before)

        async def remember(outcomes: Mapping[ObjectKey, Outcome]) -> None:
            await self.tools.storage.write(settled(todo, outcomes), self.tools.accepted())

        execution = Execution(
            todo,
            Steps(
                session=self.sender,
                mapper=self.tools.mapper,
                observer=self.tools.observer,
                app=self.app,
                pace=self.tools.pace,
                timeout_s=self.options.timeout_s,
                age_s=self.tools.session.clock.age_s,
                fence=self.tools.fence,
                deletes_from=self.tools.deletes_from,
                recreates=self._recreates,
                warn=self.warnings.append,
                remains=Remains(self.sender, self.tools.mapper),
                kinds=Kinds(self.sender, self.tools.mapper, self.tools.pace),
                ignore=self.options.ignore,
                extras=self.options.taken,
                yields=self.options.conflicts is Conflicts.YIELD,
                compat=self.options.compat,
            ),
            self.options,
            superseded=self.superseded,
            healthy=self._healthy,
            remember=remember,
            outcomes=refused,
        )
        await execution.run()
        if self.account is None:
            return execution.outcomes
        return await explained(self.tools.session, self.account, self.tools.mapper, execution.outcomes)

    async def _claim(self, claim: Inventory, before: Inventory) -> None:
        """Write the claim if it says something new, and be sure of the cluster in any case (N5).

        A claim that is bound to what this cluster made is taken by no other: then the cluster need not be asked.
        """
        storage, says = self.tools.storage, _claims(claim, before)
        if not (says and storage.is_bound(claim)):
            await self.tools.confirm()
        if says:
            try:
                await storage.write(claim, self.tools.accepted())
            except StorageError:
                await self.tools.confirm()
                raise

    async def _look(self, wanted: Mapping[ObjectKey, Wanted], inventory: Inventory) -> dict[ObjectKey, Live]:
        """Return the live state of everything that is wanted or was owned."""
        tools = self.tools
        resources = tools.follow({*wanted, *inventory.entries})
        await tools.observer.ready(resources, FIRST_LIST_S)
        looker = Looker(self.sender, tools.session, tools.mapper, tools.observer)
        filled = self._filled(wanted)
        keys = {*wanted, *inventory.entries} - filled.keys()
        return await looker.live(keys, coming=defined_by(wanted.values()).keys()) | filled

    def _filled(self, wanted: Mapping[ObjectKey, Wanted]) -> dict[ObjectKey, Live]:
        """Return the app's own namespace if all that goes there is seen there: nothing will be made in it."""
        found: dict[ObjectKey, Live] = {}
        for key in (key for key, each in wanted.items() if not each.tracked):
            inside = [self.tools.observer.present(each) for each in wanted if each.namespace == key.name]
            if all(live is not None and not live.deleting for live in inside):
                found[key] = Present("")
        return found

    async def _found_again(self) -> dict[ObjectKey, Entry]:
        """Return entries for live objects that carry this app's mark though no inventory knows them (M7)."""
        tools, found = self.tools, dict[ObjectKey, Entry]()
        if self.release.generation > 1:
            return await marked(tools.session, tools.mapper, tools.cluster, self.app)
        for key, live in tools.observer.owned().items():
            resource = tools.mapper.find(key)
            if resource is not None and is_ours(live, self.app, key) and live.agent == tools.cluster:
                found[key] = Entry(key, resource.version, uid=live.uid)
        return found

    async def _incomplete(self) -> str:
        """Return why the picture of the cluster, or of what other apps want, has holes."""
        if self.tools.mapper.unsure:
            return f"the cluster does not say all that it serves: {self.tools.mapper.unsure}"
        unknown = await self.tools.desires.unknown(self.app, DESIRES_S)
        return f"what app {unknown} wants is not known yet" if unknown else ""

    async def _healthy(self, keys: Iterable[ObjectKey], timeout_s: float) -> str:
        """Wait until objects do well, or until one has failed and none is on its way (J5); return which does not."""
        wanted, since = list(keys), time.monotonic()
        fail_fast = self.options.stops
        async with self.turn.aside():
            while True:
                over, bad = waited(wanted, self.tools.observer, Patience(time.monotonic(), since, timeout_s, fail_fast))
                if over or self.superseded():
                    return f"{bad} is not healthy" if bad else ""
                # Nobody tells when one of many objects is well: they are looked at, in memory.
                await asyncio.sleep(self.tools.pace.debounce_s)


def _refused(beforehand: Mapping[ObjectKey, Outcome]) -> dict[ObjectKey, Outcome]:
    return {key: each for key, each in beforehand.items() if isinstance(each, Failed)}


def _claims(claim: Inventory, before: Inventory) -> bool:
    """Tell whether the claim says something that the cluster does not remember yet (M1).

    Healing what was released before needs none: every object is in the inventory, and the numbers are the same.
    """
    quiet = replace(claim.header, attempt=0, settled=True), replace(before.header, attempt=0, settled=True)
    return quiet[0] != quiet[1] or claim.entries != before.entries


def _differs(after: Inventory, before: Inventory) -> bool:
    quiet = replace(after.header, attempt=0), replace(before.header, attempt=0)
    return quiet[0] != quiet[1] or after.entries != before.entries
