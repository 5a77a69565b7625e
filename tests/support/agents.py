"""An agent against a real bus and a simulated cluster, with a releaser's pen: tests sign what the agent shall do."""

import asyncio
import secrets
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest
from nacl.signing import SigningKey

from services.applier.identity import FILE, Identity, _bytes
from services.applier.kube.access import Access
from services.applier.service import run_agent
from services.applier.settings import ApplierSettings, Pace
from shared import subjects
from shared.bus.blobs import blob_place
from shared.bus.storing import store_blob
from shared.core import dsse
from shared.core.bundles import bundle_bytes
from shared.core.canonical import digest
from shared.core.objects import key_of
from shared.core.seal import compress, seal
from shared.messages.blobs import BundleRef
from shared.messages.releases import Desired, Instruction, KeySet, Release, ReleaseState, Roster
from shared.messages.renders import Provenance
from shared.messages.reports import Answer, Report, Status
from shared.runtime.lifecycle import Lifecycle
from shared.subjects import REPORTS, STATUS, Durable

WAIT_S = 20.0
QUICK_AGENT = Pace(
    look_s=0.5, heartbeat_s=1.0, coalesce_s=0.05, debounce_s=0.02, probe_s=0.05, refused_s=0.1, wait_kind_s=5.0
)
OPTIONS = {"namespace": "web", "retry": {"first": "0.1s", "max": "1s"}}


def config_map(name, namespace="web", **data):
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace},
        "data": data or {"a": "1"},
    }


@dataclass(frozen=True)
class RealCluster:
    """A cluster that is no simulation, as its agent needs to know it."""

    name: str
    access: Access
    uid: str


def access_to(cluster):
    """Return how a cluster, real or simulated, is reached."""
    if isinstance(cluster, RealCluster):
        return cluster.access
    return Access(server=cluster.url, authorization=f"Bearer {cluster.token}")


def uid_of(cluster):
    if isinstance(cluster, RealCluster):
        return cluster.uid
    return cluster.store.get("v1", "Namespace", "", "kube-system")["metadata"]["uid"]


class Pen:
    """Signs for one cluster what the releaser would, and reads what its agent tells."""

    def __init__(self, bus, cluster, folder, server):
        self.root, self.key = SigningKey.generate(), SigningKey.generate()
        self.hub = sha256(bytes(self.root.verify_key)).hexdigest()
        self.bus, self.cluster, self.folder, self.server = bus, cluster, folder, server
        self.epoch, self.generation = 1, 0
        self.releases: dict[str, Release] = {}
        self.reports: list[Report] = []
        self.answers: list[Answer] = []
        self.status: Status | None = None
        self.news = asyncio.Condition()
        self.known: dict[str, set[str]] = {}
        self.wait_s = WAIT_S

    def key_set(self, *keys, version=1, revoked=()):
        public = [bytes(each.verify_key) for each in keys or (self.key,)]
        document = KeySet(
            hub=self.hub,
            root=bytes(self.root.verify_key).hex(),
            version=version,
            keys={dsse.key_id_of(each): each.hex() for each in public},
            revoked=revoked,
        )
        return dsse.signed(dsse.KEY_SET, document.to_bytes(), self.root).decode()

    async def release(self, app, objects=(), *, generation=None, removed=False, deletes=None, publish=True, **fields):
        """Release `objects` as `app`, and publish unless more shall come in the same document."""
        known = self.known.setdefault(app, set())
        keys = {str(key_of(each)) for each in objects}
        before = self.releases.get(app)
        number = generation or (before.generation + 1 if before else 1)
        bundle = None if removed else await self._bundle(objects)
        last = (before.bundle or before.last) if removed and before else None
        fields.setdefault("options", OPTIONS)
        self.releases[app] = Release(
            app=app,
            epoch=self.epoch,
            generation=number,
            state=ReleaseState.REMOVED if removed else ReleaseState.PRESENT,
            bundle=bundle,
            last=last,
            deletes=tuple(sorted(known - keys if deletes is None else deletes)),
            provenance=(Provenance(source="fleet", repository="r", ref="refs/heads/main", commit=f"{number:040x}"),),
            **fields,
        )
        known |= keys
        if publish:
            await self.publish()

    async def change(self, app, **fields):
        self.releases[app] = self.releases[app].model_copy(update=fields)
        await self.publish()

    async def _bundle(self, objects):
        content = bundle_bytes(objects)
        sealed = seal(content, b"secret")
        blob = await store_blob(self.bus, blob_place(subjects.SHARED), sealed.data)
        return BundleRef(
            digest=digest(content),
            size=len(content),
            objects=len(objects),
            blob=blob.model_copy(update={"key": sealed.key.hex()}),
        )

    async def publish(self, *, suspend=None, generation=None):
        self.generation = generation or self.generation + 1
        await self.send(await self.envelope(suspend=suspend))

    async def envelope(self, *, key=None, **fields):
        stored = compress(Roster(cluster=self.cluster, releases=self.releases).to_bytes())
        roster = await store_blob(self.bus, blob_place(self.cluster), stored)
        key = key or self.key
        document = Desired(
            hub=self.hub,
            cluster=self.cluster,
            epoch=self.epoch,
            generation=self.generation,
            roster=roster,
            created=datetime.now(UTC),
            key=dsse.key_id_of(bytes(key.verify_key)),
            **fields,
        )
        return dsse.signed(dsse.DESIRED, document.to_bytes(), key)

    async def send(self, envelope):
        await self.bus.publish(subjects.desired(self.cluster), envelope)

    async def instruct(self, verb, *, number="", **arguments):
        told = Instruction(
            id=number or secrets.token_hex(8),
            hub=self.hub,
            cluster=self.cluster,
            verb=verb,
            arguments=arguments,
            expires=datetime.now(UTC) + timedelta(minutes=1),
        )
        await self.bus.send(subjects.instruct(self.cluster), dsse.signed(dsse.INSTRUCTION, told.to_bytes(), self.key))
        return told.id

    async def reported(self, app="web", *, generation=None, **facts):
        """Wait for a report that says this, and return it."""

        def says(report):
            return (
                report.app == app
                and (generation is None or report.generation == generation)
                and all(getattr(report, name) == value for name, value in facts.items())
            )

        return await self.until(lambda: next((each for each in self.reports if says(each)), None))

    async def stands(self, app, **facts):
        """Wait until the status says this of an app."""

        def says():
            found = self.status and self.status.apps.get(app)
            return found and all(getattr(found, name) == value for name, value in facts.items())

        await self.until(says)

    async def until(self, told):
        """Wait until `told` returns something true about what was heard, and return that."""
        async with asyncio.timeout(self.wait_s), self.news:
            while not (found := told()):
                await self.news.wait()
            return found

    async def answered(self, number):
        """Wait for the answer to an instruction, and return it."""
        return await self.until(lambda: next((each for each in self.answers if each.id == number), None))

    async def hear(self, bus):
        """Read reports and statuses until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(bus.consume(Durable(REPORTS, "auditor"), self._reported))
            tasks.create_task(bus.consume(Durable(STATUS, "auditor"), self._status))

    async def _reported(self, delivery):
        if subjects.token(delivery.subject, 1) != self.cluster:
            return
        if delivery.subject.endswith(".answer"):
            self.answers.append(Answer.from_bytes(delivery.data))
        else:
            self.reports.append(Report.from_bytes(delivery.data))
        await self._tell()

    async def _status(self, delivery):
        if subjects.token(delivery.subject, 1) == self.cluster:
            self.status = Status.from_bytes(delivery.data)
            await self._tell()

    async def _tell(self):
        async with self.news:
            self.news.notify_all()

    def settings(self, sim, **changes):
        return replace(
            ApplierSettings(
                access=access_to(sim),
                data=self.folder / f"agent-{self.cluster}",
                pace=QUICK_AGENT,
            ),
            **changes,
        )

    def enrol(self, sim, *, credentials=None, bus=None):
        """Write the identity that enrolling would have left."""
        credentials = credentials or self.server.agent(self.cluster)
        identity = Identity(
            cluster=self.cluster,
            hub=self.hub,
            url="http://127.0.0.1:1",
            seed=credentials.seed,
            digest_key="11" * 32,
            user_jwt=credentials.jwt,
            expires=(datetime.now(UTC) + timedelta(days=1)).isoformat(),
            key_set=self.key_set(),
            bus=(bus or self.server.url,),
            uid=uid_of(sim),
        )
        folder = self.folder / f"agent-{self.cluster}"
        folder.mkdir(exist_ok=True)
        (folder / FILE).write_bytes(_bytes(identity))


@asynccontextmanager
async def running(settings):
    """Run an agent; leaving the block stops it as SIGTERM would."""
    life = Lifecycle()
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(run_agent(settings, life))
        try:
            yield task
        finally:
            life.stopping.set()


@asynccontextmanager
async def killed_agent(settings):
    """Run an agent; leaving the block cancels it wherever it is, as a kill would, but that it gives its lease up."""
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(run_agent(settings, Lifecycle()))
        try:
            yield task
        finally:
            task.cancel()


async def eventually(check):
    """Wait for a change in a simulated cluster, which tells nobody."""
    async with asyncio.timeout(WAIT_S):
        while not check():  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.01)


@asynccontextmanager
async def holding_pen(bus_server, cluster, folder):
    """Yield the pen for a cluster, which hears its reports; its agent is enrolled, not running."""
    async with bus_server.bus("releaser") as releaser, bus_server.bus("auditor") as auditor:
        await releaser.wait_connected()
        made = Pen(releaser, cluster.name, folder, bus_server)
        made.enrol(cluster)
        async with asyncio.TaskGroup() as tasks:
            hearing = tasks.create_task(made.hear(auditor))
            yield made
            hearing.cancel()


@pytest.fixture
async def pen(bus_server, sim, tmp_path):
    """The pen for the one simulated cluster; its agent is enrolled, not running."""
    async with holding_pen(bus_server, sim, tmp_path) as made:
        yield made


@pytest.fixture
async def agent(pen, sim):
    """The agent of the simulated cluster, running."""
    async with running(pen.settings(sim)):
        yield pen
