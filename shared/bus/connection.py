"""The bus as the programs see it: publish, read the last word, listen, consume.

Every call takes bounded time and says by its exception whether a retry helps. Nothing is buffered while the bus is
away: a call waits a little for the connection, then fails, so that no request is carried out after its caller gave up.
"""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from nats.aio.msg import Msg

from shared.bus.consume import consume_alone, consume_together
from shared.bus.errors import (
    BusRefusedError,
    BusUnavailableError,
    MissingError,
    NotPermittedError,
    WrongSequenceError,
    refusal,
)
from shared.bus.link import Link, status_of
from shared.bus.permissions import witness
from shared.bus.session import Inlet
from shared.bus.streams import INCARNATION
from shared.bus.values import Credentials, Delivery, Pace, Stored
from shared.errors import TowlineError
from shared.subjects import Durable

__all__ = [
    "Bus",
    "BusRefusedError",
    "BusUnavailableError",
    "Credentials",
    "Delivery",
    "MissingError",
    "NotPermittedError",
    "Pace",
    "Stored",
    "WrongSequenceError",
]

_API = "$JS.API"
_NO_MESSAGE = "no message found"


class Bus:
    """One program's, or one agent's, connection."""

    def __init__(self, link: Link) -> None:
        self._link = link

    @classmethod
    @asynccontextmanager
    async def connect(
        cls,
        urls: Sequence[str],
        credentials: Callable[[], Credentials],
        *,
        name: str,
        tls: ssl.SSLContext | None = None,
        pace: Pace | None = None,
    ) -> AsyncIterator[Bus]:
        """Give a bus at once, connected or not; it connects and reconnects by itself until the block ends.

        Args:
            urls: where servers listen.
            credentials: called for every new connection, and now and then: a changed answer renews the connection.
            name: what the server calls the connection in its own lists.
            tls: how to check the server, and who we are to it.
            pace: how long things take; agents use `AGENT_PACE`.
        """
        link = Link(urls, credentials, name=name, tls=tls, pace=pace or Pace())
        failure: BaseException | None = None
        async with asyncio.TaskGroup() as group:
            keeper = group.create_task(link.run())
            try:
                yield cls(link)
            # Taken out of the group, which would wrap it; raised again below, cancellation included.
            except BaseException as error:  # noqa: BLE001
                failure = error
            finally:
                link.stop_intake()
                keeper.cancel()
        if failure is not None:
            raise failure

    @property
    def connected(self) -> bool:
        """Whether there is a connection now."""
        return self._link.connected

    async def wait_connected(self) -> None:
        """Return as soon as there is a connection."""
        while not self._link.connected and not self._link.stopping.is_set():
            await self._link.changed()

    async def connections(self) -> AsyncIterator[int]:
        """Yield the count of connections at the first, and after each new one: time to look again."""
        seen = 0
        while not self._link.stopping.is_set():
            if self._link.sessions != seen and self._link.connected:
                seen = self._link.sessions
                yield seen
            else:
                await self._link.changed()

    def renew(self) -> None:
        """Use new credentials now, if there are any; subscriptions miss nothing."""
        self._link.renew()

    def move(self, urls: Sequence[str]) -> None:
        """Connect to these servers from now on; a connection that works goes on."""
        self._link.move(urls)

    @property
    def refused(self) -> bool:
        """Whether the last attempt to connect failed because the server did not take the credentials."""
        return self._link.refused

    @property
    def stopping(self) -> bool:
        """Whether the intake stopped."""
        return self._link.stopping.is_set()

    async def pause(self, seconds: float) -> None:
        """Sleep about `seconds`, less when the intake stops."""
        await self._link.pause(seconds)

    async def pause_or_reconnect(self, seconds: float) -> None:
        """Sleep `seconds`, less at a new connection or when the intake stops."""
        try:
            async with asyncio.timeout(seconds):
                await self._link.changed()
        except TimeoutError:
            return

    def stop_intake(self) -> None:
        """Take no new work: consumers finish what is in hand and return, iterations end."""
        self._link.stop_intake()

    async def publish(
        self, subject: str, data: bytes, *, message_id: str | None = None, expected_last: int | None = None
    ) -> int:
        """Store a message, and return its sequence in the stream.

        Args:
            subject: a stream's subject.
            data: the message.
            message_id: kept over retries of the same attempt to say something; never a name of the content.
            expected_last: sequence of the last message on this subject, 0 for none: compare-and-set.

        Raises:
            WrongSequenceError: the last message is another.
            BusUnavailableError: not stored, or stored without our hearing of it.
            BusRefusedError: the stream will never take it.
        """
        headers = {"Nats-Msg-Id": message_id or uuid4().hex}
        if expected_last is not None:
            headers["Nats-Expected-Last-Subject-Sequence"] = str(expected_last)
        answer = await self._link.ask(subject, data, headers=headers, timeout_s=2 * self._link.pace.answer_s)
        return int(_body(subject, answer)["seq"])

    async def send(self, subject: str, data: bytes) -> None:
        """Send a message that no stream keeps; it may get lost."""
        session = await self._link.session(self._link.pace.answer_s)
        await session.send(subject, data)

    async def last(self, stream: str, subject: str) -> Stored | None:
        """Return the last message on a subject of a stream, None when there is none."""
        return await self.request(f"{_API}.DIRECT.GET.{stream}.{subject}")

    async def request(self, subject: str, data: bytes = b"", *, timeout_s: float = 5.0) -> Stored | None:
        """Ask, and return the answer; None when what was asked for is not there (404)."""
        answer = await self._link.ask(subject, data, timeout_s=timeout_s)
        status = status_of(answer)
        if status == "404":
            return None
        if status:
            described = (answer.headers or {}).get("Description", "")
            raise BusRefusedError(f"{subject}: the bus answers {status} {described}")
        return stored_of(answer)

    @asynccontextmanager
    async def subscribe(self, subject: str) -> AsyncIterator[AsyncIterator[Stored]]:
        """Listen on a subject; a reader that is too slow misses the oldest messages."""
        inlet = await self._link.add_inlet(subject)
        try:
            yield _messages(inlet)
        finally:
            await self._link.remove_inlet(inlet)

    async def consume(
        self, durable: Durable, handle: Callable[[Delivery], Awaitable[None]], *, workers: int = 1
    ) -> None:
        """Handle a durable's messages one by one, `workers` at a time, until the intake stops."""
        await consume_alone(self._link, durable, handle, workers)

    async def consume_batches(
        self, durable: Durable, handle: Callable[[Sequence[Delivery]], Awaitable[None]], *, batch: int = 64
    ) -> None:
        """Handle what a durable has, up to `batch` at once, until the intake stops."""
        await consume_together(self._link, durable, handle, batch)

    async def incarnation(self) -> str:
        """Return the name of this making of the bus; another name means that what was stored may be gone.

        Raises:
            MissingError: the bus is not made yet.
        """
        stream = witness(await self._link.owner())
        answer = await self.api(f"STREAM.INFO.{stream}", {})
        name = (answer["config"].get("metadata") or {}).get(INCARNATION, "")
        if not name:
            raise MissingError(f"stream {stream} has no incarnation yet")
        return str(name)

    async def incarnations(self) -> AsyncIterator[str]:
        """Yield the present incarnation, then each new one."""
        seen = ""
        while not self._link.stopping.is_set():
            try:
                present = await self.incarnation()
            except BusUnavailableError:
                present = seen
            if present != seen:
                seen = present
                yield present
                continue
            await self.pause_or_reconnect(self._link.pace.incarnation_s)

    async def purge(self, stream: str, subject_filter: str) -> None:
        """Forget all messages of a stream on the subjects of a filter."""
        await self.api(f"STREAM.PURGE.{stream}", {"filter": subject_filter})

    async def stored_subjects(self, stream: str, subject_filter: str) -> dict[str, int]:
        """Return how many messages a stream holds on each subject of a filter."""
        found: dict[str, int] = {}
        while True:
            wanted = {"subjects_filter": subject_filter, "offset": len(found)}
            answer = await self.api(f"STREAM.INFO.{stream}", wanted)
            page = answer["state"].get("subjects") or {}
            found.update(page)
            if not page or len(found) >= int(answer.get("total", 0)):
                return found

    async def stored_at_sequence(self, stream: str, sequence: int) -> Stored | None:
        """Return the message at a sequence, None when it is gone."""
        subject = f"{_API}.STREAM.MSG.GET.{stream}"
        answer = json.loads((await self._link.ask(subject, json.dumps({"seq": sequence}).encode())).data)
        error = answer.get("error")
        if error and error.get("description") == _NO_MESSAGE:
            return None
        if error:
            raise refusal(subject, error)
        return decoded_message(answer["message"])

    async def delete_message(self, stream: str, sequence: int) -> None:
        """Remove one message; it is no error when it is gone."""
        subject = f"{_API}.STREAM.MSG.DELETE.{stream}"
        answer = json.loads((await self._link.ask(subject, json.dumps({"seq": sequence}).encode())).data)
        error = answer.get("error")
        if error and error.get("description") != _NO_MESSAGE:
            raise refusal(subject, error)

    async def api(self, name: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Ask the server's API and return its answer.

        Raises:
            MissingError: the stream or consumer does not exist.
            BusRefusedError: the server refuses.
        """
        subject = f"{_API}.{name}"
        answer = await self._link.ask(subject, json.dumps(body).encode(), timeout_s=2 * self._link.pace.answer_s)
        return _body(subject, answer)


async def _messages(inlet: Inlet) -> AsyncIterator[Stored]:
    while True:
        item = await inlet.messages.get()
        if item is None:
            return
        if isinstance(item, TowlineError):
            raise item
        yield stored_of(item)


def _body(subject: str, answer: Msg) -> dict[str, Any]:
    body = json.loads(answer.data)
    if "error" in body:
        raise refusal(subject, body["error"])
    return dict(body)


def stored_of(message: Msg) -> Stored:
    """Return a message as the stream knows it, by the headers of a direct get or a republication."""
    headers = dict(message.headers or {})
    moment = headers.get("Nats-Time-Stamp")
    return Stored(
        subject=headers.get("Nats-Subject", message.subject),
        data=message.data,
        sequence=int(headers.get("Nats-Sequence", 0)),
        stored_at=datetime.fromisoformat(moment) if moment else datetime.now(UTC),
        headers=headers,
    )


def decoded_message(message: Mapping[str, Any]) -> Stored:
    """Return a message as `STREAM.MSG.GET` writes it."""
    raw = base64.b64decode(message.get("hdrs", ""))
    lines = (line.partition(":") for line in raw.decode("utf-8", "replace").split("\r\n")[1:] if line)
    return Stored(
        subject=message["subject"],
        data=base64.b64decode(message.get("data", "")),
        sequence=int(message["seq"]),
        stored_at=datetime.fromisoformat(message["time"]),
        headers={name.strip(): value.strip() for name, _, value in lines},
    )
