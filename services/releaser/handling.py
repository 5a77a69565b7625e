"""Take messages off the bus: renders, reports, states of agents, commands; each becomes one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import select

from services.releaser import enrolling, intake, reporting
from services.releaser.commands import Commands
from services.releaser.publishing import AT_ONCE, Publisher
from services.releaser.store import Store, portions
from services.releaser.tables import bundles
from shared import subjects
from shared.bus.blobs import blob_place, fetch_blob
from shared.bus.connection import Bus, Delivery
from shared.bus.senders import check_sender
from shared.bus.together import each_of
from shared.core.seal import decompressed
from shared.messages.base import MessageError
from shared.messages.blobs import BundleRef
from shared.messages.facts import Command
from shared.messages.renders import Rendered, RenderListing
from shared.messages.reports import Answer, Report, Status
from shared.runtime.logs import get_logger

LISTING_LIMIT_BYTES = 256 << 20
KEYS_LIMIT_BYTES = 16 << 20

M = TypeVar("M", Report, Answer, Status)
log = get_logger("services.releaser")


@dataclass(frozen=True, slots=True)
class Handlers:
    """What is done with each kind of message."""

    bus: Bus
    store: Store
    commands: Commands
    publisher: Publisher

    async def rendered(self, delivery: Delivery) -> None:
        """Take a render, once everything that it names could be read."""
        message = Rendered.from_bytes(delivery.data)
        if message.source != subjects.token(delivery.subject, 1):
            raise MessageError(f"a render of {message.source!r} came as {delivery.subject}")
        listing = await self._listing(message)
        lists = await self._key_lists(listing.bundles.values())
        async with self.store.deciding() as tx:
            taken = await intake.take(tx, message, listing, lists, self.commands.parts.keys)
        log.info("render_taken" if taken else "render_ignored", source=message.source, number=message.number)
        self.publisher.rendered(message.source)

    async def _listing(self, message: Rendered) -> RenderListing:
        if message.listing is not None:
            return message.listing
        if message.listing_blob is None:
            raise MessageError(f"the render {message.number} of {message.source!r} has no listing")
        place = blob_place(subjects.HUB)
        stored = await fetch_blob(self.bus, place, message.listing_blob, limit_bytes=LISTING_LIMIT_BYTES)
        return RenderListing.model_validate_json(b"".join(decompressed(stored, LISTING_LIMIT_BYTES)))

    async def _key_lists(self, found: Iterable[BundleRef]) -> dict[str, bytes | None]:
        """Return the key lists of the bundles that the database has none of."""
        named = {each.digest: each for each in found}
        async with self.store.reading() as view:
            for some in portions(sorted(named)):
                have = select(bundles.c.bundle).where(bundles.c.bundle.in_(some), bundles.c.key_list.is_not(None))
                for row in await view.rows(have):
                    named.pop(row.bundle)
        lists: dict[str, bytes | None] = {}

        async def fetch(reference: BundleRef) -> None:
            place = blob_place(subjects.HUB)
            lists[reference.digest] = (
                await fetch_blob(self.bus, place, reference.keys, limit_bytes=KEYS_LIMIT_BYTES)
                if reference.keys
                else None
            )

        await each_of(fetch, named.values(), at_once=AT_ONCE)
        return lists

    async def reports(self, deliveries: Sequence[Delivery]) -> None:
        """Take reports and answers of agents."""
        reports = [(_read(Report, each), each.stored_at) for each in _of_kind(deliveries, "result")]
        answers = [_read(Answer, each) for each in _of_kind(deliveries, "answer")]
        async with self.store.deciding() as tx:
            for answer in answers:
                if answer.ok:
                    await enrolling.renewed(tx, answer.cluster, answer.id)
            if reports:
                await reporting.take_reports(tx, reports, self.commands.parts.keys)

    async def statuses(self, deliveries: Sequence[Delivery]) -> None:
        """Take agents' present states."""
        statuses = [(_read(Status, each), each.stored_at) for each in deliveries]
        async with self.store.deciding() as tx:
            ahead = await reporting.take_statuses(tx, statuses, self.commands.parts.keys)
        for cluster, pair in ahead:
            await self.commands.parts.restored.notice(self.store, cluster, pair)

    async def command(self, delivery: Delivery) -> None:
        """Carry out what somebody asked for."""
        await self.commands.carry_out(Command.from_bytes(delivery.data))


def _of_kind(deliveries: Sequence[Delivery], kind: str) -> list[Delivery]:
    return [each for each in deliveries if subjects.token(each.subject, 2) == kind]


def _read(kind: type[M], delivery: Delivery) -> M:
    """Return a message of an agent; the subject, which the bus enforces, says who speaks."""
    message = kind.from_bytes(delivery.data)
    check_sender(delivery.subject, message.cluster)
    return message
