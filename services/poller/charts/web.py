"""Get things from chart repositories and registries, within limits, and give nothing away on the way.

Repositories send whoever asks to other hosts: release pages, stores behind registries. That is followed, because the
digest decides what is used. But a credential goes only to the place that it is bound to, and a redirect leads only to hosts
that the hub's owner named or to public addresses: a chart repository must not make the hub ask what stands beside it.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from services.poller.permits import Permits
from shared.git.answering import MOVED, Asked, answering
from shared.git.remote import Credentials, SourceError
from shared.git.urls import Location

REDIRECTS = 5
DEADLINE_S = 60.0
_READ_BYTES = 1 << 16
_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class Grant:
    """A value of the header `Authorization`, and below which place it may be sent."""

    header: str = field(repr=False)
    place: Location

    @classmethod
    def basic(cls, known: Credentials, place: Location | None = None) -> Grant:
        """Return what a credential gives; `place` where it is not the credential's own."""
        return cls(known.basic, place or known.place)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said at last."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Web:
    """The way to chart repositories; without `permits` to every host, as for a person at their own machine."""

    def __init__(self, session: aiohttp.ClientSession, permits: Permits | None, deadline_s: float = DEADLINE_S) -> None:
        self._session = session
        self._permits = permits
        self._deadline_s = deadline_s

    @classmethod
    @asynccontextmanager
    async def open(cls, permits: Permits | None, deadline_s: float = DEADLINE_S) -> AsyncIterator[Web]:
        """Give the way; it is closed at the end."""
        named = frozenset(prefix.host for prefix in permits.prefixes) if permits else None
        connector = aiohttp.TCPConnector(resolver=_Resolver(named), limit=16, limit_per_host=4)
        async with aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            # A person's machine may need its proxy; the hub's must not be led by one.
            trust_env=permits is None,
            # The digest is of the bytes as they are sent.
            auto_decompress=False,
        ) as session:
            yield cls(session, permits, deadline_s)

    async def get(
        self,
        url: str,
        *,
        limit_bytes: int,
        grant: Grant | None = None,
        accept: str = "*/*",
        also: frozenset[int] = frozenset(),
    ) -> Answer:
        """Return what is at `url`; an answer other than 200 only where its status is among `also`.

        Raises:
            SourceError: it could not be had.
        """
        place = URL(url)
        async with answering(self._deadline_s, lambda: _asked(place)):
            for _ in range(REDIRECTS + 1):
                answer = await self._once(place, grant, accept, limit_bytes)
                if answer.status not in MOVED:
                    return _checked(answer, place, grant, also)
                place = self._led(place, answer.headers.get("Location", ""))
        raise SourceError(f"{url} redirects more than {REDIRECTS} times", code="source.redirect")

    async def _once(self, url: URL, grant: Grant | None, accept: str, limit_bytes: int) -> Answer:
        headers = {"Accept": accept, "Accept-Encoding": "identity", "User-Agent": "towline"}
        if grant is not None and grant.place.covers(location_of(url)):
            headers["Authorization"] = grant.header
        async with self._session.get(url, headers=headers, allow_redirects=False) as found:
            body = bytearray()
            async for piece in found.content.iter_chunked(_READ_BYTES):
                body += piece
                if len(body) > limit_bytes:
                    text = f"{shown(url)} has more than {limit_bytes} bytes"
                    raise SourceError(text, code="source.too-large", hint="use a smaller chart")
            return Answer(found.status, found.headers, bytes(body))

    def _led(self, url: URL, target: str) -> URL:
        """Return where a redirect of `url` leads.

        Raises:
            SourceError: the hub does not go there.
        """
        led = url.join(URL(target))
        self.check(led, insecure=url.scheme == "http")
        return led

    def check(self, url: URL, *, insecure: bool) -> None:
        """Do nothing if a server may send us to `url`; `insecure`: it was itself asked without encryption.

        Raises:
            SourceError: it may not.
        """
        hint = "have the repository answer from its own host, or add that place to the poller's `allow`"
        if url.scheme not in _PORTS or not url.host or (url.scheme == "http" and not insecure) or url.user:
            raise SourceError(f"the server sends us to {shown(url)}", code="source.redirect", hint=hint)
        place = location_of(url)
        if self._permits is None or any(prefix.host == place.host for prefix in self._permits.prefixes):
            named = self._permits is None or self._permits.cover(place)
        else:
            named = _is_public(url.host)
        if not named:
            text = f"the server sends us to {shown(url)}, which is neither public nor allowed"
            raise SourceError(text, code="source.redirect", hint=hint)


def location_of(url: URL) -> Location:
    """Return the place of a URL, without its query; as `parse_url` does, with brackets and whatever is escaped."""
    host, path = (url.host_subcomponent or "").lower(), url.raw_path.rstrip("/")
    return Location(url.scheme, host, url.port or _PORTS.get(url.scheme, 0), path)


def shown(url: URL) -> str:
    """Return a URL as people may see it: queries and users may hold secrets."""
    return str(url.with_user(None).with_query(None).with_fragment(None))


def _asked(url: URL) -> Asked:
    # Chart repositories are asked by people at their own machines, too.
    return Asked(shown(url), url.host or "", shown(url), "the certificates of this machine", "the network")


def _checked(answer: Answer, url: URL, grant: Grant | None, also: frozenset[int]) -> Answer:
    status = answer.status
    if status == 200 or status in also:
        return answer
    if status in {401, 403}:
        given = "refuses the credential that it got" if grant else "wants a credential, and there is none"
        raise SourceError(
            f"{shown(url)} {given} ({status})",
            code="source.auth",
            hint="add one for this URL to the credentials, or renew it",
        )
    if status in {404, 410}:
        text = f"there is nothing at {shown(url)} ({status})"
        raise SourceError(
            text, code="source.not-found", hint="check the URL; many hosts answer so without a credential"
        )
    raise SourceError(f"{shown(url)} answers {status}", hint="ask whoever runs the repository; the hub tries again")


def _is_public(host: str) -> bool:
    """Tell whether `host` is a name, which is judged when it is resolved, or an address that is no private one."""
    try:
        return ip_address(host).is_global
    except ValueError:
        return True


class _Resolver(AbstractResolver):
    """Resolves the names of hosts that the hub's owner did not name to public addresses only."""

    def __init__(self, named: frozenset[str] | None) -> None:
        self._named = named
        self._inner = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of a host."""
        found = await self._inner.resolve(host, port, family)
        if self._named is None or host in self._named:
            return found
        public = [each for each in found if ip_address(each["host"].partition("%")[0]).is_global]
        if not public:
            raise OSError(f"{host} is not allowed, and no public host")
        return public

    async def close(self) -> None:
        """Close what it uses."""
        await self._inner.close()
