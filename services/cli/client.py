"""Ask a hub over HTTP, and say in one sentence what to do when it does not answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import aiohttp

from services.cli.hubs import (
    CommandError,
    HubAddress,
    NotAllowedError,
    NotFoundError,
    TimedOutError,
    UnreachableError,
)

TIMEOUT_S = 60.0
CONNECT_TIMEOUT_S = 10.0
SILENCE_S = 45.0
"""A stream sends something every 15 s; after three times that it is dead."""
READ_BYTES = 1 << 20
"""An event is one line, and may be long."""
FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 1.0
PAGE = 500


@dataclass(slots=True)
class Hub:
    """A hub that is asked; use it as a context."""

    address: HubAddress
    _session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S, connect=CONNECT_TIMEOUT_S)
        headers = {"Authorization": f"Bearer {self.address.token}"} if self.address.token else {}
        self._session = aiohttp.ClientSession(timeout=timeout, headers=headers, trust_env=True, read_bufsize=READ_BYTES)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def get(self, path: str, **parameters: Any) -> dict[str, Any]:
        """Return the answer to a question; parameters that are empty are left out."""
        given = {name: str(value) for name, value in parameters.items() if value not in {None, ""}}
        async with self._asked("GET", path, params=given) as response:
            return await _answer(response)

    async def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer to a request."""
        async with self._asked("POST", path, json=dict(body)) as response:
            return await _answer(response)

    async def items(self, path: str, limit: int | None, **parameters: Any) -> list[dict[str, Any]]:
        """Return the items of a list, page after page, up to `limit`."""
        found: list[dict[str, Any]] = []
        cursor = ""
        while limit is None or len(found) < limit:
            wanted = PAGE if limit is None else min(PAGE, limit - len(found))
            page = await self.get(path, limit=wanted, cursor=cursor, **parameters)
            found += page["items"]
            cursor = page.get("next") or ""
            if not cursor:
                break
        return found

    async def command(
        self, program: str, verb: str, arguments: Mapping[str, Any], reason: str = "", number: str = ""
    ) -> dict[str, Any]:
        """Give a command and return its result once it is done; with the same `number` it is done once.

        Raises:
            CommandError: it failed; TimedOutError: nobody answered within a minute.
        """
        body = {"program": program, "verb": verb, "arguments": dict(arguments), "reason": reason, "id": number}
        given = await self.post("/api/v1/commands", body)
        pause_s = FIRST_PAUSE_S
        try:
            async with asyncio.timeout(TIMEOUT_S):
                while (found := await self.get(f"/api/v1/commands/{given['id']}"))["state"] == "pending":
                    await asyncio.sleep(pause_s)
                    pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        except TimeoutError as error:
            raise TimedOutError(
                f"the {program} did not answer {verb!r} within {TIMEOUT_S:.0f} s",
                hint=f"it may still do it: GET /api/v1/commands/{given['id']}",
            ) from error
        if found["state"] == "failed":
            raise CommandError(found["message"] or f"the {program} refused {verb!r}", code=found["code"] or None)
        result: dict[str, Any] = {"message": found["message"], **found["result"]}
        return result

    async def events(self, after: int, **parameters: Any) -> AsyncIterator[dict[str, Any]]:
        """Yield the events beyond a position until the connection breaks."""
        given = {name: str(value) for name, value in parameters.items() if value}
        headers = {"Last-Event-ID": str(after)}
        timeout = aiohttp.ClientTimeout(total=None, connect=CONNECT_TIMEOUT_S, sock_read=SILENCE_S)
        how: dict[str, Any] = {"params": given, "headers": headers, "timeout": timeout}
        async with self._asked("GET", "/api/v1/stream", **how) as response:
            if response.status != 200:
                await _answer(response)
            async for line in response.content:
                if line.startswith(b"data: "):
                    yield json.loads(line[6:])

    @asynccontextmanager
    async def _asked(self, method: str, path: str, **how: Any) -> AsyncIterator[aiohttp.ClientResponse]:
        if self._session is None:
            raise RuntimeError("a hub is asked outside of its context")
        try:
            async with self._session.request(method, self.address.url + path, **how) as response:
                yield response
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
            raise CommandError(
                f"{self.address.url!r} is no address of a hub", code="cli.no-hub", hint="write it as http://HOST:PORT"
            ) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            why = str(error) or type(error).__name__
            raise UnreachableError(
                f"the hub at {self.address.url} does not answer: {why}", hint="see whether it runs, and its address"
            ) from error


async def _answer(response: aiohttp.ClientResponse) -> dict[str, Any]:
    try:
        body = await response.json(content_type=None)
    except ValueError as error:
        raise CommandError(f"what answers at {response.url} is no hub", hint="check the address") from error
    if response.status < 400:
        found: dict[str, Any] = body
        return found
    problem: dict[str, Any] = body if isinstance(body, dict) else {}
    detail, hint = str(problem.get("detail") or response.reason), str(problem.get("hint", ""))
    code = str(problem.get("code", "")) or None
    match response.status:
        case 401 | 403:
            hint = "give the content of the hub's admin.token in TOWLINE_TOKEN, or use --data DIR"
            raise NotAllowedError(f"the hub does not let you in: {detail}", hint=hint)
        case 404:
            raise NotFoundError(detail, code=code, hint=hint)
        case 503:
            raise UnreachableError(f"the hub cannot answer now: {detail}", hint=hint or "try again in a minute")
        case _:
            raise CommandError(detail, code=code, hint=hint)
