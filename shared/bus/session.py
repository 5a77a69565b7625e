"""One connection to the bus, from the first byte until it breaks; it never comes back, a new one replaces it.

nats-py's own reconnecting is not used: it buffers requests and sends them after their caller gave up, closes for good
on an expired credential, and calls itself connected before it is. A session that is made once and thrown away has
none of these states. Answers are told apart by the last token of their subject, over one subscription.
"""

from __future__ import annotations

import asyncio
import base64
import re
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError
from nats.errors import MaxPayloadError

from shared.bus.errors import BusRefusedError, BusUnavailableError, NotPermittedError
from shared.bus.keys import sign_with_seed
from shared.bus.values import Credentials
from shared.errors import TowlineError

CONNECT_S = 10.0
CLOSE_S = 5.0
RETIRE_S = 2.0
PING_S = 5.0
QUEUE_MESSAGES = 256
# What nats-py raises when a peer is absent, breaks off, or speaks something else than NATS.
BROKEN = (
    OSError,
    NatsError,
    TimeoutError,
    EOFError,
    ValueError,
    KeyError,
    AssertionError,
    AttributeError,
    RuntimeError,
)

_REFUSED = re.compile(r'permissions violation for (publish|subscription)[^"]*"([^"]+)"', re.IGNORECASE)
_ACK = "$JS.ACK."

log = structlog.get_logger("shared.bus")


@dataclass(slots=True)
class Waiting:
    """Somebody who waits for answers to one request."""

    subject: str
    answers: asyncio.Queue[Msg | TowlineError | None] = field(default_factory=lambda: asyncio.Queue(QUEUE_MESSAGES))

    def put(self, answer: Msg | TowlineError | None) -> None:
        """Hand over an answer, why there will be none, or None: stop."""
        if not self.answers.full():
            self.answers.put_nowait(answer)


class Inlet:
    """A core subscription that outlives sessions; when its reader is slow, the oldest messages go."""

    def __init__(self, subject: str, size: int) -> None:
        self.subject = subject
        self.messages: asyncio.Queue[Msg | TowlineError | None] = asyncio.Queue(size)

    async def take(self, message: Msg) -> None:
        """Keep a message for the reader."""
        self.put(message)

    def put(self, item: Msg | TowlineError | None) -> None:
        """Keep a message, an error or the end for the reader."""
        if self.messages.full():
            self.messages.get_nowait()
        self.messages.put_nowait(item)


class Session:
    """One connected client, its inbox, and those who wait for answers."""

    def __init__(self, credentials: Credentials) -> None:
        self.credentials = credentials
        self.closed = asyncio.Event()
        self.on_closed: Callable[[], None] = lambda: None
        self._client = Client()
        self._prefix = f"{credentials.inbox}.{self._client._nuid.next().decode()}"  # noqa: SLF001 - its fast ids
        self._waiting: dict[str, Waiting] = {}
        self._pulls: dict[object, tuple[str, Waiting]] = {}
        self._pull_subscriptions: list[Subscription] = []
        self._stopped = False
        self._idle = asyncio.Event()
        self._inlets: dict[str, Inlet] = {}
        self._subscriptions: dict[Inlet, Subscription] = {}
        self._next = 0
        self.trouble = ""
        """What the client met and told only its callback: why no server could be had."""

    async def open(self, urls: Sequence[str], name: str, tls: ssl.SSLContext | None) -> None:
        """Connect and listen for answers, or raise one of `BROKEN`."""
        seed, jwt = self.credentials.seed, self.credentials.jwt
        async with asyncio.timeout(CONNECT_S):
            await self._client.connect(
                servers=list(urls),
                name=name,
                tls=tls,
                allow_reconnect=False,
                max_reconnect_attempts=1,
                reconnect_time_wait=0,
                user_jwt_cb=lambda: bytearray(jwt.encode()),
                signature_cb=lambda nonce: base64.b64encode(sign_with_seed(seed, nonce.encode())),
                inbox_prefix=self._prefix,
                error_cb=self._on_error,
                closed_cb=self._on_closed,
                # Silence is our own check's matter: `ping`.
                ping_interval=3600,
            )
            # connect() may return before the server accepted us; an answer to a ping proves that it did.
            await self.ping()
            if not self._client.is_connected:
                raise BusUnavailableError("the server did not accept the connection")
            await self._client.subscribe(f"{self._prefix}.*", cb=self._on_answer)

    async def ping(self) -> None:
        """Return when the server has seen everything sent before, or raise one of `BROKEN`."""
        # nats-py writes a ping past what it still buffers, so wait until its flusher took that.
        while self._client.is_connected and self._client.pending_data_size:  # noqa: ASYNC110 - it has no event for it
            await asyncio.sleep(0)
        await self._client.rtt(timeout=PING_S)  # type: ignore[arg-type] # seconds may be a fraction

    async def listen(self, inlet: Inlet) -> None:
        """Feed an inlet from this session too."""
        self._inlets[inlet.subject.lower()] = inlet
        self._subscriptions[inlet] = await self._client.subscribe(inlet.subject, cb=inlet.take)

    def hears(self, inlet: Inlet) -> bool:
        """Tell whether this session feeds an inlet."""
        return inlet in self._subscriptions

    async def forget(self, inlet: Inlet) -> None:
        """Feed an inlet no longer; never raises."""
        self._inlets.pop(inlet.subject.lower(), None)
        subscription = self._subscriptions.pop(inlet, None)
        if subscription is None or self.closed.is_set():
            return
        try:
            await subscription.unsubscribe()
        except BROKEN as error:
            log.debug("bus_unsubscribe_failed", subject=inlet.subject, error=str(error))

    @contextmanager
    def expect(self, subject: str) -> Iterator[tuple[str, Waiting]]:
        """Give a reply subject, and the place where answers to it arrive."""
        self._next += 1
        token = str(self._next)
        waiting = Waiting(subject)
        self._waiting[token] = waiting
        try:
            yield f"{self._prefix}.{token}", waiting
        finally:
            del self._waiting[token]
            if not self._waiting:
                self._idle.set()

    async def pull_inbox(self, worker: object, subject: str) -> tuple[str, Waiting]:
        """Return the inbox of one worker's pulls on `subject`, the same while this session lives.

        It is a subscription of its own, because what is pulled arrives under the subject it was stored with.

        Raises:
            BusUnavailableError: the connection broke.
        """
        if worker not in self._pulls:
            waiting = Waiting(subject)

            async def take(message: Msg) -> None:
                if self._stopped and message.reply.startswith(_ACK):
                    # Nobody will handle it here: hand it back at once, not after the server's wait.
                    await self.send(message.reply, b"-NAK")
                else:
                    waiting.put(message)

            inbox = f"{self._prefix}.pull.{len(self._pulls)}"
            self._pulls[worker] = inbox, waiting
            try:
                self._pull_subscriptions.append(await self._client.subscribe(inbox, cb=take))
            except BROKEN as error:
                self._see_whether_closed(subject)
                raise BusUnavailableError(f"{subject}: not listened to: {error}") from error
        return self._pulls[worker]

    async def send(
        self, subject: str, data: bytes, *, reply: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        """Send a message; that it was sent says nothing about its arrival.

        Raises:
            BusUnavailableError: the connection broke.
            BusRefusedError: the message is larger than the server takes.
        """
        self._see_whether_closed(subject)
        try:
            await self._client.publish(subject, data, reply, dict(headers) if headers else None)
        except MaxPayloadError as error:
            raise BusRefusedError(f"{subject}: {len(data)} bytes are more than the bus takes in one message") from error
        except BROKEN as error:
            raise BusUnavailableError(f"{subject}: not sent: {error}") from error

    def stop_pulls(self) -> None:
        """End the waits for work; what still comes is handed back."""
        self._stopped = True
        for _, waiting in self._pulls.values():
            waiting.put(None)

    async def retire(self) -> None:
        """Close once those who wait for answers have them; pulls go on elsewhere. Never raises."""
        self.stop_pulls()
        try:
            async with asyncio.timeout(RETIRE_S):
                while self._waiting and not self.closed.is_set():
                    self._idle.clear()
                    await self._idle.wait()
        except TimeoutError:
            log.debug("bus_answers_abandoned", waiting=len(self._waiting))
        finally:
            await self.close()

    async def close(self) -> None:
        """Send what is buffered, then close; never raises."""
        for step in (self._end_pulls, self._client.close, self._close_socket):
            try:
                async with asyncio.timeout(CLOSE_S):
                    await step()
            except (*BROKEN, TowlineError) as error:
                log.debug("bus_close_failed", error=str(error))
        self._mark_closed()

    async def _close_socket(self) -> None:
        """Close what nats-py leaves open when the connection breaks while it closes."""
        transport = self._client._transport  # noqa: SLF001
        if transport is not None:
            transport.close()  # type: ignore[no-untyped-call]
            await transport.wait_closed()  # type: ignore[no-untyped-call]

    async def _end_pulls(self) -> None:
        """Hand back what the server has sent, and still sends, for pulls that nobody waits for."""
        self.stop_pulls()
        if not self._pull_subscriptions or not self._client.is_connected:
            return
        for subscription in self._pull_subscriptions:
            # Not `unsubscribe`, which throws away what is on its way, nor `drain`, whose ping overtakes its own word.
            await self._client._send_unsubscribe(subscription._id)  # noqa: SLF001
        await self.ping()
        while any(subscription.pending_msgs for subscription in self._pull_subscriptions):  # noqa: ASYNC110
            await asyncio.sleep(0)
        for _, waiting in self._pulls.values():
            await self.hand_back(waiting)

    async def hand_back(self, waiting: Waiting) -> None:
        """Give back the messages that were pulled and never taken."""
        while not waiting.answers.empty():
            answer = waiting.answers.get_nowait()
            if answer is not None and not isinstance(answer, TowlineError) and answer.reply.startswith(_ACK):
                await self.send(answer.reply, b"-NAK")

    def _see_whether_closed(self, subject: str) -> None:
        """Refuse to go on without a connection, and tell everybody: a client that breaks may never say so itself.

        (nats-py 2.16 fails in its own closing when there is something left to send.)
        """
        if not self.closed.is_set() and not self._client.is_connected:
            self._mark_closed()
        if self.closed.is_set():
            raise BusUnavailableError(f"{subject}: the connection to the bus broke")

    def _mark_closed(self) -> None:
        self.closed.set()
        self.on_closed()
        for waiting in self._everybody():
            waiting.put(BusUnavailableError(f"{waiting.subject}: the connection to the bus broke"))

    def _everybody(self) -> list[Waiting]:
        return [*self._waiting.values(), *(waiting for _, waiting in self._pulls.values())]

    async def _on_closed(self) -> None:
        self._mark_closed()

    async def _on_answer(self, message: Msg) -> None:
        waiting = self._waiting.get(message.subject.rpartition(".")[2])
        if waiting is not None:
            waiting.put(message)

    async def _on_error(self, error: Exception) -> None:
        found = _REFUSED.search(str(error))
        if not found:
            self.trouble = str(error) or type(error).__name__
            log.debug("bus_connection_error", error=str(error) or type(error).__name__)
            return
        # nats-py gives the server's text in lower case.
        kind, subject = found[1].lower(), found[2].lower()
        log.warning("bus_permission_refused", kind=kind, subject=subject)
        problem = NotPermittedError(
            f"these credentials may not {'subscribe' if kind == 'subscription' else 'publish'} to {subject!r}",
            hint="compare the program and its credentials: each has its own",
        )
        if kind == "subscription" and subject in self._inlets:
            self._inlets[subject].put(problem)
        elif kind == "publish":
            for waiting in self._everybody():
                if waiting.subject.lower() == subject:
                    waiting.put(problem)
