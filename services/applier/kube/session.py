"""Requests to one API server: raw aiohttp and orjson, bounded in number and time.

Every HTTP status is an answer; only a request that got none raises. What an answer means is decided elsewhere
(`services.applier.errors`). Environment proxies are not obeyed: Python's NO_PROXY knows no address ranges, so cluster
traffic would reach the company's proxy.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Protocol, Self

import aiohttp
import orjson

from services.applier import errors
from services.applier.kube.access import Access, tls_context
from services.applier.kube.clock import ServerClock
from services.applier.kube.credentials import Credentials
from services.applier.kube.escape import as_yaml
from services.applier.kube.throttle import MAX_IN_FLIGHT, Throttle
from shared.core.objects import ObjectKey
from shared.errors import TransientError

CONNECT_TIMEOUT_S = 5.0
WRITE_TIMEOUT_S = 40.0
READ_TIMEOUT_S = 15.0
LIST_TIMEOUT_S = 60.0
IDLE_WATCH_S = 95.0
LINE_BUFFER_BYTES = 1 << 20
"""aiohttp takes lines of up to twice this: 2 MiB is more than any metadata, 8 MiB any whole object."""
WHOLE_BUFFER_BYTES = 4 << 20
MAX_RETRY_AFTER_S = 60.0
RETRIES = 5
FIRST_RETRY_S = 0.5
LONGEST_RETRY_S = 15.0
APPLY = "application/apply-patch+yaml"
JSON_PATCH = "application/json-patch+json"
JSON = "application/json"
METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"

Query = Mapping[str, str]


class ClusterUnreachableError(TransientError):
    """The API server gave no answer."""

    code = "kube.unreachable"


@dataclass(frozen=True, slots=True)
class Reply:
    """What the API server said, whatever it was."""

    status: int
    body: Any = None
    """The decoded JSON object; None when the answer is something else."""
    refused: errors.Answer | None = None
    """The answer as it came, when it is no success."""
    warnings: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Tell whether the request did what it should."""
        return self.status < 300

    def failure(self, key: ObjectKey | None = None) -> errors.Failure:
        """Return what the refusal means for the object that was asked for."""
        return errors.classify(self.refused or errors.Answer(self.status, b""), key)


@dataclass(frozen=True, slots=True)
class Request:
    """One request; `body` goes out as it is."""

    verb: str
    path: str
    query: Query = field(default_factory=dict)
    body: bytes | None = field(default=None, repr=False)
    content_type: str = JSON
    accept: str = JSON
    timeout_s: float = READ_TIMEOUT_S
    impersonate: str = ""
    """The user as whom it is asked; groups are never sent (O8), the server adds those of a service account."""
    fence: Callable[[], None] | None = field(default=None, repr=False)
    """Raises when this must not be sent any more; asked at each attempt, for one may wait long for its turn."""


class Sender(Protocol):
    """Sends requests as somebody."""

    async def send(self, request: Request, *, retries: int = RETRIES) -> Reply:
        """Return the answer, as `Session.send` does."""


class Session:
    """A connection to one cluster."""

    def __init__(self, credentials: Credentials, *, agent: str, strict_tls: bool, in_flight: int) -> None:
        self.throttle = Throttle(in_flight)
        self.clock = ServerClock()
        self.sent = 0
        self._credentials = credentials
        self._agent = agent
        self._strict = strict_tls
        self._access: Access | None = None
        self._client: aiohttp.ClientSession | None = None
        self._old: list[aiohttp.ClientSession] = []
        self._opening = asyncio.Lock()

    @classmethod
    @asynccontextmanager
    async def connect(
        cls, credentials: Credentials, *, agent: str, strict_tls: bool = True, in_flight: int = MAX_IN_FLIGHT
    ) -> AsyncIterator[Self]:
        """Yield a session; nothing is sent before the first request."""
        session = cls(credentials, agent=agent, strict_tls=strict_tls, in_flight=in_flight)
        try:
            yield session
        finally:
            for client in (*session._old, *([session._client] if session._client else [])):
                await client.close()

    async def send(self, request: Request, *, retries: int = RETRIES) -> Reply:
        """Return the answer; no answer, or a refusal that passes by itself, is tried again (rule E4).

        Raises:
            ClusterUnreachableError: there was no answer to any attempt.
            AccessUnavailableError, BadAccessError: the credentials cannot be had.
        """
        for attempt in range(retries):
            try:
                reply = await self._once(request)
            except ClusterUnreachableError:
                await asyncio.sleep(_pause_s(attempt))
                continue
            if reply.ok:
                self.throttle.succeeded()
                return reply
            failure = reply.failure()
            if not failure.transient or failure.error is errors.ErrorClass.STALE:
                return reply
            if failure.error is errors.ErrorClass.THROTTLED:
                self.throttle.overloaded()
            pause_s = max(_pause_s(attempt), min(failure.retry_after_s or 0.0, MAX_RETRY_AFTER_S))
            self.throttle.throttled_s += pause_s
            await asyncio.sleep(pause_s)
        return await self._once(request)

    @asynccontextmanager
    async def stream(self, path: str, query: Query, *, accept: str) -> AsyncIterator[tuple[Reply, AsyncIterator[Any]]]:
        """Yield the answer's head and, when that is good, the JSON values of its lines.

        Raises:
            ClusterUnreachableError: the connection broke, or was silent for longer than bookmarks allow.
        """
        client, access = await self._open()
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S, sock_read=IDLE_WATCH_S)
        try:
            async with client.get(
                access.server + path,
                params=dict(query),
                # One gzip member a flush: some decompressors stop after the first.
                headers={**self._headers(access), "Accept": accept, "Accept-Encoding": "identity"},
                timeout=timeout,
                proxy=access.proxy or None,
                server_hostname=access.server_name or None,
                read_bufsize=LINE_BUFFER_BYTES if accept != JSON else WHOLE_BUFFER_BYTES,
            ) as response:
                head = await _reply(response) if response.status >= 300 else Reply(response.status)
                if head.status == 401:
                    await self._credentials.access(renew=True)
                yield head, _lines(response)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _unreachable(f"GET {path}", access, error) from error

    async def _once(self, request: Request) -> Reply:
        async with self.throttle.turn():
            reply = await self._exchange(request)
            if reply.status == 401:
                await self._credentials.access(renew=True)
                reply = await self._exchange(request)
            return reply

    async def _exchange(self, request: Request) -> Reply:
        client, access = await self._open()
        headers = {**self._headers(access), "Accept": request.accept}
        if request.impersonate:
            headers["Impersonate-User"] = request.impersonate
        if request.body is not None:
            headers["Content-Type"] = request.content_type
        if request.fence is not None:
            request.fence()
        self.sent += 1
        try:
            async with client.request(
                request.verb,
                access.server + request.path,
                params=dict(request.query),
                data=as_yaml(request.body) if request.content_type == APPLY else request.body,
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=request.timeout_s, sock_connect=CONNECT_TIMEOUT_S),
                proxy=access.proxy or None,
                server_hostname=access.server_name or None,
            ) as response:
                self.clock.hear(response.headers.get("Date", ""), datetime.now(UTC))
                return await _reply(response)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _unreachable(f"{request.verb} {request.path}", access, error) from error

    def _headers(self, access: Access) -> dict[str, str]:
        headers = {"User-Agent": self._agent}
        if access.authorization:
            headers["Authorization"] = access.authorization
        return headers

    async def _open(self) -> tuple[aiohttp.ClientSession, Access]:
        """Return the client and the access it was made for; other certificates need other connections."""
        access = await self._credentials.access()
        if self._client is not None and self._access is not None and access.same_transport(self._access):
            self._access = access
            return self._client, access
        async with self._opening:
            if self._client is None or self._access is None or not access.same_transport(self._access):
                context = await asyncio.to_thread(tls_context, access, strict=self._strict)
                if self._client is not None:
                    self._old.append(self._client)  # requests in flight end on it
                connector = aiohttp.TCPConnector(ssl=context or False, limit=0, ttl_dns_cache=30)
                self._client = aiohttp.ClientSession(connector=connector, trust_env=False, auto_decompress=True)
                self._access = access
            return self._client, access


@dataclass(frozen=True, slots=True)
class Impersonating:
    """Sends requests as another user, over the agent's own connection."""

    session: Session
    user: str

    async def send(self, request: Request, *, retries: int = RETRIES) -> Reply:
        """Return the answer that this user gets."""
        return await self.session.send(replace(request, impersonate=self.user), retries=retries)


async def _reply(response: aiohttp.ClientResponse) -> Reply:
    """Return the whole answer; JSON is recognised by its content, since proxies and old servers mislabel it."""
    data = await response.read()
    try:
        body = orjson.loads(data) if data else None
    except orjson.JSONDecodeError:
        body = None
    refused = None
    if response.status >= 300:
        headers = response.headers
        refused = errors.Answer(response.status, data, headers.get("Content-Type", ""), headers.get("Retry-After", ""))
    warnings = tuple(_warning(each) for each in response.headers.getall("Warning", ()))
    return Reply(response.status, body if isinstance(body, dict) else None, refused, warnings)


def _warning(header: str) -> str:
    """Return the text of `299 - "text"`."""
    return header.partition('"')[2].rpartition('"')[0].replace('\\"', '"') or header


async def _lines(response: aiohttp.ClientResponse) -> AsyncIterator[Any]:
    async for line in response.content:
        if line.strip():
            try:
                yield orjson.loads(line)
            except orjson.JSONDecodeError as error:
                raise ClusterUnreachableError("a watch was cut in the middle of a line") from error


def _pause_s(attempt: int) -> float:
    # Moved by up to half: agents that were refused together must not come back together.
    longest = min(FIRST_RETRY_S * 2.0**attempt, LONGEST_RETRY_S)
    return longest * random.uniform(0.5, 1.5)  # noqa: S311 - no secret


def _unreachable(what: str, access: Access, error: Exception) -> ClusterUnreachableError:
    hint = ""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        hint = "the CA may lack the key usage that Python asks for: TOWLINE_AGENT_STRICT_TLS=false drops that check"
    reason = str(error) or type(error).__name__
    return ClusterUnreachableError(f"cluster {access.server}: {what} got no answer: {reason}", hint=hint)
