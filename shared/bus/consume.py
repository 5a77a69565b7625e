"""Turn what a handler does into the answer to the bus; the one place that decides about retries.

```
returns            done: acked, and the server's word for it awaited
TransientError     again, after a delay that grows
PermanentError     never again: the reason goes to the dead-letter stream
anything else      a bug: logged, again after a delay, kept by the dead-letter stream in the end
```
A worker pulls one message when it is free, so that unread work stays on the server. A missing consumer is waited for:
the bus is being made again, and the steward brings the consumer back.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog
from nats.aio.msg import Msg

from shared.bus.errors import BusUnavailableError, MissingError, NotPermittedError
from shared.bus.link import Link, status_of
from shared.bus.values import Delivery
from shared.errors import PermanentError, TowlineError, TransientError
from shared.subjects import Durable

GRACE_S = 2.0  # beyond what the server was asked to hold a pull open
_NS = 10**9
_REASON_CHARACTERS = 1000
# Statuses that end a pull in the ordinary way: nothing there, time over.
_ENDED = frozenset({"404", "408"})

log = structlog.get_logger("shared.bus")


@dataclass(frozen=True, slots=True)
class Pulled:
    """A delivery, and the subject on which the server waits for our answer."""

    delivery: Delivery
    reply: str


async def consume_alone(
    link: Link, durable: Durable, handle: Callable[[Delivery], Awaitable[None]], workers: int
) -> None:
    """Run `workers` loops that each take one message, handle it, answer for it."""

    async def work(group: asyncio.TaskGroup) -> None:
        puller = Puller(link, durable)
        while not link.stopping.is_set():
            for one in await puller.next(1):
                await _settle(link, group, one, handle)

    async with asyncio.TaskGroup() as group:
        for _ in range(workers):
            group.create_task(work(group))


async def consume_together(
    link: Link, durable: Durable, handle: Callable[[Sequence[Delivery]], Awaitable[None]], batch: int
) -> None:
    """Take what is there, handle it at once; when that fails, each message alone."""

    async def alone(delivery: Delivery) -> None:
        await handle((delivery,))

    puller = Puller(link, durable)
    async with asyncio.TaskGroup() as group:
        while not link.stopping.is_set():
            pulled = await puller.next(batch)
            if len(pulled) > 1 and await _settle_all(link, group, pulled, handle):
                continue
            for one in pulled:
                await _settle(link, group, one, alone)


class Puller:
    """One worker's pulls on a durable, over all sessions."""

    def __init__(self, link: Link, durable: Durable) -> None:
        self._link = link
        self._durable = durable
        self._subject = f"$JS.API.CONSUMER.MSG.NEXT.{durable.stream}.{durable.name}"
        self._pause_s = 0.0

    async def next(self, batch: int) -> list[Pulled]:
        """Return messages, or none after a while; a missing consumer or connection costs a pause."""
        try:
            pulled = await self._pull(1, hold_s=self._link.pace.pull_s)
            if pulled and batch > 1:
                pulled += await self._more(batch - 1)
        except (BusUnavailableError, NotPermittedError) as error:
            if not self._pause_s:
                log.info("consumer_waiting", stream=self._durable.stream, durable=self._durable.name, reason=str(error))
            self._pause_s = min(self._link.pace.pause_s, 2 * self._pause_s or 0.05)
            await self._link.pause(self._pause_s)
            return []
        self._pause_s = 0.0
        return pulled

    async def _more(self, batch: int) -> list[Pulled]:
        """Return what else is there now; trouble here leaves the first message to be handled."""
        try:
            return await self._pull(batch, hold_s=0.0)
        except BusUnavailableError:
            return []

    async def _pull(self, batch: int, *, hold_s: float) -> list[Pulled]:
        """Ask for messages; `hold_s` of 0 means only those that are there now.

        Raises:
            MissingError: there is no such consumer now.
            BusUnavailableError: the connection broke.
            NotPermittedError: this program may not read it.
        """
        wish = {"batch": batch, "expires": int(hold_s * _NS)} if hold_s else {"batch": batch, "no_wait": True}
        pulled: list[Pulled] = []
        session = await self._link.session(self._link.pace.answer_s, for_intake=True)
        inbox, waiting = await session.pull_inbox(self, self._subject)
        if self._link.stopping.is_set():
            return pulled
        await session.send(self._subject, json.dumps(wish).encode(), reply=inbox)
        while len(pulled) < batch:
            try:
                async with asyncio.timeout(hold_s + GRACE_S):
                    answer = await waiting.answers.get()
            except TimeoutError:
                # Silence after a break that nobody noticed, or an answer that got lost: ask anew.
                return pulled
            if answer is None or (isinstance(answer, TowlineError) and pulled):
                return pulled
            if isinstance(answer, TowlineError):
                raise answer
            status = status_of(answer)
            if status in _ENDED:
                return pulled
            if status:
                described = (answer.headers or {}).get("Description", "nobody answers")
                raise MissingError(f"consumer {self._durable.name} of {self._durable.stream}: {status} {described}")
            pulled.append(Pulled(delivery_of(answer), answer.reply))
        return pulled


async def _settle(
    link: Link, group: asyncio.TaskGroup, pulled: Pulled, handle: Callable[[Delivery], Awaitable[None]]
) -> None:
    delivery = pulled.delivery
    try:
        with _announced(link, group, [pulled]):
            await handle(delivery)
    except asyncio.CancelledError:
        await _say(link, pulled, b"-NAK")
        raise
    except Exception as error:  # noqa: BLE001 - the outcome rule: one bad message must not stop the others
        await _answer_failure(link, pulled, error)
    else:
        await _confirm(link, pulled, b"+ACK")


async def _settle_all(
    link: Link,
    group: asyncio.TaskGroup,
    pulled: Sequence[Pulled],
    handle: Callable[[Sequence[Delivery]], Awaitable[None]],
) -> bool:
    """Handle all at once; return whether that worked."""
    try:
        with _announced(link, group, pulled):
            await handle([one.delivery for one in pulled])
    except asyncio.CancelledError:
        for one in pulled:
            await _say(link, one, b"-NAK")
        raise
    except Exception as error:  # noqa: BLE001 - the outcome rule: each is tried alone, and judged there
        log.info("batch_failed", messages=len(pulled), error=str(error))
        return False
    async with asyncio.TaskGroup() as acks:
        for one in pulled:
            acks.create_task(_confirm(link, one, b"+ACK"))
    return True


@contextmanager
def _announced(link: Link, group: asyncio.TaskGroup, pulled: Sequence[Pulled]) -> Iterator[None]:
    """Tell the server now and then that we are still at it, else it gives the message to somebody else."""

    async def announce() -> None:
        while True:
            await asyncio.sleep(link.pace.progress_s)
            for one in pulled:
                await _say(link, one, b"+WPI")

    task = group.create_task(announce())
    try:
        yield
    finally:
        task.cancel()


async def _answer_failure(link: Link, pulled: Pulled, error: Exception) -> None:
    delivery = pulled.delivery
    facts = {"subject": delivery.subject, "sequence": delivery.sequence, "delivered": delivery.delivered}
    delays = link.pace.retry_s
    delay_s = delays[min(delivery.delivered, len(delays)) - 1]
    again = b"-NAK " + json.dumps({"delay": int(delay_s * _NS)}).encode()
    if _all_are(error, TransientError):
        log.info("message_postponed", **facts, delay_s=delay_s, error=str(error))
        await _say(link, pulled, again)
    elif _all_are(error, PermanentError):
        log.warning("message_refused", **facts, error=str(error))
        # A work queue forgets what it is told to give up (seen with 2.15.1): the reason must say what it was.
        await _confirm(link, pulled, f"+TERM {_one_line(error)} [{delivery.subject}]".encode())
    else:
        log.error("handler_crashed", **facts, delay_s=delay_s, exc_info=error)
        await _say(link, pulled, again)


def _all_are(error: BaseException, kind: type[TowlineError]) -> bool:
    """Return whether an error, or every one in a group of them, is of a kind."""
    if isinstance(error, BaseExceptionGroup):
        return all(_all_are(one, kind) for one in error.exceptions)
    return isinstance(error, kind)


def _one_line(error: Exception) -> str:
    code = error.code if isinstance(error, TowlineError) else "group"
    return f"{code}: {error}".replace("\r", " ").replace("\n", " ")[:_REASON_CHARACTERS]


async def _confirm(link: Link, pulled: Pulled, words: bytes) -> None:
    """Answer and wait for the server's word; without it the message may come again, which handlers bear."""
    try:
        await link.ask(pulled.reply, words)
    except TowlineError as error:
        log.info("answer_unconfirmed", subject=pulled.delivery.subject, error=str(error))


async def _say(link: Link, pulled: Pulled, words: bytes) -> None:
    """Answer without waiting; when it gets lost the server gives the message out again by itself."""
    try:
        await (await link.session(1.0)).send(pulled.reply, words)
    except TowlineError as error:
        log.info("answer_unsent", subject=pulled.delivery.subject, error=str(error))


def delivery_of(message: Msg) -> Delivery:
    """Return a pulled message with what its ack subject tells, in either of the two forms.

    `$JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<time>.<pending>`, or with the domain and the
    hash of the account before the stream and a random token at the end.
    """
    tokens = message.reply.split(".")
    delivered, sequence, _, moment = tokens[4:8] if len(tokens) == 9 else tokens[6:10]
    return Delivery(
        subject=message.subject,
        data=message.data,
        sequence=int(sequence),
        delivered=int(delivered),
        stored_at=datetime.fromtimestamp(int(moment) / _NS, UTC),
        headers=dict(message.headers or {}),
    )
