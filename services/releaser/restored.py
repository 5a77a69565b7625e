"""Notice that this database is older than what agents have seen: it was restored, and must not sign on as before.

The bus is asked before anything is decided: a release that nobody will publish must not be stated either. Until a person says `hub adopt`, nothing is released, signed or published; then a new epoch stands above everything that was ever signed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, update

from services.releaser.keys import HubKeys
from services.releaser.releasing import EPOCH, RESTORED, Wish, epoch_of, release, sign
from services.releaser.rolling import catch_up
from services.releaser.sign import read_desired
from services.releaser.store import Store, Transaction
from services.releaser.tables import clusters, desired, targets
from shared import subjects
from shared.bus.connection import Bus
from shared.bus.together import each_of
from shared.bus.values import Stored
from shared.errors import PermanentError
from shared.messages.releases import ReleaseState

AT_ONCE = 32
Pair = tuple[int, int]


class NotRestoredError(PermanentError):
    """There is nothing to adopt."""

    code = "releaser.not-restored"


@dataclass(slots=True)
class Restored:
    """The highest pair of counters that somebody knows and we do not; None while we know all."""

    pair: Pair | None = None
    cluster: str = ""

    @property
    def why(self) -> str:
        """Return what people must do."""
        if self.pair is None:
            return ""
        epoch, generation = self.pair
        return f"{self.cluster} knows {epoch}.{generation}, this database is older: run `towline hub adopt`"

    async def load(self, store: Store) -> None:
        """Remember what an earlier run noticed."""
        async with store.reading() as view:
            kept = await view.value(RESTORED)
        if kept:
            self.pair, self.cluster = (int(kept["epoch"]), int(kept["generation"])), str(kept["cluster"])

    async def compare(self, bus: Bus, store: Store, keys: HubKeys) -> None:
        """Read every document on the bus, those of clusters that this database does not know too.

        Raises:
            TransientError: the bus cannot be read now.
        """
        columns = [desired.c[name] for name in ("cluster", "epoch", "generation", "envelope")]
        async with store.reading() as view:
            ours = {row.cluster: row for row in await view.rows(select(*columns))}
        ahead: dict[str, Pair] = {}

        async def look(subject: str) -> None:
            cluster = subjects.token(subject, 1)
            stored = await bus.last(subjects.DESIRED, subject)
            pair = newer_on_bus(stored, ours.get(cluster), keys) if stored else None
            if pair is not None:
                ahead[cluster] = pair

        await each_of(look, await bus.stored_subjects(subjects.DESIRED, subjects.desired("*")), at_once=AT_ONCE)
        if ahead:
            cluster, pair = max(ahead.items(), key=lambda item: item[1])
            await self.notice(store, cluster, pair)

    async def notice(self, store: Store, cluster: str, pair: Pair) -> None:
        """Stop releasing and publishing, and say so."""
        if self.pair is not None and pair <= self.pair:
            return
        first = self.pair is None
        self.pair, self.cluster = pair, cluster
        async with store.deciding() as tx:
            await tx.set_value(RESTORED, {"epoch": pair[0], "generation": pair[1], "cluster": cluster})
            if first:
                tx.say("database-restored", cluster=cluster, severity="error", message=self.why)

    async def adopt(self, tx: Transaction, keys: HubKeys) -> int:
        """Go on above everything that was ever signed: a new epoch, every cluster and target signed anew.

        What was rendered meanwhile is released first, so that each target gets one release of the new epoch.
        What was released between the backup and now is not known, so agents hold all deletions until approved.

        Raises:
            NotRestoredError: nobody knows more than this database.
        """
        if self.pair is None:
            raise NotRestoredError("no agent knows more than this database: there is nothing to adopt")
        epoch = max(await epoch_of(tx), self.pair[0]) + 1
        await tx.set_value(EPOCH, epoch)
        await tx.set_value(RESTORED, None)
        await tx.do(update(targets).values(runs_known=False, seen_epoch=0, seen_generation=0))
        await catch_up(tx, keys)
        rows = await tx.rows(select(targets).where(targets.c.state != "", targets.c.epoch < epoch))
        again = [Wish(row, present=row.state == ReleaseState.PRESENT, again=True) for row in rows]
        await release(tx, again, keys)
        names = {row.cluster for row in await tx.rows(select(clusters.c.cluster))}
        await sign(tx, names - tx.touched, keys)
        return epoch


def newer_on_bus(stored: Stored, row: Any | None, keys: HubKeys) -> Pair | None:
    """Return the counters of a document of ours that the row of its cluster cannot have led to."""
    if row is not None and stored.data == row.envelope:
        return None
    try:
        document = read_desired(stored.data, keys)
    except PermanentError:
        return None  # not ours: whoever wrote it, agents do not believe it
    pair = (document.epoch, document.generation)
    return pair if row is None or pair >= (row.epoch, row.generation) else None
