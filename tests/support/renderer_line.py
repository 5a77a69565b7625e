"""A running renderer behind a running poller, and what the programs behind it would read."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from services.renderer.service import serve
from services.renderer.settings import RendererSettings
from shared import subjects
from shared.bus.blobs import blob_place, fetch_blob
from shared.bus.connection import Bus
from shared.core.bundles import objects_of
from shared.core.canonical import decode
from shared.core.seal import decompressed, unseal
from shared.messages.releases import Cluster, ClusterIndex, Membership
from shared.messages.renders import Rendered, RenderListing
from shared.runtime.lifecycle import Lifecycle
from tests.support.bus import BusServer
from tests.support.poller_line import polling

DEADLINE_S = 30.0
LIMIT = 1 << 27


@dataclass
class Renders:
    """What a renderer says, in order."""

    bus: Bus
    """With the credentials of the releaser."""
    reader: Bus
    """With the credentials of the renderer, which may read every blob of the hub."""
    rendered: asyncio.Queue[Rendered] = field(default_factory=lambda: asyncio.Queue(maxsize=1000))

    async def at(self, commit, *, complete=True) -> Rendered:
        """Return the next render of a commit."""
        async with asyncio.timeout(DEADLINE_S):
            while (found := await self.rendered.get()).commit != commit or found.complete != complete:
                pass
        return found

    async def listing(self, rendered: Rendered) -> RenderListing:
        if rendered.listing is not None:
            return rendered.listing
        packed = await fetch_blob(self.bus, blob_place(subjects.HUB), rendered.listing_blob, limit_bytes=LIMIT)
        return RenderListing.model_validate(decode(b"".join(decompressed(packed, LIMIT))))

    async def targets(self, rendered: Rendered) -> dict[tuple[str, str], list | str]:
        """Return by (cluster, app): the names of the objects, or the first problem as `file:line code`."""
        listing = await self.listing(rendered)
        return {
            (target.cluster, target.app): await self._objects(listing.bundles[target.bundle])
            if target.bundle
            else f"{target.problems[0].file}:{target.problems[0].line} {target.problems[0].code}"
            for target in listing.targets
        }

    async def _objects(self, bundle) -> list[str]:
        sealed = await fetch_blob(self.reader, blob_place(subjects.SHARED), bundle.blob, limit_bytes=LIMIT)
        data = b"".join(unseal(sealed, bytes.fromhex(bundle.blob.key), LIMIT))
        return [f"{each['kind']}/{each['metadata']['name']}" for each in objects_of(data.splitlines())]

    async def clusters(self, version, **labels) -> None:
        """Say which clusters joined, with their labels."""
        index = ClusterIndex(
            version=version,
            clusters=tuple(
                Cluster(cluster=name, membership=Membership.JOINED, labels=own, updated_at=datetime.now(UTC))
                for name, own in labels.items()
            ),
        )
        await self.bus.publish(subjects.cluster(subjects.HUB), index.to_bytes())


def settings(folder, **changes):
    return RendererSettings(data=folder, bus_credentials=folder / "none", **changes)


@asynccontextmanager
async def rendering(server: BusServer, folder, **changes):
    """Run a renderer."""
    life = Lifecycle()
    async with server.bus("renderer") as bus, asyncio.TaskGroup() as tasks:
        tasks.create_task(serve(settings(folder, **changes), bus, life))
        try:
            yield life
        finally:
            life.stopping.set()


@asynccontextmanager
async def line(server: BusServer, folder, *sources, allow=(), deadline_s=60, **changes):
    """Run a poller and a renderer; gives what comes out. Fleets may name repositories below the prefixes `allow`."""
    async with server.bus("releaser") as bus, server.bus("renderer") as reader, asyncio.TaskGroup() as tasks:
        found = Renders(bus, reader)

        async def keep(delivery):
            await found.rendered.put(Rendered.from_bytes(delivery.data))

        tasks.create_task(bus.consume(subjects.Durable(subjects.RENDERED, "releaser"), keep))
        async with (
            polling(server, folder, *sources, allow=tuple(allow), deadline_s=deadline_s),
            rendering(server, folder, **changes),
        ):
            yield found
        bus.stop_intake()
