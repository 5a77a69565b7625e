"""A releaser that runs against a real bus, and the rest of the hub as far as it needs it."""

import asyncio
import hashlib
import secrets
from base64 import b64decode, urlsafe_b64decode
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import uuid4

from nacl.public import PrivateKey, SealedBox
from sqlalchemy import select

from services.releaser import service
from services.releaser.keys import key_set_of
from services.releaser.settings import ReleaserSettings
from services.releaser.store import Store
from shared import subjects
from shared.bus.blobs import agent_place, blob_place, fetch_blob
from shared.bus.identities import agent_credentials, new_user_seed, sign_with_seed
from shared.bus.steward import ensure
from shared.bus.storing import store_blob
from shared.core.canonical import decode, digest
from shared.core.dsse import DESIRED, opened
from shared.core.seal import compress, decompressed, seal
from shared.messages.blobs import BundleRef
from shared.messages.facts import Command, Fact
from shared.messages.releases import Desired, Enrolment
from shared.runtime.lifecycle import Lifecycle
from tests.support.releaser import KEYS, dg

WAIT_S = 20.0


async def until(look):
    """Return the first answer of `look` that is true."""
    async with asyncio.timeout(WAIT_S):
        while True:
            if found := await look():
                return found
            await asyncio.sleep(0.02)


class Hub:
    """The releaser's surroundings: renderer, auditor and agents, as far as they talk with it."""

    def __init__(self, server, folder, connect):
        self.server, self.folder, self.connect = server, folder, connect
        (folder / "keys").mkdir(parents=True, exist_ok=True)

    async def open(self):
        self.renderer = await self.connect("renderer")
        self.auditor = await self.connect("auditor")
        self.steward = await self.connect("steward")

    def settings(self):
        return ReleaserSettings(
            data=self.folder,
            bus_urls=(self.server.url,),
            bus_credentials=self.folder / "unused.json",
            hub_url="http://127.0.0.1:1",
            tick_s=0.1,
        )

    @asynccontextmanager
    async def running(self):
        life = Lifecycle()
        async with self.server.bus("releaser") as bus, asyncio.TaskGroup() as tasks:
            task = tasks.create_task(service.serve(self.settings(), bus, life))
            try:
                yield life
            finally:
                life.stopping.set()
                bus.stop_intake()
                async with asyncio.timeout(WAIT_S):
                    await asyncio.wait({task})

    async def facts(self, *kinds):
        """Return all facts of the releaser on the bus, of these types."""
        info = await self.steward.api("STREAM.INFO.FACTS", {})
        found = []
        for sequence in range(max(1, info["state"]["first_seq"]), info["state"]["last_seq"] + 1):
            stored = await self.steward.stored_at_sequence("FACTS", sequence)
            if stored is not None and ".releaser." in stored.subject:
                found.append(Fact.from_bytes(stored.data))
        return [fact for fact in found if fact.type in kinds] if kinds else found

    async def give(self, verb, **arguments):
        """Give a command and return the fact that answers it."""
        command = Command(id=str(uuid4()), verb=verb, arguments=arguments, actor="ada", at=datetime.now(UTC))
        await self.auditor.publish(subjects.command("releaser", command.id), command.to_bytes())

        async def answered():
            return next((fact for fact in await self.facts("command-done") if fact.command == command.id), None)

        return await until(answered)

    async def token(self, cluster, **arguments):
        key = PrivateKey.generate()
        fact = await self.give("cluster-add", cluster=cluster, reply_key=bytes(key.public_key).hex(), **arguments)
        text = SealedBox(key).decrypt(b64decode(fact.data["result"]["sealed"])).decode()
        return decode(urlsafe_b64decode(text + "=" * (-len(text) % 4)))

    async def join(self, cluster, **arguments):
        """Have an agent join, and return it."""
        token = await self.token(cluster, **arguments)
        agent = Agent(self, cluster, token)
        answer = await self.give("enrol", **agent.enrolment(token["secret"]))

        assert answer.data["ok"], answer.message

        agent.keep(Enrolment.model_validate(answer.data["result"]))
        return agent

    async def bundle(self, name, *, store=True):
        """Return the reference of a bundle, stored on the bus or not."""
        sealed = seal(f"content of {name}".encode(), b"s" * 32)
        listed = compress("\n".join(KEYS[name]).encode())
        keys = await store_blob(self.renderer, blob_place(subjects.HUB), listed)
        if store:
            blob = await store_blob(self.renderer, blob_place(subjects.SHARED), sealed.data)
        else:
            blob = keys.model_copy(update={"digest": digest(sealed.data), "bytes": len(sealed.data)})
        blob = blob.model_copy(update={"key": sealed.key.hex()})
        return BundleRef(digest=dg(name), size=10, objects=1, blob=blob, keys=keys)

    async def render(self, message, *, store=True):
        """Publish a render whose bundles are on the bus, or not."""
        names = [bytes.fromhex(each)[:1].decode() for each in message.listing.bundles]
        found = {dg(name): await self.bundle(name, store=store) for name in names}
        listing = message.listing.model_copy(update={"bundles": found})
        message = message.model_copy(update={"listing": listing})
        await self.renderer.publish(subjects.rendered(message.source), message.to_bytes())

    async def desired(self, cluster):
        """Return the bytes of a cluster's document on the bus, None while there is none."""
        stored = await self.steward.last("DESIRED", subjects.desired(cluster))
        return stored.data if stored else None

    async def rows(self, table):
        """Return what stands in a table of the database."""
        async with Store.open(self.settings().database_url) as store, store.reading() as view:
            return await view.mappings(select(table))

    def backup(self):
        """Return the database of a releaser that stopped."""
        return (self.folder / "releaser.db").read_bytes()

    def restore(self, backup):
        """Put the database of an earlier time in the place of the present one."""
        for path in self.folder.glob("releaser.db*"):
            path.unlink()
        (self.folder / "releaser.db").write_bytes(backup)

    async def wipe(self):
        """Lose everything on the bus, and make it again."""
        names = (await self.steward.api("STREAM.NAMES", {}))["streams"]
        for name in names:
            await self.steward.api(f"STREAM.DELETE.{name}", {})
        return await ensure(self.steward)


class Agent:
    """What an agent does about its identity, and what it reads with it."""

    def __init__(self, hub, cluster, token, uid=""):
        self.hub, self.cluster, self.token = hub, cluster, token
        self.seed, self.public = new_user_seed()
        self.uid = uid or f"uid-{cluster}"
        self.enrolled = None

    def enrolment(self, secret, **more):
        nonce = secrets.token_hex(8)
        hashed = hashlib.sha256(secret.encode()).hexdigest()
        said = f"towline-enrol:{self.cluster}:{nonce}:{hashed}".encode()
        return {
            "cluster": self.cluster,
            "secret_hash": hashed,
            "public_key": self.public,
            "nonce": nonce,
            "proof": sign_with_seed(self.seed, said).hex(),
            "uid": self.uid,
            **more,
        }

    def keep(self, enrolled):
        self.enrolled = enrolled
        self.keys = key_set_of(enrolled.key_set.encode(), self.token["root"])

    def credentials(self):
        return agent_credentials(self.cluster, self.enrolled.user_jwt, self.seed)

    async def reads(self, bus, app="", bundle=""):
        """Return the verified document and the roster, once it has an app at this bundle."""

        async def there():
            stored = await bus.request(subjects.get(self.cluster))
            if stored is None:
                return None
            keys = {name: bytes.fromhex(key) for name, key in self.keys.keys.items()}
            document = Desired.from_bytes(opened(DESIRED, stored.data, keys).body)
            data = await fetch_blob(bus, agent_place(self.cluster), document.roster, limit_bytes=1 << 20)
            releases = decode(b"".join(decompressed(data, 1 << 20)))["releases"]
            found = (releases.get(app) or {}).get("bundle") or {}
            return (document, releases) if not app or found.get("digest") == dg(bundle) else None

        return await until(there)
