"""Keep one session with the bus alive for ever: connect, watch, replace.

A new session is made when the old one breaks, after a wait with full jitter, and also while the old one still works
when the credentials changed: the new one listens before the old one goes, so that nothing is missed.
"""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import Callable, Mapping, Sequence

import structlog
from nats.aio.msg import Msg
from nats.errors import NoServersError

from shared.bus.errors import BusUnavailableError
from shared.bus.session import BROKEN, Inlet, Session
from shared.bus.values import Credentials, Pace
from shared.errors import TowlineError

FIRST_WAIT_S = 0.05
# Of nats-server's words for a credential that it does not take: violation, expired, revoked.
_REFUSED = ("authorization", "authentication")
SETTLED_S = 5.0
SAY_AGAIN_S = 30.0
"""A reason that stays is said this often: somebody looks at a log that stands still."""
INLET_MESSAGES = 1024

log = structlog.get_logger("shared.bus")
_random = random.SystemRandom()


class Link:
    """The session of the moment, and what must survive it."""

    def __init__(
        self,
        urls: Sequence[str],
        credentials: Callable[[], Credentials],
        *,
        name: str,
        tls: ssl.SSLContext | None,
        pace: Pace,
    ) -> None:
        self.pace = pace
        self.stopping = asyncio.Event()
        self.sessions = 0
        self.refused = False
        """The last attempt failed because the server did not take the credentials."""
        self._why = ""
        """Why the last attempt failed."""
        self._said_at = 0.0
        self._urls = tuple(urls)
        self._credentials = credentials
        self._name = name
        self._tls = tls
        self._session: Session | None = None
        self._inlets: set[Inlet] = set()
        self._changed = asyncio.Event()
        self._attention = asyncio.Event()
        self._hurry = asyncio.Event()

    @property
    def connected(self) -> bool:
        """Whether there is a session now."""
        return self._session is not None and not self._session.closed.is_set()

    async def owner(self) -> str:
        """Return the program or cluster that is connected.

        Raises:
            BusUnavailableError: nobody is.
        """
        session = await self.session(self.pace.answer_s)
        return session.credentials.inbox.removeprefix("_INBOX_")

    async def run(self) -> None:
        """Hold a session for ever; ends by cancellation."""
        clock = asyncio.get_running_loop().time
        attempt = 0
        try:
            while True:
                session = await self._opened()
                if session is not None:
                    since = clock()
                    self._adopt(session)
                    await self._keep()
                    # A server that takes us and drops us again is no reason to hurry.
                    if clock() - since > SETTLED_S:
                        attempt = 0
                attempt += 1
                await self._wait(FIRST_WAIT_S * 2 ** min(attempt, 16))
        finally:
            await self._drop()

    async def session(self, timeout_s: float, *, for_intake: bool = False) -> Session:
        """Return a working session, waiting for one at most `timeout_s`.

        Raises:
            BusUnavailableError: there was none in that time, or the intake that wants it stopped.
        """
        try:
            async with asyncio.timeout(timeout_s):
                while (session := self._session) is None or session.closed.is_set():
                    if for_intake and self.stopping.is_set():
                        raise BusUnavailableError(f"{self._name} takes no new work")
                    await self._changed.wait()
        except TimeoutError as error:
            raise BusUnavailableError(
                f"{self._name} is not connected to the bus at {self._place()}{f': {self._why}' if self._why else ''}",
                hint=_next_step(self._why),
            ) from error
        return session

    async def changed(self) -> None:
        """Return at the next new session, or when the intake stops."""
        await self._changed.wait()

    async def ask(
        self, subject: str, data: bytes, *, headers: Mapping[str, str] | None = None, timeout_s: float = 0.0
    ) -> Msg:
        """Send a request and return the first answer, whatever it says.

        Raises:
            BusUnavailableError: no connection, no answer in time, or nobody there to answer.
            NotPermittedError: the server refused to take it from us.
        """
        limit = timeout_s or self.pace.answer_s
        session = await self.session(limit)
        with session.expect(subject) as (reply, waiting):
            await session.send(subject, data, reply=reply, headers=headers)
            try:
                async with asyncio.timeout(limit):
                    answer = await waiting.answers.get()
            except TimeoutError as error:
                raise BusUnavailableError(f"{subject}: no answer within {limit:g} s") from error
        if isinstance(answer, TowlineError):
            raise answer
        if answer is None or status_of(answer) == "503":
            raise BusUnavailableError(f"{subject}: nobody answers", hint="the bus may be in the middle of a rebuild")
        return answer

    async def add_inlet(self, subject: str) -> Inlet:
        """Listen on a subject from now on, over all sessions to come."""
        inlet = Inlet(subject, INLET_MESSAGES)
        self._inlets.add(inlet)
        if self.stopping.is_set():
            inlet.put(None)
        session = self._session
        if session is not None and self.connected:
            try:
                await session.listen(inlet)
                await session.ping()
            except BROKEN as error:
                log.debug("bus_listen_postponed", subject=subject, error=str(error))
        return inlet

    async def remove_inlet(self, inlet: Inlet) -> None:
        """Listen there no longer."""
        self._inlets.discard(inlet)
        if self._session is not None:
            await self._session.forget(inlet)

    def stop_intake(self) -> None:
        """End all pulls and iterations; what is in hand goes on."""
        self.stopping.set()
        self._announce()
        if self._session is not None:
            self._session.stop_pulls()
        for inlet in self._inlets:
            inlet.put(None)

    async def pause(self, seconds: float) -> None:
        """Sleep a random part of `seconds`, at least half of it, or until the intake stops."""
        try:
            async with asyncio.timeout(seconds * _random.uniform(0.5, 1.0)):
                await self.stopping.wait()
        except TimeoutError:
            return

    def renew(self) -> None:
        """Look at the credentials now, not at the next check."""
        self._attention.set()
        self._hurry.set()

    def move(self, urls: Sequence[str]) -> None:
        """Connect to these servers from now on; a session that works goes on."""
        if tuple(urls) != self._urls:
            self._urls = tuple(urls)
            self._hurry.set()

    async def _wait(self, longest_s: float) -> None:
        """Wait before the next attempt: spread, and long where the server refuses; less when something is new."""
        if self.refused:
            pause_s = _random.uniform(1.0, 1.5) * min(self.pace.refused_s, longest_s)
        else:
            pause_s = _random.uniform(0, min(self.pace.reconnect_s, longest_s))
        try:
            async with asyncio.timeout(pause_s):
                await self._hurry.wait()
        except TimeoutError:
            return
        finally:
            self._hurry.clear()

    async def _opened(self) -> Session | None:
        """Return a new session that hears everything it must, or None."""
        session = None
        try:
            session = Session(self._credentials())
            await session.open(self._urls, self._name, self._tls)
            await session.ping()
            # Again until nobody is left out: somebody may begin to listen while the server still answers.
            while missed := [inlet for inlet in self._inlets if not session.hears(inlet)]:
                for inlet in missed:
                    await session.listen(inlet)
                await session.ping()
        except (*BROKEN, TowlineError) as error:
            self._failed(session.trouble if session and isinstance(error, NoServersError) else "", error)
            if session is not None:
                await session.close()
            return None
        except BaseException:
            if session is not None:
                await session.close()
            raise
        return session

    def _failed(self, trouble: str, error: Exception) -> None:
        """Note why there is no session, and say it when it is new or has not been said for a while."""
        why, now = trouble or str(error) or type(error).__name__, asyncio.get_running_loop().time()
        self.refused = any(word in why.lower() for word in _REFUSED)
        if why != self._why or now - self._said_at > SAY_AGAIN_S:
            self._said_at = now
            log.warning("bus_connection_failed", name=self._name, urls=self._place(), error=why, next=_next_step(why))
        self._why = why

    def _place(self) -> str:
        return ", ".join(self._urls)

    def _adopt(self, session: Session) -> None:
        self._session = session
        self.refused = False
        self._why = ""
        self.sessions += 1
        log.info("bus_connected", name=self._name, sessions=self.sessions)
        self._announce()

    def _announce(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _keep(self) -> None:
        """Watch the session until it is dead; replace it while it lives when the credentials changed."""
        while (session := self._session) is not None:
            await self._noticed(session)
            if not await self._alive(session):
                log.info("bus_connection_lost", name=self._name)
                await self._drop()
            elif self._credentials_changed(session) and (fresh := await self._opened()) is not None:
                self._adopt(fresh)
                await session.retire()

    async def _noticed(self, session: Session) -> None:
        """Return when the session closed, somebody asked for attention, or it is time to look."""
        self._attention.clear()
        session.on_closed = self._attention.set
        if session.closed.is_set():
            return
        try:
            async with asyncio.timeout(self.pace.liveness_s):
                await self._attention.wait()
        except TimeoutError:
            return

    async def _alive(self, session: Session) -> bool:
        if session.closed.is_set():
            return False
        try:
            await session.ping()
        except BROKEN:
            return False
        return True

    def _credentials_changed(self, session: Session) -> bool:
        try:
            return self._credentials() != session.credentials
        except (TowlineError, OSError) as error:
            log.warning("bus_credentials_unreadable", name=self._name, error=str(error))
            return False

    async def _drop(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()


def _next_step(why: str) -> str:
    """Return what somebody can do about a connection that failed."""
    if "CERTIFICATE_VERIFY_FAILED" in why:
        return "see that its certificate is for this address, and let this machine trust its CA: SSL_CERT_FILE=ca.crt"
    if any(word in why.lower() for word in _REFUSED):
        return "see that the credentials are of this bus and still good"
    return "see that it runs and can be reached from here"


def status_of(message: Msg) -> str:
    """Return the status of an answer without content, or an empty string."""
    return (message.headers or {}).get("Status", "")
