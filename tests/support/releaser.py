"""A releaser's decisions over a real database, without a bus."""

from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import select

from services.releaser import intake, registering, reporting, service, steering
from services.releaser.commands import Commands, Parts
from services.releaser.keys import load_or_make
from services.releaser.membership import arrive
from services.releaser.registry import Rules
from services.releaser.restored import Restored
from services.releaser.sign import read_desired
from services.releaser.store import Store
from services.releaser.tables import desired, outbox, targets
from shared.bus.identities import BusKeys
from shared.core.canonical import decode
from shared.core.seal import compress, decompressed
from shared.core.status import Health, Result, Sync
from shared.messages.blobs import BlobRef, BundleRef
from shared.messages.facts import Command, Fact
from shared.messages.releases import Membership
from shared.messages.renders import (
    AppPart,
    DeclaredCluster,
    FleetPart,
    Problem,
    Provenance,
    Rendered,
    RenderListing,
    TargetRender,
)
from shared.messages.reports import Report, Status

START = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
FAILED = "failed"
KEYS = {
    "a": ("/ConfigMap:web/one", "/ConfigMap:web/two"),
    "b": ("/ConfigMap:web/two", "/ConfigMap:web/three"),
    "c": ("/ConfigMap:web/four",),
}


def dg(name):
    return (name.encode().hex() * 64)[:64]


def bundle(name, *, blob="", keys=True):
    listed = compress("\n".join(KEYS.get(name, ())).encode())
    return BundleRef(
        digest=dg(name),
        size=10,
        objects=1,
        blob=BlobRef(digest=dg(blob or f"{name}s"), bytes=10, key="00" * 32),
        keys=BlobRef(digest=dg(f"{name}k"), bytes=len(listed)) if keys else None,
    )


def fleet(clusters_, *, rollouts_=None, default="", unreadable=(), accept=(), approve=()):
    """`clusters_`: name → labels."""
    return FleetPart(
        clusters=tuple(DeclaredCluster(name=name, labels=labels) for name, labels in clusters_.items()),
        rollouts=rollouts_ or {},
        default_rollout=default,
        unreadable_clusters=unreadable,
        claims_accept=accept,
        claims_approve=approve,
    )


def rendered(
    number, wanted, *, source="fleet", complete=True, part=None, apps=None, version=0, blobs=None, options=None
):
    """`wanted`: (cluster, app) → name of a bundle, or FAILED; `apps`: app → readable, default those of `wanted`."""
    names = sorted({name for name in wanted.values() if name != FAILED})
    listed = apps if apps is not None else {app: True for _, app in wanted}
    problem = Problem(code="yaml.syntax", message="wrong", file="x.yaml", line=1)
    listing = RenderListing(
        fleet=part,
        apps=tuple(
            AppPart(name=app, namespace="web", readable=good, options=options or {"prune": True})
            for app, good in listed.items()
        ),
        bundles={dg(name): bundle(name, blob=(blobs or {}).get(name, "")) for name in names},
        targets=tuple(
            TargetRender(cluster=cluster, app=app, bundle=dg(name), provenance=(0,))
            if name != FAILED
            else TargetRender(cluster=cluster, app=app, problems=(problem,), provenance=(0,))
            for (cluster, app), name in wanted.items()
        ),
    )
    place = {"source": source, "repository": "https://git.example.org/x.git", "ref": "refs/heads/main"}
    return Rendered(
        source=source,
        number=number,
        commit=f"{number:02x}" * 20,
        ref="refs/heads/main",
        tree="7" * 40,
        complete=complete,
        clusters_version=version,
        provenance=(Provenance(**place, commit=f"{number:02x}" * 20),),
        listing=listing,
        started_at=START,
        finished_at=START,
    )


class Line:
    """The releaser's database, and what others do to it."""

    def __init__(self, store, parts, clock):
        self.store, self.parts, self.clock = store, parts, clock
        self.commands = Commands(store, parts, service.VERBS)
        self._said = 0

    async def join(self, *names, labels=None):
        """Have clusters join by their names, as if each had enrolled."""
        async with self.store.deciding() as tx:
            stored = await registering.stored_rows(tx, names)
            for name in names:
                row = stored.get(name) or registering.new_row(name)
                joined = {"membership": Membership.JOINED, "uid": f"uid-{name}", "public_key": f"U{name}"}
                row = {**row, **joined, "jwt_at": "9", "hub_labels": labels or {}}
                await registering.recount(tx, [row], Rules(), asked=bool(labels))
                await arrive(tx, name, self.parts.keys)

    async def take(self, message):
        lists = {
            digest: compress("\n".join(KEYS.get(bytes.fromhex(digest)[:1].decode(), ())).encode()) if ref.keys else None
            for digest, ref in message.listing.bundles.items()
        }
        async with self.store.deciding() as tx:
            return await intake.take(tx, message, message.listing, lists, self.parts.keys)

    async def rows(self, table, *where):
        async with self.store.reading() as view:
            return [dict(row._mapping) for row in await view.rows(select(table).where(*where))]

    async def roster(self, cluster):
        """Return app → release of a cluster's signed document."""
        row = (await self.rows(desired, desired.c.cluster == cluster))[0]
        document = read_desired(row["envelope"], self.parts.keys)

        assert (document.epoch, document.generation) == (row["epoch"], row["generation"])
        assert document.roster.digest == row["roster"]

        return decode(b"".join(decompressed(row["roster_bytes"], 1 << 24)))["releases"]

    async def running(self):
        """Return (cluster, app) → bundle's name of what is released as present, "" for a tombstone."""
        rows = await self.rows(targets, targets.c.state != "")
        return {(r["cluster"], r["app"]): bytes.fromhex(r["released"] or "")[:1].decode() for r in rows}

    async def counters(self):
        rows = await self.rows(targets)
        return {(row["cluster"], row["app"]): (row["epoch"], row["generation"]) for row in rows if row["generation"]}

    async def facts(self, *kinds):
        """Return the facts since the last question, of these types."""
        rows = await self.rows(outbox, outbox.c.position > self._said)
        self._said = max([self._said, *(row["position"] for row in rows)])
        found = [Fact.from_bytes(row["body"]) for row in rows if ".fact." in row["subject"]]
        return [fact for fact in found if not kinds or fact.type in kinds]

    async def asked_poller(self):
        """Return what the poller was asked for, once the bus has the index of clusters."""
        async with self.store.deciding() as tx:
            said, version, _ = await registering.untold(tx)
            await registering.told(tx, said, version)
        rows = await self.rows(outbox)
        return [Command.from_bytes(row["body"]) for row in rows if ".command.poller." in row["subject"]]

    async def report(self, cluster, app, **fields):
        """Report the present release of a target as succeeded and healthy, or as `fields` say."""
        row = (await self.rows(targets, targets.c.cluster == cluster, targets.c.app == app))[0]
        good = {"result": Result.SUCCEEDED, "sync": Sync.SYNCED, "health": Health.CURRENT, "settled": True}
        counters = {"epoch": row["epoch"], "generation": row["generation"]}
        report = Report(
            id=f"{cluster}-{app}-{self.clock()}",
            session="s",
            counter=1,
            cluster=cluster,
            app=app,
            started_at=self.clock(),
            finished_at=self.clock(),
            **{**good, **counters, **fields},
        )
        async with self.store.deciding() as tx:
            await reporting.take_reports(tx, [(report, self.clock())], self.parts.keys)

    async def status(self, cluster, pair, apps=None, **fields):
        """Have an agent say its state; `apps`: app → AppStatus."""
        status = Status(
            cluster=cluster,
            session="s",
            counter=1,
            agent="0.1",
            epoch=pair[0],
            generation=pair[1],
            apps=apps or {},
            at=self.clock(),
            **fields,
        )
        async with self.store.deciding() as tx:
            ahead = await reporting.take_statuses(tx, [(status, self.clock())], self.parts.keys)
        for name, told in ahead:
            await self.parts.restored.notice(self.store, name, told)

    async def pass_time(self, **duration):
        self.clock.pass_(**duration)
        async with self.store.deciding() as tx:
            await steering.pass_time(tx, self.parts.keys)

    async def command(self, verb, command_id="", **arguments):
        """Give a command and return its answer."""
        command = Command(
            id=command_id or f"{verb}-{self.clock()}", verb=verb, arguments=arguments, actor="ada", at=self.clock()
        )
        before = len(await self.rows(outbox))
        await self.commands.carry_out(command)
        rows = (await self.rows(outbox))[before:]
        found = [Fact.from_bytes(row["body"]) for row in rows if row["subject"].endswith("command-done")]
        return next(fact for fact in found if fact.command == command.id)


class Clock:
    """A clock that goes on by a millisecond a look, and as tests want it."""

    def __init__(self):
        self.now = START

    def __call__(self):
        self.now += timedelta(milliseconds=1)
        return self.now

    def pass_(self, **duration):
        self.now += timedelta(**duration)


@cache
def the_keys():
    """One hub's keys for all tests: making them syncs many files."""
    with TemporaryDirectory() as folder:
        return load_or_make(Path(folder)), BusKeys.load_or_make(Path(folder) / "bus")


@asynccontextmanager
async def a_registry(folder):
    clock = Clock()
    parts = Parts(*the_keys(), Restored(), lambda: "http://hub", ("nats://bus",))
    async with Store.open(f"sqlite+aiosqlite:///{folder / 'releaser.db'}", clock) as store:
        await parts.restored.load(store)
        yield Line(store, parts, clock)
