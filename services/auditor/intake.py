"""Take what the line says into the ledger: a batch of one stream is one transaction, and acked only after it.

A message that is delivered again is in the ledger already and changes nothing. One that cannot be what it claims is
refused, which keeps it as a dead letter.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from services.auditor import facts, fold
from services.auditor.changes import Folded
from services.auditor.desk import Desk
from services.auditor.store import Store
from shared import subjects
from shared.bus.blobs import MissingBlobError, blob_place, fetch_blob
from shared.bus.connection import Bus, Delivery
from shared.bus.senders import check_sender
from shared.core.seal import decompressed
from shared.messages.base import MessageError
from shared.messages.facts import Fact
from shared.messages.releases import Cluster
from shared.messages.renders import Problem, Rendered, RenderListing
from shared.messages.reports import Answer, Report, Status
from shared.messages.sources import Revision

LISTING_BYTES = 64 << 20
"""As stored; a listing of 100 000 targets has about 10 MiB."""
LISTING_CONTENT_BYTES = 512 << 20
LISTING_TRIES = 3
"""A listing that is not on the bus at the third delivery was purged: newer renders replaced it."""

Handle = Callable[[Sequence[Delivery]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Intake:
    """Handlers of the auditor's durables."""

    store: Store
    desk: Desk
    bus: Bus

    def handlers(self) -> Mapping[str, Handle]:
        """Return the handler of each stream."""
        return {
            subjects.REVISIONS: self._each(lambda message: fold.of_revision(Revision.from_bytes(message.data))),
            subjects.RENDERED: self.take_renders,
            subjects.CLUSTERS: self._each(_cluster),
            subjects.REPORTS: self.take_reports,
            subjects.STATUS: self._each(_status),
            subjects.FACTS: self.take_facts,
        }

    def _each(self, read: Callable[[Delivery], Folded]) -> Handle:
        async def take(messages: Sequence[Delivery]) -> None:
            await self.store.write([read(message) for message in messages])

        return take

    async def take_reports(self, messages: Sequence[Delivery]) -> None:
        """Store what agents report, then hand their answers to who asked; those are too large to be kept."""
        answers = [_answer(message) for message in messages if subjects.token(message.subject, 2) == "answer"]
        results = [_report(message) for message in messages if subjects.token(message.subject, 2) != "answer"]
        await self.store.write([*results, *(fold.of_answer(answer) for answer in answers)])
        for answer in answers:
            self.desk.told(answer)

    async def take_facts(self, messages: Sequence[Delivery]) -> None:
        """Store facts, then hand the answers of commands to who waits for them."""
        found = [Fact.from_bytes(message.data) for message in messages]
        await self.store.write([facts.of_fact(fact) for fact in found])
        for fact in found:
            if fact.type == "command-done":
                self.desk.answered(fact)

    async def take_renders(self, messages: Sequence[Delivery]) -> None:
        """Store finished renders with their listings."""
        folded = []
        for message in messages:
            rendered = Rendered.from_bytes(message.data)
            folded.append(fold.of_rendered(*await self._listed(rendered, last=message.delivered >= LISTING_TRIES)))
        await self.store.write(folded)

    async def _listed(self, rendered: Rendered, *, last: bool) -> tuple[Rendered, RenderListing]:
        """Return a render with its listing; one whose listing is gone for good counts as incomplete.

        Raises:
            MissingBlobError: the listing is not on the bus (yet).
        """
        if rendered.listing_blob is None:
            return rendered, rendered.listing or RenderListing()
        try:
            stored = await fetch_blob(
                self.bus, blob_place(subjects.HUB), rendered.listing_blob, limit_bytes=LISTING_BYTES
            )
        except MissingBlobError as error:
            if not last:
                raise
            gone = Problem(code=error.code, message="what was rendered is no longer on the bus", severity="warning")
            return rendered.model_copy(update={"complete": False}), RenderListing(problems=(gone,))
        return rendered, _listing(b"".join(decompressed(stored, LISTING_CONTENT_BYTES)))


def _listing(data: bytes) -> RenderListing:
    try:
        return RenderListing.model_validate_json(data)
    except ValueError as error:
        raise MessageError("the listing of a render is malformed") from error


def _cluster(message: Delivery) -> Folded:
    if subjects.token(message.subject, 1) == subjects.HUB:
        # The index of all clusters, for the renderer: each of them comes in a message of its own.
        return Folded()
    return fold.of_cluster(Cluster.from_bytes(message.data))


def _answer(message: Delivery) -> Answer:
    answer = Answer.from_bytes(message.data)
    check_sender(message.subject, answer.cluster)
    return answer


def _report(message: Delivery) -> Folded:
    report = Report.from_bytes(message.data)
    check_sender(message.subject, report.cluster)
    return fold.of_report(report, message.stored_at)


def _status(message: Delivery) -> Folded:
    status = Status.from_bytes(message.data)
    check_sender(message.subject, status.cluster)
    return fold.of_status(status, message.stored_at)
