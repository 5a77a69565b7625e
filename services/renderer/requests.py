"""Answer one request: fetch its trees, plan its targets, have their bundles, publish what came of it.

A request that cannot be answered because packs are gone ends with a statement of needs: the poller asks again once they are
there. One that fails because of this machine or the bus is tried again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime

from services.renderer.archives import ChartArchives
from services.renderer.bundles import Bundles
from services.renderer.contention import Contention
from services.renderer.listing import listing_of
from services.renderer.packs import LostPacksError, Trees
from services.renderer.repeats import Repeats, Worked, question_of
from services.renderer.targets import Plan, planned
from shared import subjects
from shared.bus.blobs import blob_place
from shared.bus.connection import Bus, Delivery
from shared.bus.storing import store_blob
from shared.core.canonical import encode
from shared.core.seal import compress
from shared.core.trees import Tree
from shared.git.trees import MissingObjectError
from shared.messages.blobs import BlobRef
from shared.messages.releases import ClusterIndex
from shared.messages.renders import Provenance, Rendered, RenderListing
from shared.messages.sources import Checkout, Lost, Needs, RenderRequest, Wanted, WantedChart
from shared.runtime.logs import get_logger

# A larger listing becomes a blob: every reader of RENDERED would carry it otherwise.
INLINE_BYTES = 256 << 10
PRUNE_EVERY = 100
# Who asks for these wants everything looked at.
_ANEW = frozenset({"sync", "rebuild"})

_Wants = tuple[tuple[Wanted, ...], tuple[WantedChart, ...]]
"""The other repositories that a fleet needs, and the archives of charts."""


class Requests:
    """Answers requests, several at a time."""

    def __init__(
        self,
        bus: Bus,
        trees: Trees,
        archives: ChartArchives,
        bundles: Bundles,
        versions: Mapping[str, str],
        *,
        contention: Contention,
    ) -> None:
        self._bus = bus
        self._trees = trees
        self._archives = archives
        self._bundles = bundles
        self._contention = contention
        self._versions = dict(versions)
        self._repeats = Repeats()
        self._stated: dict[str, _Wants] = {}
        self._held: dict[str, set[str]] = {}
        self._held_charts: dict[str, set[str]] = {}
        self._answered = 0

    def forget_bus(self) -> None:
        """Believe nothing of what was said on the bus before: it is another one."""
        self._bundles.forget_presence()
        self._repeats.forget()
        self._stated.clear()

    async def take(self, delivery: Delivery) -> None:
        """Answer the request of `delivery`.

        Raises:
            MessageError: it is none.
            TransientError: the bus, or this machine, is why it did not work.
        """
        request = RenderRequest.from_bytes(delivery.data)
        log = get_logger().bind(source=request.source, number=request.number, commit=request.checkout.commit.id)
        started = datetime.now(UTC)
        if request.lost is not None:
            await self._restore(request, request.lost)
            return
        try:
            rendered = await self._rendered(request, started)
        except LostPacksError as error:
            log.warning("packs_missed", repository_error=error.message)
            await self._state_needs(request, _named(request), error.digests)
            return
        except MissingObjectError:
            # Half a tree: the store was damaged. The next attempt fetches everything anew.
            await self._trees.forget()
            raise
        await self._bus.publish(subjects.rendered(request.source), rendered.to_bytes())
        log.info(
            "source_rendered",
            reason=request.reason,
            targets_ok=rendered.targets_ok,
            targets_failed=rendered.targets_failed,
            complete=rendered.complete,
            duration_s=round((rendered.finished_at - started).total_seconds(), 3),
        )
        await self._tidy()

    async def _rendered(self, request: RenderRequest, started: datetime) -> Rendered:
        worked = await self._worked(request)
        listing = worked.listing
        if worked.readable:
            await self._state_needs(request, (worked.needs, worked.charts))
        failed = sum(not target.bundle for target in listing.targets)
        inline, blob = await self._placed(listing)
        checkout = request.checkout
        return Rendered(
            source=request.source,
            number=request.number,
            commit=checkout.commit.id,
            ref=checkout.ref,
            tree=checkout.commit.tree,
            complete=worked.complete,
            clusters_version=worked.clusters_version,
            provenance=tuple(_provenance(request.source, each) for each in (checkout, *request.others)),
            tools=self._versions,
            listing=inline,
            listing_blob=blob,
            targets_ok=len(listing.targets) - failed,
            targets_failed=failed,
            started_at=started,
            finished_at=datetime.now(UTC),
        )

    async def _worked(self, request: RenderRequest) -> Worked:
        """Plan the targets of a request and have their bundles, unless the same was asked last."""
        clusters = await self._clusters()
        question = question_of(request, clusters)
        known = self._repeats.get(request.source, question)
        if known is not None and request.reason not in _ANEW:
            return known
        plan, version = await self._plan(request, clusters)
        outcomes = await self._bundles.of(request.source, [each.inputs for each in plan.targets if each.inputs])
        warnings = await asyncio.to_thread(self._contention.of, plan, outcomes)
        worked = Worked.of(plan, version, listing_of(plan, outcomes, warnings))
        self._repeats.keep(request.source, question, worked)
        return worked

    async def _clusters(self) -> bytes:
        """Return the registry's index as it stands on the bus; nothing where there is none."""
        stored = await self._bus.last(subjects.CLUSTERS, subjects.cluster(subjects.HUB))
        return stored.data if stored else b""

    async def _restore(self, request: RenderRequest, lost: Lost) -> None:
        """Have bundles of an older commit on the bus again; whoever still misses one asks again."""
        log = get_logger().bind(source=request.source, commit=request.checkout.commit.id, apps=lost.apps)
        if await self._bundles.put_back(lost.blobs):
            log.info("bundles_put_back", bundles=len(lost.blobs))
            return
        try:
            plan, _ = await self._plan(request, await self._clusters())
        except LostPacksError as error:
            log.warning("packs_missed", repository_error=error.message)
            return
        inputs = [each.inputs for each in plan.targets if each.inputs and each.app in lost.apps]
        await self._bundles.of(request.source, inputs, present=False)
        log.info("bundles_rendered_again", targets=len(inputs))

    async def _plan(self, request: RenderRequest, clusters: bytes) -> tuple[Plan, int]:
        """Return what is to be rendered, and the version of the clusters it is for."""
        checkouts = (request.checkout, *request.others)
        trees: list[Tree] = [await self._trees.of(request.source, checkout) for checkout in checkouts]
        if request.lost is None:
            self._held[request.source] = {checkout.commit.tree for checkout in checkouts}
            self._held_charts[request.source] = {chart.digest for chart in request.charts}
        charts = await self._archives.of(request.source, request.charts)
        index = ClusterIndex.from_bytes(clusters) if clusters else ClusterIndex(version=0)
        plan = await asyncio.to_thread(planned, request, trees, index.clusters, charts)
        return plan, index.version

    async def _placed(self, listing: RenderListing) -> tuple[RenderListing | None, BlobRef | None]:
        """Return the listing to be sent as it is, or the blob that holds it."""
        content = await asyncio.to_thread(lambda: encode(listing.model_dump(mode="json", by_alias=True)))
        if len(content) <= INLINE_BYTES:
            return listing, None
        packed = await asyncio.to_thread(compress, content)
        return None, await store_blob(self._bus, blob_place(subjects.HUB), packed)

    async def _state_needs(self, request: RenderRequest, wanted: _Wants, lost: tuple[str, ...] = ()) -> None:
        """Say which repositories and charts the fleet needs, when that changed, and which packs are gone."""
        if not lost and self._stated.get(request.source, _named(request)) == wanted:
            return
        repositories, charts = wanted
        needs = Needs(
            source=request.source, number=request.number, repositories=repositories, charts=charts, lost_packs=lost
        )
        await self._bus.publish(subjects.need(request.source), needs.to_bytes())
        self._stated[request.source] = wanted

    async def _tidy(self) -> None:
        """Drop trees and archives that no source has any more, now and then."""
        self._answered += 1
        if self._answered % PRUNE_EVERY == 0:
            await self._trees.prune({tree for trees in self._held.values() for tree in trees})
            await self._archives.prune({chart for charts in self._held_charts.values() for chart in charts})


def _named(request: RenderRequest) -> _Wants:
    """Return the other repositories and the charts that the poller follows for this fleet."""
    known = [(each.repository, each.asked_ref) for each in request.others]
    known += [(each.repository, each.asked_ref) for each in request.failures]
    charts = (WantedChart(url=each.url, digest=each.digest) for each in request.charts)
    return tuple(Wanted(repository=repository, ref=ref) for repository, ref in sorted(known)), tuple(charts)


def _provenance(source: str, checkout: Checkout) -> Provenance:
    return Provenance(
        source=source,
        repository=checkout.repository,
        ref=checkout.ref,
        commit=checkout.commit.id,
        tree=checkout.commit.tree,
    )
