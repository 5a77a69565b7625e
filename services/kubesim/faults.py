"""Misbehave on demand: refusals, hanging and broken connections, a frozen server, for a number of requests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from services.kubesim.answers import REASONS, RefusedError, Subject
from services.kubesim.requests import Place, place_of

USER = "system:serviceaccount:towline:towline-agent"
VERBS = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


@dataclass(frozen=True, slots=True)
class Request:
    """One request as tests see it; the query is decoded, bodies are not kept."""

    method: str
    path: str
    query: Mapping[str, str]
    user_agent: str
    impersonates: str = ""
    deletion: Mapping[str, Any] = field(default_factory=dict)
    """What a DELETE asks for: `preconditions`, `propagationPolicy`."""


Match = Callable[[Request], bool]


def anything(_request: Request) -> bool:
    """Match every request."""
    return True


@dataclass(slots=True)
class Fault:
    """What happens to the next `count` requests that match."""

    kind: Literal["answer", "hang", "reset", "cut"]
    count: int
    match: Match
    status: int = 0
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


class ConnectionReset(Exception):  # noqa: N818 -- an order to the server, no error
    """Break the connection instead of answering."""


class FakedAnswer(Exception):  # noqa: N818 -- an answer, no error
    """Send this answer instead of the true one."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.status)
        self.fault = fault


def verb_of(request: Request, place: Place) -> str:
    """Return the verb that permissions are about."""
    if request.method in {"GET", "DELETE"} and not place.name:
        listing = "watch" if request.query.get("watch") else "list"
        return listing if request.method == "GET" else "deletecollection"
    return VERBS.get(request.method, "get")


def forbidden(request: Request, verb: str = "") -> dict[str, Any]:
    """Return the body of the 403 that missing permissions give for a request, or for this verb of it."""
    place = place_of(request.path)
    if place is None:
        return RefusedError(
            403, f'forbidden: User "{USER}" cannot {request.method.lower()} path "{request.path}"'
        ).body()
    verb = verb or verb_of(request, place)
    resource = f"{place.plural}/{place.subresource}" if place.subresource else place.plural
    scope = f'in the namespace "{place.scope}"' if place.scope else "at the cluster scope"
    subject = Subject(place.group, place.plural, place.name)
    who = request.impersonates or USER
    text = f'User "{who}" cannot {verb} resource "{resource}" in API group "{place.group}" {scope}'
    shown = str(subject) if place.name else str(subject).removesuffix(' ""')
    return RefusedError(403, f"{shown} is forbidden: {text}", details=subject.details()).body()


def refusal(request: Request, verb: str = "") -> FakedAnswer:
    """Return the answer that missing permissions give for a request, or for this verb of it."""
    return FakedAnswer(Fault("answer", 1, anything, 403, forbidden(request, verb)))


class Faults:
    """The faults of one cluster; a test arms them, requests use them up in the order they were armed."""

    def __init__(self) -> None:
        self._armed: list[Fault] = []
        self._forbidden: list[Match] = []
        self._running = asyncio.Event()
        self._running.set()
        self._released = asyncio.Event()

    def fail_next(
        self,
        count: int = 1,
        status: int = 503,
        body: Any = None,
        *,
        match: Match = anything,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Answer the next `count` matching requests with `status`; a body of text goes out as text/plain."""
        self._armed.append(Fault("answer", count, match, status, body, dict(headers or {})))

    def forbid(self, match: Match) -> Callable[[], None]:
        """Answer every matching request with the 403 of missing permissions; the returned function ends it."""
        self._forbidden.append(match)
        return lambda: self._forbidden.remove(match)

    def forbids(self, request: Request) -> bool:
        """Tell whether permissions are missing for a request."""
        return any(match(request) for match in self._forbidden)

    def hang_next(self, count: int = 1, *, match: Match = anything) -> None:
        """Never answer the next `count` matching requests, until `release` or the client gives up."""
        self._armed.append(Fault("hang", count, match))

    def reset_next(self, count: int = 1, *, match: Match = anything) -> None:
        """Break the connection of the next `count` matching requests without an answer."""
        self._armed.append(Fault("reset", count, match))

    def cut_next(self, count: int = 1, *, match: Match = anything) -> None:
        """Carry out the next `count` matching requests, and break the connection in the middle of the answer."""
        self._armed.append(Fault("cut", count, match))

    def freeze(self) -> None:
        """Let every request wait until `thaw`: the server accepts connections and says nothing."""
        self._running.clear()

    def thaw(self) -> None:
        """Serve again what waits and what comes."""
        self._running.set()

    def release(self) -> None:
        """Let hanging requests go on, and forget all armed faults."""
        self._armed.clear()
        self._released.set()
        self._released = asyncio.Event()

    async def meet(self, request: Request) -> bool:
        """Let a request meet the fault meant for it, if there is one; tell whether its answer is to be cut.

        Raises:
            ConnectionReset: the connection is to be broken.
            FakedAnswer: another answer is to be sent.
        """
        await self._running.wait()
        if self.forbids(request):
            raise refusal(request)
        fault = next((one for one in self._armed if one.match(request)), None)
        if fault is None:
            return False
        fault.count -= 1
        if fault.count <= 0:
            self._armed.remove(fault)
        match fault.kind:
            case "hang":
                await self._released.wait()
            case "reset":
                raise ConnectionReset
            case "answer":
                raise FakedAnswer(fault)
        return fault.kind == "cut"


def body_of(fault: Fault) -> tuple[Any, bool]:
    """Return the body a faked answer has, and whether it is plain text."""
    if isinstance(fault.body, str):
        return fault.body, True
    if fault.body is not None:
        return fault.body, False
    return RefusedError(fault.status, REASONS.get(fault.status, "fault on demand")).body(), False
