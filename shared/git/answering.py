"""Say what it means that a host gives no answer by HTTP: one way for git servers and for chart repositories."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp

from shared.git.remote import SourceError

MOVED = frozenset({301, 302, 303, 307, 308})
"""Statuses of answers that send whoever asks to another place."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Who is asked, and by whom, as people read it."""

    url: str
    """What does not answer in time."""
    host: str
    """Whose certificate is not trusted."""
    place: str
    """What cannot be reached."""
    certificates: str
    network: str


@asynccontextmanager
async def answering(deadline_s: float, asked: Callable[[], Asked]) -> AsyncIterator[None]:
    """Give the block so much time; `asked` is called when something failed, since redirects change who is asked.

    Raises:
        SourceError: the host did not answer in time, is not trusted, or cannot be reached.
    """
    try:
        async with asyncio.timeout(deadline_s):
            yield
    except TimeoutError as error:
        raise SourceError(f"{asked().url} did not answer within {deadline_s:g} s", code="source.timeout") from error
    except aiohttp.ClientSSLError as error:
        raise SourceError(
            f"the certificate of {asked().host} is not trusted: {error}",
            code="source.tls",
            hint=f"add its authority to {asked().certificates} (SSL_CERT_FILE)",
        ) from error
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise SourceError(
            f"{asked().place} cannot be reached: {str(error) or type(error).__name__}",
            hint=f"check the URL's host and {asked().network}; the hub tries again by itself",
        ) from error
