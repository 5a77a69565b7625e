"""One cluster, the lives of its agents, and a witness who sees every request of theirs.

An agent here is all that serves a cluster but its connection to the bus: lease, inventories, watches, targets and runs.
The witness knows what was released, and fails at the first write that nobody allowed.
"""

import asyncio
import gzip
import random
from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import orjson

from services.applier.alarms import Alarms
from services.applier.cluster import cluster_here, confirm_cluster
from services.applier.company import Company
from services.applier.content import BUNDLES, Content
from services.applier.decryption import Decryption
from services.applier.documents import Blob, Bundle, ReleaseDocument
from services.applier.events import Events
from services.applier.inventory import Storage
from services.applier.kube.mapper import Mapper
from services.applier.lease import Lease
from services.applier.observe import Observer
from services.applier.redact import Redaction
from services.applier.settings import Pace
from services.applier.state import Header, Inventory
from services.applier.target import Target
from services.applier.tenancy import LocalPolicy
from services.applier.tools import Desires, Tools
from services.applier.verify import Accepted
from services.kubesim.birth import bear
from services.kubesim.cluster import ClusterState
from services.kubesim.handle import Objects
from services.kubesim.requests import place_of
from services.kubesim.store import Name
from shared.core.bundles import bundle_bytes
from shared.core.canonical import digest
from shared.core.objects import ObjectKey, key_of
from shared.core.seal import seal
from shared.errors import TransientError
from shared.runtime.lifecycle import Lifecycle
from tests.support.direct import DirectSession

CLUSTER, HOME = "c1", "towline"
PACE = Pace(probe_s=0.5, wait_kind_s=5.0)
OPTIONS = {"namespace": "shop", "timeout": "20s", "retry": {"first": "1s", "max": "4s"}}
KEEPS = "towline.dev/prune"


class Pantry:
    """Keeps bundles, as a data folder would."""

    def __init__(self):
        self._kept = {}

    async def read(self, name):
        return self._kept.get(name)

    async def write(self, name, data):
        self._kept[name] = data
        return True


@dataclass
class World:
    """A cluster, what is released to it, and the agent that lives now."""

    state: ClusterState = field(default_factory=lambda: bear(ClusterState(CLUSTER)))
    pantry: Pantry = field(default_factory=Pantry)
    releases: dict[str, ReleaseDocument] = field(default_factory=dict)
    wanted: dict[str, dict[ObjectKey, dict]] = field(default_factory=dict)
    known: dict[str, set[ObjectKey]] = field(default_factory=dict)
    before: dict[str, ReleaseDocument] = field(default_factory=dict)
    """What an app was released as when something newer came during its run, until that ends."""
    approved: set[ObjectKey] = field(default_factory=set)
    strangers: dict[ObjectKey, dict] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    """Apps whose inventory somebody deleted."""
    holds: dict[str, object] = field(default_factory=dict)
    told: list = field(default_factory=list)
    log: list = field(default_factory=list)
    fates: dict[int, object] = field(default_factory=dict)
    """What becomes of the n-th request from now; a function is called when it arrives."""
    wrongs: list[str] = field(default_factory=list)
    """Writes that nobody allowed."""
    refuses: Callable = lambda _: None
    """What is answered to a request at any time."""
    life: asyncio.Task | None = None
    targets: dict[str, Target] = field(default_factory=dict)
    _dead: bool = True
    _tasks: asyncio.TaskGroup | None = None
    """While an agent serves."""
    _death: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self):
        self.store = Objects(self.state)

    # What people and other tools do.

    def put_stranger(self, manifest):
        """Make an object that is nobody's business but its owner's."""
        self.store.create(manifest)
        key = key_of(manifest)
        self.strangers[key] = self.live(key)

    def live(self, key):
        """Return an object as it is stored now."""
        resource = next(
            each for each in self.state.catalogue.resources if (each.group, each.kind) == (key.group, key.kind)
        )
        stored = self.state.store.get(resource.storage, Name(key.namespace, key.name))
        return stored.decode() if stored else None

    def lose_inventory(self, app):
        name = f"towline-inventory-{app}-0"
        if self.store.get("v1", "Secret", HOME, name):
            self.store.delete("v1", "Secret", HOME, name)
            self.lost.add(app)

    @staticmethod
    def owner(live):
        """Return what our mark says on a live object."""
        return (live["metadata"].get("annotations") or {}).get("towline.dev/owner", "")

    def inventory(self, app):
        """Return the UIDs that an app's inventory holds, by key."""
        secret = self.store.get("v1", "Secret", HOME, f"towline-inventory-{app}-0")
        if secret is None:
            return {}
        document = orjson.loads(gzip.decompress(b64decode(secret["data"]["inventory"])))
        return {ObjectKey(*row[:4]): row[5] for row in document["entries"]}

    # What the releaser does.

    def release(self, app, manifests, *, removed=False, approval="", options=OPTIONS):
        """Release `manifests` as an app."""
        before = self.releases.get(app)
        number = before.generation + 1 if before else 1
        wanted = {key_of(each): each for each in manifests}
        ever = self.known.setdefault(app, set())
        content = bundle_bytes(manifests)
        sealed = seal(content, b"secret")
        blob = Blob(digest(sealed.data), len(sealed.data), sealed.key.hex())
        self.pantry._kept[f"{BUNDLES}/{blob.digest}"] = sealed.data
        bundle = None if removed else Bundle(digest(content), len(content), len(manifests), blob)
        deletes = frozenset(str(key) for key in ever - wanted.keys())
        self.wanted[app] = wanted
        ever.update(wanted)
        for name in [each for each, target in self.targets.items() if target.running and each in self.releases]:
            self.before.setdefault(name, self.releases[name])
        self.releases[app] = ReleaseDocument(
            app, 1, number, removed=removed, bundle=bundle, deletes=deletes, options=options, approval=approval
        )
        if self._tasks is not None:
            self._give(app)

    def again(self, app, approval=""):
        """Release the same once more, with a person's approval of what was held."""
        release = self.releases[app]
        self.release(app, list(self.wanted[app].values()), removed=release.removed, approval=approval)

    def approve(self, app):
        held = self.holds.pop(app)
        self.approved |= set(held.keys)
        self.again(app, held.approval)

    def unfinished(self):
        """Return the apps whose newest release did not come to an end yet."""
        ended = {(app, number) for app, number, summary in self.told if summary.result in {"succeeded", "partial"}}
        return [app for app, release in self.releases.items() if (app, release.generation) not in ended]

    # The agent.

    def _give(self, app):
        self._tools.company.meet(self.releases)
        target = self.targets.get(app)
        if target is None:
            target = self._add(Inventory(Header(app)))
        target.give(self.releases[app], "k", None)

    def _add(self, inventory):
        target = self.targets[inventory.header.app] = Target(self._tools, inventory)
        self._tasks.create_task(target.work())
        return target

    def start(self):
        """Begin the next agent's life."""
        self._dead, self._death = False, asyncio.Event()
        self.life = asyncio.get_running_loop().create_task(self._live())

    async def kill(self):
        """End the agent as SIGKILL would: nothing is sent any more."""
        self._dead = True
        if self.life is not None:
            self.life.cancel()
            await asyncio.wait([self.life])
            self.life = None
        self.targets.clear()
        self.before.clear()

    async def passes(self, seconds):
        """Let time pass; an agent that a fate killed is buried."""
        death = asyncio.ensure_future(self._death.wait())
        watched = {death, *([self.life] if self.life else [])}
        done, _ = await asyncio.wait(watched, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if self.life in done:
            self.life.result()
        if death in done:
            await self.kill()
        death.cancel()

    async def _live(self):
        session = DirectSession(self.state, self._meet)
        lease = Lease(session, HOME, f"agent{random.random()}", PACE)
        life = Lifecycle()
        while True:
            try:
                here = await cluster_here(session, HOME, "test", {})
                await lease.acquire(life)
                await self._serve(session, lease, life, here)
            except* TransientError:  # a lost lease is one
                await asyncio.sleep(1.0)

    async def _serve(self, session, lease, life, here):
        storage, mapper = Storage(session, HOME, lease.fence), Mapper(session)
        known = await storage.load()
        await mapper.refresh()
        observer = Observer(session, CLUSTER, self._noticed)
        self._tools = Tools(
            cluster=CLUSTER,
            home=HOME,
            session=session,
            mapper=mapper,
            observer=observer,
            storage=storage,
            content=Content(CLUSTER, self.pantry),
            reporter=self,
            events=Events(session, HOME, lease.fence, storage.reference),
            desires=Desires(),
            company=Company(self.targets),
            alarms=Alarms(session, mapper),
            pace=PACE,
            digest_key=b"1" * 32,
            redaction=Redaction(b"1" * 32),
            decryption=Decryption("", HOME),
            damaged=known.damaged,
            fence=lease.fence,
            confirm=lambda: confirm_cluster(session, here.uid),
            deletes_from=lambda: lease.deletes_from,
            accepted=Accepted,
            changed=lambda: None,
            policy=LocalPolicy(),
            stopping=lambda: False,
            bus=None,
        )
        self.targets.clear()
        try:
            async with asyncio.TaskGroup() as self._tasks:
                observer.start(self._tasks)
                for inventory in known.inventories.values():
                    self._add(inventory)
                for app in self.releases:
                    self._give(app)
                self._tasks.create_task(lease.keep(life))
        finally:
            self._tasks = None

    def _noticed(self, key):
        for target in self.targets.values():
            target.noticed(key)
        self._tools.company.noticed(key)

    async def run_ended(self, target, release, account, *_):
        """Hear what a run came to."""
        self.before.pop(target.app, None)
        self.told.append((target.app, release.generation, account.summary))
        self.holds.pop(target.app, None)
        if account.summary.hold and release == self.releases[target.app]:
            waiting = [each for each in self.known[target.app] if str(each) in account.summary.hold.keys]
            self.holds[target.app] = replace(account.summary.hold, keys=tuple(waiting))

    async def refused(self, target, _, error, *__):
        raise AssertionError(f"{target.app} was refused: {error}")

    # The witness.

    async def _meet(self, request):
        if self._dead:
            await asyncio.Event().wait()
        if request.verb != "GET" and "dryRun" not in request.query:
            try:
                self._judge(request)
            except AssertionError as wrong:
                self.wrongs.append(str(wrong))  # the agent would keep it with its object, as it does any bug (E12)
        self.log.append((request.verb, request.path))
        self.fates = {number - 1: fate for number, fate in self.fates.items() if number}
        fate = self.fates.get(-1)
        if callable(fate):
            fate = fate()
        if fate in {"killed", "killed before"}:
            self._dead = True
            self._death.set()
        if fate == "killed before":
            await asyncio.Event().wait()
        return fate or self.refuses(request)

    def _judge(self, request):
        place = place_of(request.path)
        resource = self.state.catalogue.find(place.group, place.version, place.plural)
        key = ObjectKey(resource.group, resource.kind, place.namespace, place.name)
        if HOME in {key.namespace, key.name if key.kind == "Namespace" else ""}:
            assert key.kind in {"Namespace", "Lease", "Event"} or key.name.startswith("towline-inventory-"), key
            return
        assert key not in self.strangers, f"{request.verb} of {key}, which is somebody else's"
        apps = [app for app, known in self.known.items() if key in known]
        spaces = {each.namespace for known in self.known.values() for each in known}
        assert apps or (key.kind == "Namespace" and key.name in spaces), f"{request.verb} of {key}, which nobody wanted"
        if request.verb == "DELETE":
            self._judge_deletion(key, orjson.loads(request.body))

    def _judge_deletion(self, key, body):
        uid = body["preconditions"]["uid"]
        live = self.live(key)
        if live is None or live["metadata"]["uid"] != uid:
            return  # it takes no effect: that is what the precondition is for
        notes = live["metadata"].get("annotations") or {}
        owner, _, rest = self.owner(live).partition(":")
        assert rest == str(key), f"I6: {key} is not ours: {notes}"
        assert self.inventory(owner).get(key) == uid, f"I6: {key} is not in the inventory of {owner}"
        permits = [each for each in (self.releases[owner], self.before.get(owner)) if each]
        expected = any(str(key) in each.deletes for each in permits) or key in self.approved
        assert expected, f"I6: nobody expected {key} to go"
        assert owner in self.before or not any(key in each for each in self.wanted.values()), f"F1: {key} is wanted"
        assert notes.get(KEEPS) != "disabled", f"F4: {key} asks to be kept"
